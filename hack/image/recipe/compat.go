package recipe

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/debian"
)

// CompatTag is the name of the compatibility image under which its database servers run.
const CompatTag = "kubectl-kanister/compat:dev"

// compatTags are also the names of upstream's tool images, as upstream's blueprints have them: those run unchanged.
var compatTags = []string{
	CompatTag,
	"ghcr.io/kanisterio/kanister-tools:0.116.0",
	"ghcr.io/kanisterio/kanister-tools:0.110.0",
	"ghcr.io/kanisterio/kanister-kubectl-1.18:0.116.0",
	"ghcr.io/kanisterio/mysql-sidecar:0.116.0",
	"ghcr.io/kanisterio/mysql-sidecar:0.43.0",
	"ghcr.io/kanisterio/postgres-kanister-tools:0.116.0",
	"ghcr.io/kanisterio/postgres-kanister-tools:0.119.0", // what functions/spec takes when none is named
	"ghcr.io/kanisterio/postgres-kanister-tools:0.34.0",
	"ghcr.io/kanisterio/postgres-task:9.6",
	"ghcr.io/kanisterio/postgres-task:262fc0cbc8f0",
	"bitnamilegacy/postgresql:17",
}

//go:embed files/aws files/mysqldump files/redis-dump
var compatFiles embed.FS

var compat = Image{
	Name:  "compat",
	About: "database clients and servers, under the names of upstream's tool images too",
	make: func(ctx context.Context, k kitchen) (string, error) {
		packages, err := compatPackages()
		if err != nil {
			return "", err
		}
		layer, err := k.cachedLayer(ctx, "compat", packages)
		if err != nil {
			return "", err
		}
		programs, err := k.compatPrograms(ctx)
		if err != nil {
			return "", err
		}
		tmp := filepath.Join(k.dir, "compat-programs.tmp")
		top, err := archive.WriteLayer(tmp, programs)
		if err != nil {
			return "", err
		}
		defer func() { _ = os.Remove(tmp) }()
		config := v1.Config{
			User: fmt.Sprintf("%d:%d", User, User), Env: []string{searchPath, "HOME=/tmp", "LANG=C.UTF-8", "TZ=UTC"},
			Cmd: []string{"bash"}, WorkingDir: "/tmp",
		}
		digest, err := top.Digest()
		if err != nil {
			return "", err
		}
		path, err := k.path("compat", compatTags, config, packages, digest)
		if err != nil || exists(path) {
			return path, err
		}
		base, err := k.deb.BaseLayer(ctx)
		if err != nil {
			return "", err
		}
		return path, archive.WriteTagged(path, compatTags, config, base, layer, top)
	},
}

func compatPackages() (debian.Recipe, error) {
	recipe := debian.Recipe{
		Before: fmt.Sprintf("groupadd --gid %d nonroot\nuseradd --uid %d --gid %d --home-dir /tmp --no-create-home --shell /bin/bash nonroot\n", User, User, User),
		Packages: []string{
			"awscli", "ca-certificates", "curl", "etcd-client", "etcd-server", "mariadb-client", "mariadb-server-core",
			"postgresql-client-15", "redis-server", "restic",
		},
		// The command line describes all of Amazon's services, 100 MB of them, and is called for s3 and rds only; of the others it reads these two
		// as it starts. What it waits for on RDS takes seconds here.
		After: `
find / -xdev -path '*/botocore/data/*' -name service-2.json -size +200k ! -path '*/s3/*' ! -path '*/codedeploy/*' ! -path '*/config/*' ! -path '*/rds/*' -printf '%h\n' | xargs -r rm -rf
find / -xdev -path '*/botocore/data/rds/*' -name waiters-2.json -exec sed -i 's/"delay": *30/"delay":1/' {} +
PYTHONDONTWRITEBYTECODE=1 aws --version
rm -rf /usr/share/awscli/examples /usr/lib/python3/dist-packages/awscli/examples
find / -xdev -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || :
find /etc/ssl/certs -xtype l -delete
`,
		// In upstream's images sh is bash, and the etcd blueprint relies on it: sh -o pipefail.
		Files: []archive.File{archive.Symlink("/usr/bin/sh", "bash")},
	}
	for _, name := range []string{"aws", "mysqldump", "redis-dump"} {
		data, err := compatFiles.ReadFile("files/" + name)
		if err != nil {
			return recipe, err
		}
		recipe.Files = append(recipe.Files, archive.File{Path: "/usr/local/bin/" + name, Mode: 0o755, Data: data})
	}
	return recipe, nil
}

// compatPrograms are kando, which is our runner, and kubectl: what changes more often than the packages.
func (k kitchen) compatPrograms(ctx context.Context) ([]archive.File, error) {
	kando, err := runnerProgram.Build(ctx, k.log)
	if err != nil {
		return nil, err
	}
	kubectl, err := binaries.Kubernetes("kubectl").Build(ctx, k.log)
	if err != nil {
		return nil, err
	}
	return []archive.File{
		{Path: "/usr/local/bin/kando", Mode: 0o755, Source: kando},
		{Path: "/usr/local/bin/kubectl", Mode: 0o755, Source: kubectl},
	}, nil
}
