package kando

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// memoryBound is what kando may hold, whatever the size of the object (issue 4): it runs inside the limits of a database's container.
	memoryBound = 100 << 20
	// asKando makes the test binary be kando, so that its memory can be measured apart from the test's. It names the file for the
	// process's /proc/self/status at its end: ru_maxrss of a child counts the parent's memory at the fork.
	asKando = "KANDO_TEST_PROCESS"
	// streamMiB lets a run measure a longer stream than the quick one of every day, 10240 for that of the issue.
	streamMiB = "KANDO_TEST_STREAM_MIB"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(asKando); file != "" {
		code := Main(context.Background(), os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}, "test")

		status, err := os.ReadFile("/proc/self/status")
		if err == nil {
			err = os.WriteFile(file, status, 0o600)
		}

		if err != nil {
			code = 1
		}

		os.Exit(code)
	}

	os.Exit(m.Run())
}

// child is kando in a process of its own. Its pipes are real ones.
type child struct {
	*exec.Cmd

	said   bytes.Buffer
	status string
}

func process(t *testing.T, args ...string) *child {
	t.Helper()

	c := &child{Cmd: exec.CommandContext(t.Context(), binary(t), args...), status: filepath.Join(t.TempDir(), "status")}
	c.Env = append(os.Environ(), asKando+"="+c.status)
	c.Stderr = &c.said

	return c
}

// binary is this test's, without the race detector.
func binary(t *testing.T) string {
	t.Helper()

	if !raced {
		return os.Args[0]
	}

	plain := filepath.Join(t.TempDir(), "kando.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-race=false", "-o", plain, ".").CombinedOutput(); err != nil {
		t.Fatalf("building kando without the race detector: %v\n%s", err, out)
	}

	return plain
}

// peak is the largest resident set of the ended process, in bytes.
func (c *child) peak(t *testing.T) int64 {
	t.Helper()

	status, err := os.ReadFile(c.status)
	if err != nil {
		t.Fatal(err)
	}

	for line := range strings.Lines(string(status)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}

	t.Fatalf("no VmHWM in %s", status)

	return 0
}

func TestConstantMemory(t *testing.T) {
	mib := int64(192)

	if text := os.Getenv(streamMiB); text != "" {
		var err error
		if mib, err = strconv.ParseInt(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}

	_, profile := bucket(t, "")
	stream := func() io.Reader {
		return io.LimitReader(rand.NewChaCha8([32]byte{1}), mib<<20) // the same bytes each time; no store can compress them
	}
	started := time.Now()

	push := process(t, "location", "push", "-p", profile, "-s", "stream", "-")
	sent := sha256.New()
	push.Stdin = io.TeeReader(stream(), sent)

	if err := push.Run(); err != nil {
		t.Fatalf("pushing: %v: %s", err, &push.said)
	}

	pushed := time.Now()

	pull := process(t, "location", "pull", "-p", profile, "-s", "stream", "-")
	got := sha256.New()
	pull.Stdout = got

	if err := pull.Run(); err != nil {
		t.Fatalf("pulling: %v: %s", err, &pull.said)
	}

	t.Logf("%d MiB: push %d MiB RSS, %s; pull %d MiB RSS, %s", mib, push.peak(t)>>20, pushed.Sub(started).Round(time.Second),
		pull.peak(t)>>20, time.Since(pushed).Round(time.Second))

	if hex.EncodeToString(got.Sum(nil)) != hex.EncodeToString(sent.Sum(nil)) {
		t.Error("another content came back")
	}

	for word, cmd := range map[string]*child{"push": push, "pull": pull} {
		if rss := cmd.peak(t); rss > memoryBound {
			t.Errorf("%s of %d MiB took %d MiB of memory, more than %d MiB", word, mib, rss>>20, memoryBound>>20)
		}
	}
}
