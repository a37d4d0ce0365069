package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	// connectPatience is how long a server may refuse connections, as one does whose name is only just made.
	connectPatience = 2 * time.Minute
	connectPause    = 3 * time.Second
	// noConnection is psql's exit code when it cannot connect.
	noConnection = 2
	// lastBytes of what a program says on stderr go into its error.
	lastBytes = 2000
	// killAfter bounds how long a program may take to go once it was told.
	killAfter = 10 * time.Second
)

// server is a PostgreSQL server.
type server struct {
	host           string
	port           int32
	user, password string
}

// serverError is a program's failure, with what it said.
type serverError struct {
	program string
	exit    int
	said    string
	err     error
}

func (e *serverError) Error() string {
	if e.said != "" {
		return e.program + ": " + e.said
	}

	return e.program + ": " + e.err.Error()
}

func (e *serverError) Unwrap() error { return e.err }

// explain gives the machine word and what to do.
func (e *serverError) explain() (reason, hint string) {
	for _, known := range []struct{ part, reason, hint string }{
		{"executable file not found", "NoPostgreSQLTools", "name an image that has psql and pg_dump with the argument image"},
		{"server version mismatch", "VersionMismatch", "name an image whose pg_dump is at least as new as the server with the argument image"},
		{"password authentication failed", "WrongPassword", "correct username and password; a restored instance has those that its snapshot was taken with"},
		{"no password supplied", "WrongPassword", "give the argument password"},
		{"no pg_hba.conf entry", "AccessDenied", "the server refuses this user, host or an unencrypted connection"},
		{"could not translate host name", "Unreachable", "the pod cannot resolve the instance's name: look at the cluster's DNS and the instance's VPC"},
		{"timeout expired", "Unreachable", "let the security groups of the instance accept connections from the cluster's nodes (argument securityGroupID)"},
		{"Connection refused", "Unreachable", "let the security groups of the instance accept connections from the cluster's nodes (argument securityGroupID)"},
		{"does not exist", "NotFound", "compare the databases and roles of the server with those that are named"},
		{"permission denied", "AccessDenied", "log in as a user who owns the databases"},
	} {
		if strings.Contains(e.Error(), known.part) {
			return known.reason, known.hint
		}
	}

	return "PostgreSQL", ""
}

// command prepares a program of PostgreSQL's. The password is in its environment only.
func (s server) command(ctx context.Context, program string, args ...string) (*exec.Cmd, *tail) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "PGHOST="+s.host, "PGPORT="+strconv.Itoa(int(s.port)), "PGUSER="+s.user, "PGPASSWORD="+s.password,
		"PGCONNECT_TIMEOUT=30", "PGAPPNAME=kubectl-kanister", "PGCLIENTENCODING=UTF8", "LC_MESSAGES=C")
	cmd.WaitDelay = killAfter
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }

	said := &tail{}
	cmd.Stderr = said

	return cmd, said
}

// run runs a program to its end.
func run(ctx context.Context, cmd *exec.Cmd, said *tail) error {
	err := cmd.Run()
	if err == nil {
		return nil
	}

	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	e := &serverError{program: cmd.Args[0], said: said.String(), err: err, exit: -1}

	var exit *exec.ExitError
	if errors.As(err, &exit) {
		e.exit = exit.ExitCode()
	}

	return e
}

// psqlArgs are those of every psql: no start-up file, no questions, stop at the first error.
func psqlArgs(database string, more ...string) []string {
	return append([]string{"-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-d", connection(database)}, more...)
}

// rows runs a query in the maintenance database and gives the first column.
func (s server) rows(ctx context.Context, database, query string) ([]string, error) {
	cmd, said := s.command(ctx, "psql", psqlArgs(database, "-A", "-t", "-0", "-c", query)...)

	var out bytes.Buffer

	cmd.Stdout = &out

	if err := run(ctx, cmd, said); err != nil {
		return nil, err
	}

	if out.Len() == 0 {
		return nil, nil
	}

	return strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00"), nil
}

// maintenance finds a database to connect to first. A server that does not answer yet is given some time.
func (s server) maintenance(ctx context.Context) (string, error) {
	names := []string{"postgres", "template1"}
	patience := time.NewTimer(connectPatience)

	defer patience.Stop()

	for i := 0; ; i++ {
		name := names[i%len(names)]

		_, err := s.rows(ctx, name, "SELECT 1")
		if err == nil {
			return name, nil
		}

		var e *serverError
		if !errors.As(err, &e) || e.exit != noConnection {
			return "", fmt.Errorf("connecting to PostgreSQL at %s:%d: %w", s.host, s.port, err)
		}

		reason, _ := e.explain()
		missing := reason == "NotFound" && name == names[0]

		if !missing && reason != "Unreachable" && !strings.Contains(e.said, "starting up") {
			return "", fmt.Errorf("connecting to PostgreSQL at %s:%d as %q: %w", s.host, s.port, s.user, err)
		}

		if missing {
			continue
		}

		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-patience.C:
			return "", fmt.Errorf("connecting to PostgreSQL at %s:%d for %s: %w", s.host, s.port, connectPatience, err)
		case <-time.After(connectPause):
		}

		i++ // the same name again
	}
}

// tail keeps the last of what is written.
type tail struct{ bytes []byte }

var _ io.Writer = (*tail)(nil)

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.bytes = append(t.bytes, p...)
	if len(t.bytes) > lastBytes {
		t.bytes = append([]byte(nil), t.bytes[len(t.bytes)-lastBytes:]...)
	}

	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.bytes)) }
