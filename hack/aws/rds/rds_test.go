package rds

import (
	"errors"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/desk"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
)

// stubs stand in for PostgreSQL's programs, which the host need not have: the end-to-end tests have the real ones.
var stubs = map[string]string{
	"initdb":        `while [ "$1" != -D ]; do shift; done; mkdir -p "$2"`,
	"pg_basebackup": `while [ "$1" != -D ]; do shift; done; mkdir -p "$2"`,
	"pg_ctl":        `exit 0`,
	"psql":          `exit 0`,
}

func TestMain(m *testing.M) {
	bin, err := os.MkdirTemp("", "rds")
	if err != nil {
		log.Fatal(err)
	}
	for name, script := range stubs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			log.Fatal(err)
		}
	}
	if err := os.Setenv("PATH", bin+":"+os.Getenv("PATH")); err != nil { // once, so that the tests can run side by side
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(bin)
	os.Exit(code)
}

func newServer(t *testing.T) *Server {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	service, err := model.Load(filepath.Join(strings.TrimSpace(string(out)), "models/apis/rds/2014-10-31/api-2.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := desk.NewKeyring("AKIATEST:secret")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(service, t.TempDir(), "10.0.0.1", keys)
	if err != nil {
		t.Fatal(err)
	}
	for id, engine := range map[string]string{"shop": "postgres", "fleet": "aurora-mysql"} {
		if err := s.Add(id, "boss", "pa'ss", engine, "sg-0a"); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// ask goes through the model both ways, as requests do.
func ask(s *Server, action string, pairs ...string) (string, error) {
	form := map[string][]string{"Action": {action}, "Version": {"2014-10-31"}}
	for i := 0; i < len(pairs); i += 2 {
		form[pairs[i]] = []string{pairs[i+1]}
	}
	operation, in, err := s.Service.Parse(form)
	if err != nil {
		return "", err
	}
	out, err := s.Do(desk.Request{Operation: operation, Region: "eu-test-1", Input: in})
	if err != nil {
		return "", err
	}
	body, err := s.Service.Answer(operation, out, "1")
	return string(body), err
}

func must(t *testing.T, s *Server, action string, pairs ...string) string {
	t.Helper()
	body, err := ask(s, action, pairs...)
	if err != nil {
		t.Fatalf("%s %v: %v", action, pairs, err)
	}
	return body
}

// until asks until the answer holds want, or an error has it as its code.
func until(t *testing.T, s *Server, want, action string, pairs ...string) string {
	t.Helper()
	var body string
	for range 200 {
		var (
			err error
			e   *model.Error
		)
		if body, err = ask(s, action, pairs...); err == nil && strings.Contains(body, want) || errors.As(err, &e) && e.Code == want {
			return body
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%s %v never says %q: %s", action, pairs, want, body)
	return ""
}

func code(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestInstances(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	made := must(t, s, "CreateDBSnapshot", "DBSnapshotIdentifier", "s", "DBInstanceIdentifier", "shop", "Tags.Tag.1.Key", "k", "Tags.Tag.1.Value", "v")
	if !strings.Contains(made, "<Status>creating</Status>") || !strings.Contains(made, "<Key>k</Key>") {
		t.Error(made)
	}
	restore := []string{"DBInstanceIdentifier", "copy", "DBSnapshotIdentifier", "s", "DBSubnetGroupName", "private", "VpcSecurityGroupIds.VpcSecurityGroupId.1", "sg-1"}
	if _, err := ask(s, "RestoreDBInstanceFromDBSnapshot", restore...); code(err) != "InvalidDBSnapshotState" {
		t.Errorf("a snapshot that is not ready: %v", err)
	}
	if _, err := ask(s, "DeleteDBSnapshot", "DBSnapshotIdentifier", "s"); code(err) != "InvalidDBSnapshotState" {
		t.Errorf("deleting it: %v", err)
	}
	until(t, s, "<Status>available</Status>", "DescribeDBSnapshots", "DBSnapshotIdentifier", "s")
	if made := must(t, s, "RestoreDBInstanceFromDBSnapshot", restore...); strings.Contains(made, "<Endpoint>") || !strings.Contains(made, "<DBInstanceStatus>creating</DBInstanceStatus>") {
		t.Error(made)
	}
	if _, err := ask(s, "DeleteDBInstance", "DBInstanceIdentifier", "copy", "SkipFinalSnapshot", "true"); code(err) != "InvalidDBInstanceState" {
		t.Errorf("deleting what is being made: %v", err)
	}
	ready := until(t, s, "<DBInstanceStatus>available</DBInstanceStatus>", "DescribeDBInstances", "DBInstanceIdentifier", "copy")
	for _, part := range []string{"<Address>10.0.0.1</Address>", "<VpcSecurityGroupId>sg-1</VpcSecurityGroupId>", "<DBSubnetGroupName>private</DBSubnetGroupName>"} {
		if !strings.Contains(ready, part) {
			t.Errorf("%s is not in %s", part, ready)
		}
	}
	if _, err := ask(s, "DeleteDBInstance", "DBInstanceIdentifier", "copy"); code(err) != "InvalidParameterCombination" {
		t.Errorf("without a word about the final snapshot: %v", err)
	}
	must(t, s, "DeleteDBInstance", "DBInstanceIdentifier", "copy", "SkipFinalSnapshot", "true")
	until(t, s, "DBInstanceNotFound", "DescribeDBInstances", "DBInstanceIdentifier", "copy")
	must(t, s, "DeleteDBSnapshot", "DBSnapshotIdentifier", "s")
	if state, err := os.ReadFile(filepath.Join(s.dir, "state")); err != nil || strings.Contains(string(state), "snapshot") || !strings.Contains(string(state), "instance shop available ") {
		t.Errorf("%s %v", state, err)
	}
}

func TestClusters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	must(t, s, "CreateDBClusterSnapshot", "DBClusterSnapshotIdentifier", "s", "DBClusterIdentifier", "fleet")
	until(t, s, "<Status>available</Status>", "DescribeDBClusterSnapshots", "DBClusterSnapshotIdentifier", "s")
	if _, err := ask(s, "RestoreDBClusterFromSnapshot", "DBClusterIdentifier", "copy", "SnapshotIdentifier", "s", "Engine", "aurora-postgresql"); code(err) != "InvalidParameterCombination" {
		t.Errorf("of another engine: %v", err)
	}
	must(t, s, "RestoreDBClusterFromSnapshot", "DBClusterIdentifier", "copy", "SnapshotIdentifier", "s", "Engine", "aurora-mysql")
	until(t, s, "<Status>available</Status>", "DescribeDBClusters", "DBClusterIdentifier", "copy")
	must(t, s, "CreateDBInstance", "DBInstanceIdentifier", "member", "DBClusterIdentifier", "copy", "DBInstanceClass", "db.t4g.medium", "Engine", "aurora-mysql")
	until(t, s, "<DBInstanceStatus>available</DBInstanceStatus>", "DescribeDBInstances", "DBInstanceIdentifier", "member")
	if _, err := ask(s, "DeleteDBCluster", "DBClusterIdentifier", "copy", "SkipFinalSnapshot", "true"); code(err) != "InvalidDBClusterStateFault" {
		t.Errorf("deleting a cluster with a member: %v", err)
	}
	must(t, s, "DeleteDBInstance", "DBInstanceIdentifier", "member", "SkipFinalSnapshot", "true")
	must(t, s, "DeleteDBCluster", "DBClusterIdentifier", "copy", "SkipFinalSnapshot", "true")
	until(t, s, "DBClusterNotFoundFault", "DescribeDBClusters", "DBClusterIdentifier", "copy")
}

// The codes are those that AWS's description gives the actions: the model refuses others.
func TestNotFound(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, test := range []struct {
		want, action string
		pairs        []string
	}{
		{"DBInstanceNotFound", "DescribeDBInstances", []string{"DBInstanceIdentifier", "none"}},
		{"DBInstanceNotFound", "DeleteDBInstance", []string{"DBInstanceIdentifier", "none", "SkipFinalSnapshot", "true"}},
		{"DBInstanceNotFound", "CreateDBSnapshot", []string{"DBSnapshotIdentifier", "s", "DBInstanceIdentifier", "none"}},
		{"DBSnapshotNotFound", "DescribeDBSnapshots", []string{"DBSnapshotIdentifier", "none"}},
		{"DBSnapshotNotFound", "DeleteDBSnapshot", []string{"DBSnapshotIdentifier", "none"}},
		{"DBSnapshotNotFound", "RestoreDBInstanceFromDBSnapshot", []string{"DBInstanceIdentifier", "x", "DBSnapshotIdentifier", "none"}},
		{"DBClusterNotFoundFault", "DescribeDBClusters", []string{"DBClusterIdentifier", "shop"}},
		{"DBClusterNotFoundFault", "DeleteDBCluster", []string{"DBClusterIdentifier", "none"}},
		{"DBClusterNotFoundFault", "CreateDBClusterSnapshot", []string{"DBClusterSnapshotIdentifier", "s", "DBClusterIdentifier", "none"}},
		{"DBClusterSnapshotNotFoundFault", "DescribeDBClusterSnapshots", []string{"DBClusterSnapshotIdentifier", "none"}},
		{"DBClusterSnapshotNotFoundFault", "RestoreDBClusterFromSnapshot", []string{"DBClusterIdentifier", "x", "SnapshotIdentifier", "none", "Engine", "aurora-mysql"}},
		{"InvalidAction", "RebootDBInstance", []string{"DBInstanceIdentifier", "shop"}},
	} {
		if _, err := ask(s, test.action, test.pairs...); code(err) != test.want {
			t.Errorf("%s: %v, want %s", test.action, err, test.want)
		}
	}
}
