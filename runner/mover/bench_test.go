package mover

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// benchmarkMiB is how much data the benchmarks move; KANISTER_BENCH_MIB changes it.
const benchmarkMiB = 2048

// BenchmarkMover measures the data mover and kopia's command line with its defaults, each as a process of its own, on the same data
// and the same S3 server over TLS. Run it by itself, once:
//
//	go test -run '^$' -bench Mover -benchtime 1x ./runner/mover
func BenchmarkMover(b *testing.B) {
	runner := filepath.Join(b.TempDir(), "runner")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", runner, "github.com/kubectl-kanister/kubectl-kanister/runner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")

	if text, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}

	command := locationtest.Binary(b, "kopia-v0.22.3", ".", "github.com/kopia/kopia")
	server := locationtest.Versitygw(b)

	for _, kind := range []struct {
		name string
		fill func(*testing.B, string)
	}{{"incompressible", incompressible}, {"text", text}, {"small", small}} {
		data := b.TempDir()
		kind.fill(b, filepath.Join(data, "data"))

		b.Run(kind.name+"/backup/ours", func(b *testing.B) {
			for i := range b.N {
				measure(b, ours(b, runner, server, kind.name+strconv.Itoa(i), data, OpBackup))
			}
		})
		b.Run(kind.name+"/again/ours", func(b *testing.B) {
			for range b.N {
				measure(b, ours(b, runner, server, kind.name+"0", data, OpBackup))
			}
		})
		b.Run(kind.name+"/restore/ours", func(b *testing.B) {
			for range b.N {
				measure(b, ours(b, runner, server, kind.name+"0", b.TempDir(), OpRestore))
			}
		})
		b.Run(kind.name+"/backup/kopia", func(b *testing.B) {
			for i := range b.N {
				bucket := "kopia" + kind.name + strconv.Itoa(i)
				server.Bucket(b, bucket)

				cli := newCommandLine(b, command)
				cli.create(server, bucket, "")
				measure(b, cli.command("snapshot", "create", "--no-progress", filepath.Join(data, "data")))
			}
		})

		_ = os.RemoveAll(data)
	}
}

func ours(b *testing.B, runner string, server *locationtest.Server, bucket, dir, op string) *exec.Cmd {
	b.Helper()

	server.Bucket(b, bucket)
	p := server.Profile(bucket, "")
	r := Request{
		Op: op, Profile: &record.Profile{Name: p.Name, Location: p.Location, Credential: p.Credential, CABundle: p.CABundle},
		Prefix: "app", Password: "bench", Dir: dir, Source: kopia.Source{Namespace: "bench", Path: "/data"},
		Tags: map[string]string{kopia.BackupTag: "bench"}, Tag: "bench", Volumes: []string{"/data"},
	}

	text, err := json.Marshal(r)
	if err != nil {
		b.Fatal(err)
	}

	file := filepath.Join(b.TempDir(), RequestFile)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		b.Fatal(err)
	}

	return exec.Command(runner, "mover", file)
}

// measure runs a command and reports what it cost.
func measure(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	b.StopTimer()
	syscall.Sync()
	b.StartTimer()

	text, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}

	b.StopTimer()

	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	b.ReportMetric((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), "cpu-s")
	b.ReportMetric(float64(usage.Maxrss)/1024, "MiB-rss")
	b.StartTimer()
}

// commandLine is kopia's own, with a configuration of its own.
type commandLine struct {
	tb     testing.TB
	binary string
	config string
	env    []string
}

func newCommandLine(tb testing.TB, binary string) *commandLine {
	tb.Helper()

	home := tb.TempDir()

	return &commandLine{
		tb: tb, binary: binary, config: filepath.Join(home, "config"),
		env: append(os.Environ(), "HOME="+home, "KOPIA_CHECK_FOR_UPDATES=false", "KOPIA_PASSWORD=bench", "KOPIA_CACHE_DIRECTORY="+filepath.Join(home, "cache")),
	}
}

func (c *commandLine) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.binary, append(args, "--config-file", c.config, "--log-dir", filepath.Dir(c.config))...)
	cmd.Env = c.env

	return cmd
}

func (c *commandLine) create(server *locationtest.Server, bucket, prefix string) {
	c.tb.Helper()

	cmd := c.command("repository", "create", "s3", "--bucket", bucket, "--prefix", prefix, "--endpoint", strings.TrimPrefix(server.Endpoint, "https://"),
		"--access-key", locationtest.AccessKey, "--secret-access-key", locationtest.SecretKey, "--root-ca-pem-base64", base64.StdEncoding.EncodeToString([]byte(server.CA)))
	if text, err := cmd.CombinedOutput(); err != nil {
		c.tb.Fatalf("%v\n%s", err, text)
	}
}

func size(b *testing.B) int64 {
	b.Helper()

	mib := int64(benchmarkMiB)

	if text := os.Getenv("KANISTER_BENCH_MIB"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			b.Fatal(err)
		}

		mib = n
	}

	return mib << 20
}

// incompressible is eight large files of noise.
func incompressible(b *testing.B, dir string) {
	b.Helper()

	noise := rand.NewChaCha8([32]byte{1})
	for i := range 8 {
		fill(b, filepath.Join(dir, strconv.Itoa(i)), io.LimitReader(noise, size(b)/8))
	}
}

// text is a log of half the size.
func text(b *testing.B, dir string) {
	b.Helper()

	r, w := io.Pipe()
	noise := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("GET POST /index.html /api/v1/orders 200 404 500 Mozilla curl user session timeout connection closed by peer in ms bytes from to warning error")

	go func() {
		var line []byte

		for {
			line = strconv.AppendInt(append(line[:0], "2026-11-23T08:00:"...), noise.Int64N(60000), 10)
			for range 12 {
				line = append(append(line, ' '), words[noise.IntN(len(words))]...)
			}

			line = append(strconv.AppendInt(append(line, ' '), noise.Int64N(1e9), 10), '\n')
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}()

	fill(b, filepath.Join(dir, "log"), io.LimitReader(r, size(b)/2))
	_ = r.Close()
}

// small is twenty thousand files of 32 KiB in two hundred directories.
func small(b *testing.B, dir string) {
	b.Helper()

	noise := rand.NewChaCha8([32]byte{2})
	for i := range int(size(b) / 2 >> 20 * 20) {
		fill(b, filepath.Join(dir, strconv.Itoa(i%200), strconv.Itoa(i)), io.LimitReader(noise, 32<<10))
	}
}

func fill(b *testing.B, name string, from io.Reader) {
	b.Helper()

	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.Fatal(err)
	}

	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}

	if _, err := io.Copy(f, from); err != nil {
		b.Fatal(err)
	}

	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
