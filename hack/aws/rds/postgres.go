package rds

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// admin is the owner of every server, whom clients never see; RDS calls its own so.
const admin = "rdsadmin"

// postgres is one real server: a directory and a port.
type postgres struct {
	dir  string
	port int
}

// command runs a program of PostgreSQL's to its end.
func command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}

// create makes an empty server with a master user who, as in RDS, is no superuser.
func (p postgres) create(user, password string) error {
	if err := command("initdb", "--no-sync", "-A", "trust", "-U", admin, "-E", "UTF8", "--locale=C.UTF-8", "-D", p.dir); err != nil {
		return err
	}
	hba := "local all all trust\nlocal replication all trust\nhost all " + admin + " 0.0.0.0/0 reject\nhost all all 0.0.0.0/0 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(p.dir, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return err
	}
	if err := p.start(); err != nil {
		return err
	}
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	name := `"` + strings.ReplaceAll(user, `"`, `""`) + `"`
	for _, sql := range []string{
		"CREATE ROLE " + name + " LOGIN CREATEDB CREATEROLE PASSWORD " + quote(password),
		"GRANT pg_signal_backend TO " + name,
		"ALTER DATABASE postgres OWNER TO " + name,
		"ALTER DATABASE template1 OWNER TO " + name,
		"CREATE DATABASE " + admin,
		"REVOKE CONNECT ON DATABASE " + admin + " FROM PUBLIC",
	} {
		if err := p.sql(sql); err != nil {
			return err
		}
	}
	return nil
}

func (p postgres) sql(text string) error {
	return command("psql", "-X", "-q", "-h", p.sockets(), "-p", strconv.Itoa(p.port), "-U", admin, "-d", "template1", "-v", "ON_ERROR_STOP=1", "-c", text)
}

func (p postgres) sockets() string { return filepath.Dir(p.dir) }

func (p postgres) start() error {
	return command("pg_ctl", "start", "-w", "-s", "-D", p.dir, "-l", p.dir+".log", "-o",
		fmt.Sprintf("-p %d -k %s -h 0.0.0.0 -c fsync=off -c shared_buffers=16MB -c max_connections=40", p.port, p.sockets()))
}

// copy is a consistent copy of a running server, as a snapshot is.
func (p postgres) copy(dir string) error {
	return command("pg_basebackup", "-h", p.sockets(), "-p", strconv.Itoa(p.port), "-U", admin, "-D", dir, "-X", "stream", "-c", "fast", "--no-sync")
}

// restored is a new server from a copy.
func restored(from, dir string) (postgres, error) {
	port, err := freePort()
	if err != nil {
		return postgres{}, err
	}
	if err := command("cp", "-a", from, dir); err != nil {
		return postgres{}, err
	}
	p := postgres{dir: dir, port: port}
	return p, p.start()
}

func (p postgres) remove() error {
	return errors.Join(command("pg_ctl", "stop", "-w", "-s", "-m", "immediate", "-D", p.dir), os.RemoveAll(p.dir))
}

// firstPort is PostgreSQL's own, which clients take when they are told none, as long as it is free.
func firstPort() (int, error) {
	if port, err := listenable(":5432"); err == nil {
		return port, nil
	}
	return freePort()
}

func freePort() (int, error) { return listenable(":0") }

func listenable(address string) (int, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}
