package kando

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A push that dies in the middle must not leave an object that looks whole, nor replace the one that was there.
func TestKilledPushLeavesNoObject(t *testing.T) {
	dir, profile := bucket(t, "")
	if got := run(t, io.LimitReader(rand.NewChaCha8([32]byte{}), 10), "location", "push", "-p", profile, "-s", "old", "-"); got.code != 0 {
		t.Fatalf("%+v", got)
	}

	for _, key := range []string{"old", "new"} {
		push := process(t, "location", "push", "-p", profile, "-s", key, "-")

		in, err := push.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}

		if err := push.Start(); err != nil {
			t.Fatal(err)
		}

		// Some parts are surely stored when as much as this is read, and the stream has no end yet.
		if _, err := io.CopyN(in, rand.NewChaCha8([32]byte{1}), 80<<20); err != nil {
			t.Fatalf("feeding kando: %v: %s", err, &push.said)
		}

		if err := push.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}

		if err := push.Wait(); err == nil {
			t.Fatal("the killed push succeeded")
		}
	}

	if info, err := os.Stat(filepath.Join(dir, "old")); err != nil || info.Size() != 10 {
		t.Errorf("the object from before: %v, %v", info, err)
	}

	if _, err := os.Stat(filepath.Join(dir, "new")); !os.IsNotExist(err) {
		t.Errorf("an object is there: %v", err)
	}
}
