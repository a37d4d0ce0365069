package locationtest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// serve starts a program that listens on address, waits until it does, and stops it when the test ends. Its log goes into work.
func serve(tb testing.TB, work, address, binary string, args ...string) (pid int) {
	tb.Helper()

	log, err := os.Create(filepath.Join(work, "log"))
	if err != nil {
		tb.Fatal(err)
	}

	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}

	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})

	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = connection.Close()

			return cmd.Process.Pid
		}

		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			tb.Fatalf("%s does not listen on %s: %v\n%s", filepath.Base(binary), address, err, text)
		}
	}
}

// Binary returns the path of a program in the project's cache, building it from the module in dir (relative to the checkout) if
// it is not there. The same file is used by the test bed in hack/.
func Binary(tb testing.TB, name, dir, pkg string) string {
	tb.Helper()

	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}

	target := filepath.Join(cache, "kubectl-kanister", "bin", name)
	if _, err := os.Stat(target); err == nil {
		return target
	}

	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		tb.Fatal(err)
	}

	lock, err := os.OpenFile(target+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	defer lock.Close() // a lock file

	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		tb.Fatal(err)
	}

	if _, err := os.Stat(target); err == nil {
		return target
	}

	tb.Logf("building %s", name)

	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", target+".new", pkg)
	cmd.Dir = filepath.Join(checkout(tb), dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")

	if output, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building %s: %v\n%s", name, err, output)
	}

	if err := os.Rename(target+".new", target); err != nil {
		tb.Fatal(err)
	}

	return target
}

// checkout finds the root of the project above the working directory.
func checkout(tb testing.TB) string {
	tb.Helper()

	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}

	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}

	tb.Fatal("no go.mod above the working directory")

	return ""
}

func freeAddress(tb testing.TB) string {
	tb.Helper()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close() // only its number was wanted

	return l.Addr().String()
}

func addressParts(tb testing.TB, address string) (host, port string) {
	tb.Helper()

	host, port, err := net.SplitHostPort(address)
	if err != nil {
		tb.Fatal(err)
	}

	return host, port
}
