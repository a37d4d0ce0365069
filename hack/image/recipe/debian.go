package recipe

import (
	"context"
	_ "embed"
	"fmt"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/debian"
)

// Tags of the images from Debian packages. PostgreSQL's is the version that debian.Suite has.
const (
	ToolsTag    = "kubectl-kanister/tools:dev"
	PostgresTag = "kubectl-kanister/postgres:15"
)

// PostgresUser is the number of the user postgres, the one that people know from the library's image.
const PostgresUser = 999

//go:embed files/postgres-entrypoint.sh
var postgresEntrypoint []byte

var tools = Image{
	Name:  "tools",
	About: "bash, coreutils and curl, for tasks in tests",
	make: func(ctx context.Context, k kitchen) (string, error) {
		return k.fromDebian(ctx, "tools", ToolsTag, v1.Config{
			User: fmt.Sprintf("%d:%d", User, User), Env: []string{searchPath, "HOME=/tmp", "LANG=C.UTF-8"},
			Cmd: []string{"bash"}, WorkingDir: "/tmp",
		}, debian.Recipe{
			Before:   fmt.Sprintf("groupadd --gid %d nonroot\nuseradd --uid %d --gid %d --home-dir /tmp --no-create-home --shell /bin/bash nonroot\n", User, User, User),
			Packages: []string{"ca-certificates", "curl"},
		})
	},
}

var postgres = Image{
	Name:  "postgres",
	About: "PostgreSQL 15 with psql and pg_dump",
	make: func(ctx context.Context, k kitchen) (string, error) {
		return k.fromDebian(ctx, "postgres", PostgresTag, v1.Config{
			User:         fmt.Sprintf("%d:%d", PostgresUser, PostgresUser),
			Env:          []string{"PATH=/usr/lib/postgresql/15/bin:" + searchPath[len("PATH="):], "LANG=C.UTF-8", "PGDATA=/var/lib/postgresql/data"},
			Entrypoint:   []string{"postgres-entrypoint"},
			Cmd:          []string{"postgres"},
			ExposedPorts: map[string]struct{}{"5432/tcp": {}},
			// SIGTERM, too, ends PostgreSQL, but only once every client has left.
			StopSignal: "SIGINT",
		}, debian.Recipe{
			Before: fmt.Sprintf(`
groupadd --system --gid %[1]d postgres
useradd --system --uid %[1]d --gid %[1]d --home-dir /var/lib/postgresql --no-create-home --shell /bin/bash postgres
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
`, PostgresUser),
			Packages: []string{
				"-o", "Dpkg::Options::=--force-confold", "postgresql-15", "postgresql-client-15",
			},
			// The just-in-time compiler is optional to the server, which looks for its library, and larger than all the rest. The key
			// was made for this machine.
			After: `
rm -rf /usr/lib/postgresql/15/lib/llvmjit.so /usr/lib/postgresql/15/lib/bitcode /usr/lib/x86_64-linux-gnu/libLLVM-*.so* /usr/lib/llvm-*
rm -f /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem
find /etc/ssl/certs -xtype l -delete
mkdir -p /var/lib/postgresql/data /docker-entrypoint-initdb.d
chown postgres:postgres /var/lib/postgresql /var/lib/postgresql/data
chmod 1777 /var/lib/postgresql/data
`,
			Files: []archive.File{
				{Path: "/usr/local/bin/postgres-entrypoint", Mode: 0o755, Data: postgresEntrypoint},
				// Made here: /run is not taken from the package's tree.
				{Path: "/run/postgresql", Mode: fs.ModeDir | fs.ModeSticky | 0o777, UID: PostgresUser, GID: PostgresUser},
			},
		})
	},
}
