package recipe

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
)

// User of images that need no other: the number that distroless images use for "nonroot".
const User = 65532

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

var runner = Image{
	Name:  "runner",
	About: "the runner, data mover and kando, from ./runner",
	make: func(ctx context.Context, k kitchen) (string, error) {
		return k.fromRunner(ctx, RunnerTag(), runnerProgram)
	},
}

var customRunner = Image{
	Name:  "custom-runner",
	About: "the runner of docs/examples/custom-runner, with a function of its own",
	make: func(ctx context.Context, k kitchen) (string, error) {
		return k.fromRunner(ctx, "kubectl-kanister/custom-runner:dev", binaries.Program{
			Name: "custom-runner", Dir: "../docs/examples/custom-runner", Package: "example.com/custom-runner",
		})
	},
}

// fromRunner makes a runner image of a program.
func (k kitchen) fromRunner(ctx context.Context, tag string, p binaries.Program) (string, error) {
	binary, err := p.Build(ctx, k.log)
	if err != nil {
		return "", err
	}
	files, err := runnerFiles(binary)
	if err != nil {
		return "", err
	}
	return k.fromFiles(p.Name, tag, runnerConfig, files)
}

var runnerProgram = binaries.Program{Name: "runner", Dir: "..", Package: "github.com/kubectl-kanister/kubectl-kanister/runner"}

// RunnerTag is the image that the plugin of this checkout uses: $RUNNER_IMAGE, as in the Makefile, so that two checkouts can
// share a cluster.
func RunnerTag() string { return cmp.Or(os.Getenv("RUNNER_IMAGE"), "kubectl-kanister/runner:dev") }

var runnerConfig = v1.Config{
	User:       fmt.Sprintf("%d:%d", User, User),
	Env:        []string{searchPath, "HOME=/tmp", "TZ=UTC", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
	Entrypoint: []string{"/runner"},
	WorkingDir: "/tmp",
	Labels:     map[string]string{"org.opencontainers.image.title": "kubectl-kanister runner"},
}

func runnerFiles(binary string) ([]archive.File, error) {
	files, err := staticRoot()
	return append(files,
		archive.File{Path: "/runner", Mode: 0o755, Source: binary},
		archive.Symlink("/usr/local/bin/runner", "/runner"),
		// The binary is kando when it is called so.
		archive.Symlink("/usr/local/bin/kando", "/runner"),
	), err
}

var versitygw = Image{
	Name:  "versitygw",
	About: "versitygw, an S3 server on plain files",
	make: func(ctx context.Context, k kitchen) (string, error) {
		return k.fromProgram(ctx, versityProgram)
	},
}

var fakeGCS = Image{
	Name:  "fakegcs",
	Extra: true,
	About: "fake-gcs-server, with the API of Google Cloud Storage",
	make: func(ctx context.Context, k kitchen) (string, error) {
		return k.fromProgram(ctx, fakeGCSProgram)
	},
}

// fromProgram makes an image of one program of a pinned module.
func (k kitchen) fromProgram(ctx context.Context, p binaries.Program) (string, error) {
	binary, err := p.Build(ctx, k.log)
	if err != nil {
		return "", err
	}
	tag, err := programTag(p)
	if err != nil {
		return "", err
	}
	files, err := staticRoot()
	if err != nil {
		return "", err
	}
	path := "/usr/local/bin/" + p.Name
	return k.fromFiles(p.Name, tag, v1.Config{
		User: fmt.Sprintf("%d:%d", User, User), Env: []string{searchPath, "HOME=/tmp"}, Entrypoint: []string{path}, WorkingDir: "/tmp",
	}, append(files, archive.File{Path: path, Mode: 0o755, Source: binary}))
}

var (
	versityProgram = binaries.Program{
		Name: "versitygw", Dir: "image/build/versitygw", Module: "github.com/versity/versitygw",
		Package: "github.com/versity/versitygw/cmd/versitygw", LDFlags: "-X main.Version=VERSION",
	}
	fakeGCSProgram = binaries.Program{
		Name: "fakegcs", Dir: "image/build/fakegcs", Module: "github.com/fsouza/fake-gcs-server", Package: "github.com/fsouza/fake-gcs-server",
	}
)

// VersityTag is the name of the image with versitygw.
func VersityTag() (string, error) { return programTag(versityProgram) }

// FakeGCSTag is the name of the image with fake-gcs-server.
func FakeGCSTag() (string, error) { return programTag(fakeGCSProgram) }

func programTag(p binaries.Program) (string, error) {
	version, err := p.Version()
	if err != nil {
		return "", err
	}
	return "kubectl-kanister/" + p.Name + ":" + strings.TrimPrefix(version, "v"), nil
}

// staticRoot is what a static binary needs around it: a user with a name, a place for temporary files and the certificates
// of public authorities.
func staticRoot() ([]archive.File, error) {
	files := []archive.File{
		archive.Dir("/etc", 0o755),
		archive.Dir("/etc/ssl", 0o755),
		archive.Dir("/etc/ssl/certs", 0o755),
		archive.Dir("/tmp", 0o777|os.ModeSticky),
		archive.Dir("/usr", 0o755),
		archive.Dir("/usr/local", 0o755),
		archive.Dir("/usr/local/bin", 0o755),
		{Path: "/etc/passwd", Mode: 0o644, Data: fmt.Appendf(nil, "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/tmp:/sbin/nologin\n", User, User)},
		{Path: "/etc/group", Mode: 0o644, Data: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", User)},
		{Path: "/etc/nsswitch.conf", Mode: 0o644, Data: []byte("hosts: files dns\n")},
	}
	certs, err := authorities("/usr/share/ca-certificates")
	if err != nil {
		return nil, err
	}
	return append(files, archive.File{Path: "/etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Data: certs}), nil
}

// authorities joins the certificates of the machine's ca-certificates package. The machine's own bundle may hold more, such
// as a company's, which is nobody else's to trust. Without the package there are none: profiles can bring their own.
func authorities(dir string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.crt"))
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("reading certificate: %w", err)
		}
		all.Write(bytes.TrimSpace(data))
		all.WriteByte('\n')
	}
	return all.Bytes(), nil
}
