//go:build e2e

package e2e

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/blueprinttest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// compatImage has the database servers; under the names of upstream's tool images it is what upstream's blueprints run in.
const compatImage = "kubectl-kanister/compat:dev"

// cycle is what people have a blueprint for: back up, lose, get back, and one day delete.
type cycle struct {
	// Blueprint is upstream's file, used as it is.
	Blueprint string
	// Target of backup and restore: sts/db.
	Target string
	// Args for every action.
	Args []string
	// Read is all that must come back.
	Read func() string
	// Change destroys some of it and alters the rest.
	Change func()
	// Restore does by hand what a blueprint without such an action leaves to people; nil: the action restore.
	Restore func(backup record.Record)
	// After brings the application back after a restore.
	After func()
	// Stays: the backup and what a restore makes of it are objects in the namespace.
	Stays bool
	// NoDelete: there is no such action.
	NoDelete bool
	// Gone checks that nothing of the backup is left.
	Gone func()
}

// Cycle goes through it.
func (w *World) Cycle(c cycle) {
	w.Helper()

	file := filepath.Join(blueprinttest.Dir(w.T), filepath.FromSlash(c.Blueprint))
	run := blueprinttest.Run{Blueprint: c.Blueprint}
	act := func(action string, args ...string) record.Record {
		w.Helper()

		r := w.Want(0, slices.Concat([]string{action}, args, []string{"-o", "json"}, c.Args)...)
		rec := w.Finished(r)

		if rec.State != record.Complete {
			w.Fatalf("%s of %s: state %s\n%s", action, c.Blueprint, rec.State, r.Stderr)
		}

		run.Seconds = append(run.Seconds, blueprinttest.Took{Action: action, Seconds: r.Took.Seconds()})

		if !c.Stays || action == "delete" {
			w.NothingLeft(rec.Run)
		}

		return rec
	}

	before := c.Read()
	if before == "" {
		w.Fatal("there is nothing to back up: the test proves nothing")
	}

	backup := act("backup", c.Target, "--blueprint", file)
	w.sameBlueprint(file, backup.Run)
	c.Change()

	if c.Read() == before {
		w.Fatal("the change has changed nothing: the test proves nothing")
	}

	if c.Restore != nil {
		c.Restore(backup)
	} else {
		act("restore", "--from", backup.Run)
	}

	if c.After != nil {
		c.After()
	}

	if diff := cmp.Diff(before, c.Read()); diff != "" {
		w.Errorf("%s: what was restored differs (-before +after):\n%s", c.Blueprint, diff)
	}

	if !c.NoDelete {
		act("delete", "--from", backup.Run)

		if c.Gone != nil {
			c.Gone()
		}
	}

	if w.Failed() {
		return
	}

	blueprinttest.CheckRun(w.T, run, os.Getenv("KANISTER_COMPAT_UPDATE") != "")
}

// sameBlueprint checks that the run worked with upstream's file and nothing else.
func (w *World) sameBlueprint(file, run string) {
	w.Helper()

	data, err := os.ReadFile(file)
	if err != nil {
		w.Fatal(err)
	}

	// What every phase is told.
	type phase struct {
		Name, Func string
		Args       map[string]any
	}

	var want, got struct {
		Actions map[string]struct {
			Phases     []phase
			DeferPhase *phase
		}
	}

	kept := w.Kubectl("get", "configmap", run, "-o", "jsonpath={.data.blueprint}")
	if err := yaml.Unmarshal(data, &want); err != nil {
		w.Fatal(err)
	}

	if err := yaml.Unmarshal([]byte(kept), &got); err != nil {
		w.Fatal(err)
	}

	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("run %s did not work with upstream's blueprint (-upstream +run):\n%s", run, diff)
	}
}

// Empty fails the test when a bucket holds an object.
func (w *World) Empty(bucket string) {
	w.Helper()

	if keys := w.Keys(bucket); len(keys) > 0 {
		w.Errorf("after delete the bucket still holds %.10q", keys)
	}
}

// Object reads the one object of a bucket whose key ends in the path that a blueprint gave to kando.
func (w *World) Object(bucket, path string) []byte {
	w.Helper()

	for _, key := range w.Keys(bucket) {
		if path == "" || !strings.HasSuffix(key, path) {
			continue
		}

		out, err := w.S3().GetObject(w.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			w.Fatal(err)
		}
		defer out.Body.Close()

		data, err := io.ReadAll(out.Body)
		if err != nil {
			w.Fatal(err)
		}

		return data
	}

	w.Fatalf("no object %q among %.20q", path, w.Keys(bucket))

	return nil
}

// In runs a script in a pod.
func (w *World) In(pod, script string) string {
	w.Helper()

	return w.Kubectl("exec", pod, "--", "bash", "-euo", "pipefail", "-c", script)
}

// Ready waits for a workload.
func (w *World) Ready(workload string) {
	w.Helper()
	w.Kubectl("rollout", "status", workload, "--timeout=120s")
}
