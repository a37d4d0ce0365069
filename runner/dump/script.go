package dump

import (
	"fmt"
	"strings"
)

// listQuery finds what to dump: not templates, and not the database that RDS keeps for itself.
const listQuery = `SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'rdsadmin' ORDER BY datname`

// head is the first thing in a dump: whoever finds one knows what to do.
const head = `--
-- PostgreSQL databases, dumped by kubectl kanister. Restore them by RestoreRDSSnapshot, or by hand:
--   gunzip -c FILE | psql -X -v ON_ERROR_STOP=1 -d %s
-- Each database is restored in one transaction.
--

`

// connection is a connection string that names a database, however odd its name is: psql would take a plain name apart.
func connection(database string) string {
	return "dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database) + "'"
}

func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}

	return quoted
}

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// connect is psql's command to go on in another database.
func connect(database string) string {
	return `\connect -reuse-previous=on ` + identifier(connection(database)) + "\n"
}

// createQuery gives the statement that makes the database again. It works in every version of PostgreSQL, unlike that of pg_dump
// --create, which names what servers older than the program do not know.
func createQuery(database string) string {
	return `SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', datname, ` +
		`pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = ` + literal(database)
}

// before and after surround what pg_dump writes about one database: made if it is not there, and all of it or nothing.
func before(maintenance, database, create string) string {
	return marker + database + "\n" + connect(maintenance) +
		fmt.Sprintf("SELECT %s WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = %s) \\gexec\n", literal(create), literal(database)) +
		connect(database) + "BEGIN;\n"
}

// marker begins the line that names the database that follows.
const marker = "-- kanister database: "

const after = "\nCOMMIT;\n\n"

// replace drops a database that a dump of upstream's makes again, which has no statements to do so.
func replace(database string) string {
	return fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid();\nDROP DATABASE IF EXISTS %s;\n",
		literal(database), identifier(database))
}
