package native

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func cluster(t *testing.T) *Cluster {
	t.Helper()

	c := &Cluster{Home: t.TempDir()}
	for _, dir := range []string{"run", "logs"} {
		if err := os.Mkdir(c.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}

	return c
}

func sleeper(t *testing.T, args ...string) process {
	t.Helper()

	path, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}

	return process{name: "sleeper", path: path, args: append(args, "300")}
}

func TestLaunchKeepsAHealthyProcess(t *testing.T) {
	c, p := cluster(t), sleeper(t)
	t.Cleanup(func() { _ = c.stop(p.name) })

	if _, err := c.launch(p); err != nil {
		t.Fatal(err)
	}

	first, ok := c.running(p.name)
	if !ok {
		t.Fatal("not running after launch")
	}

	if _, err := c.launch(p); err != nil {
		t.Fatal(err)
	}

	if second, _ := c.running(p.name); second != first {
		t.Errorf("started again: %v, then %v", first, second)
	}

	changed := sleeper(t, "1")
	if _, err := c.launch(changed); err != nil {
		t.Fatal(err)
	}

	if third, ok := c.running(p.name); !ok || third.PID == first.PID {
		t.Errorf("changed arguments did not start it anew: %v", third)
	}

	if begin(first.PID) == first.Begin {
		t.Error("the old process lives on")
	}
}

func TestStopSparesAProcessThatTookTheNumber(t *testing.T) {
	c := cluster(t)

	other := exec.CommandContext(t.Context(), "sleep", "300")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })

	data, err := json.Marshal(mark{PID: other.Process.Pid, Begin: "1", Digest: "x"})
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(c.pidFile("ours"), data, 0o644); err != nil {
		t.Fatal(err)
	}

	if err := c.stop("ours"); err != nil {
		t.Fatal(err)
	}

	if begin(other.Process.Pid) == "" {
		t.Error("stop killed a process that is not ours")
	}
}

func TestAwaitShowsTheLogOfWhatDied(t *testing.T) {
	c := cluster(t)
	p := process{
		name: "liar", path: "/bin/sh", args: []string{"-c", "echo no such flag >&2; exit 1"},
		ready: func(context.Context) error { return errors.New("not yet") },
	}

	if _, err := c.launch(p); err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	err := c.await(t.Context(), p)

	if err == nil || !strings.Contains(err.Error(), "liar") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("error = %v, want the name and the end of the log", err)
	}

	if time.Since(began) > 10*time.Second {
		t.Error("waited for a dead process")
	}
}

func TestTemplatesRenderForAnyHome(t *testing.T) {
	c := cluster(t)
	if err := c.writeConfig(); err != nil {
		t.Fatal(err)
	}

	files, err := filepath.Glob(c.path("config", "*"))
	if err != nil || len(files) < 7 {
		t.Fatalf("files = %v, %v", files, err)
	}

	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(data), "{{") {
			t.Errorf("%s holds an unrendered template", file)
		}
	}
}
