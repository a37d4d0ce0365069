package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/blueprinttest"
)

var pagePath = filepath.Join("..", "..", "..", "..", "docs", "compatibility.md")

// The lines between which the page is generated.
const (
	begin = "<!-- generated: go test ./cmd/kubectl-kanister/internal/plan -update -->\n"
	end   = "<!-- end of what is generated -->\n"
)

// notRun says why a blueprint is not among the end-to-end tests.
var notRun = map[string]string{
	"cassandra/cassandra-blueprint.yaml":                                 "the database is not in Debian",
	"cockroachdb/cockroachdb-blueprint.yaml":                             "the database is not in Debian",
	"couchbase/couchbase-blueprint.yaml":                                 "the database is not in Debian",
	"elasticsearch-incremental/elasticsearch-incremental-blueprint.yaml": "the database is not in Debian",
	"elasticsearch/elasticsearch-blueprint.yaml":                         "the database is not in Debian",
	"foundationdb/blueprint-v2/foundationdb-blueprint.yaml":              "the database is not in Debian",
	"foundationdb/foundationdb-blueprint.yaml":                           "the database is not in Debian",
	"k8ssandra/k8ssandra-blueprint.yaml":                                 "the database and its operator are not in Debian",
	"kafka-adobe-s3-connector/kafka-blueprint.yaml":                      "the database is not in Debian; needs images of its own",
	"mongo-sidecar/mongo-sidecar-blueprint.yaml":                         "the database is not in Debian",
	"mongodb-atlas/mongodb-atlas-blueprint.yaml":                         "needs the service MongoDB Atlas",
	"mongodb-dep-config/mongodb-dep-config-blueprint.yaml":               "the database is not in Debian",
	"mongodb-restic/mongodb-restic-blueprint.yaml":                       "the database is not in Debian",
	"mongodb/7.8.10/mongo-blueprint.yaml":                                "the database is not in Debian",
	"mongodb/mongodb-blueprint.yaml":                                     "the database is not in Debian",
	"mssql/mssql-blueprint.yaml":                                         "the database is not in Debian",
	"postgres-ha-hook/postgres-ha-hook-blueprint.yaml":                   "needs a cluster under repmgr; has no action but a hook",
	"postgresql-wale/postgresql-wale-blueprint.yaml":                     "needs wal-e, which is no more",
}

// page is docs/compatibility.md with the tables of today. What people wrote around them stays.
func page(t *testing.T, verdicts []verdict) string {
	t.Helper()

	data, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}

	head, rest, found := strings.Cut(string(data), begin)
	_, tail, closed := strings.Cut(rest, end)

	if !found || !closed {
		t.Fatalf("%s lacks the lines %q and %q", pagePath, begin, end)
	}

	return head + begin + tables(t, verdicts) + end + tail
}

func tables(t *testing.T, verdicts []verdict) string {
	t.Helper()

	var (
		out, notes strings.Builder
		runs       = blueprinttest.Runs(t)
	)

	out.WriteString("\n| blueprint | validates | plans | runs end to end, seconds |\n|---|---|---|---|\n")

	for _, v := range verdicts {
		run, ran := runs[v.file]
		reason, excused := notRun[v.file]
		ends := run.String()

		switch {
		case ran && excused:
			t.Errorf("%s is in the table of runs and among those that are not run", v.file)
		case !ran && !excused:
			t.Errorf("%s is not run, and nobody says why", v.file)
		case !ran:
			ends = "no: " + reason
		}

		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", v.file, said(len(v.validation), len(v.unexplained)), actions(v), ends)

		for _, finding := range v.validation {
			fmt.Fprintf(&notes, "- `%s`: %s\n", v.file, finding)
		}
	}

	out.WriteString("\nWhat validation says, and why it is the blueprint's own doing:\n\n" + notes.String() + "\n")

	return out.String()
}

func said(explained, unexplained int) string {
	switch {
	case unexplained > 0:
		return "no"
	case explained == 1:
		return "yes, 1 warning"
	case explained > 1:
		return fmt.Sprintf("yes, %d warnings", explained)
	default:
		return "yes"
	}
}

func actions(v verdict) string {
	names := make([]string, len(v.plans))
	for i, line := range v.plans {
		names[i], _, _ = strings.Cut(line, " ")
	}

	return strings.Join(names, ", ")
}
