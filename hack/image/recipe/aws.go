package recipe

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
)

// AWSTag is the name of the image with the stand-in for AWS, which a pod of another image takes from it.
const AWSTag = "kubectl-kanister/aws:dev"

var awsProgram = binaries.Program{Name: "aws", Dir: ".", Package: "github.com/kubectl-kanister/kubectl-kanister/hack/aws"}

// awsModels are AWS's descriptions of the services, by the names under which the program looks for them.
var awsModels = map[string]string{
	"rds.json": "models/apis/rds/2014-10-31/api-2.json",
	"ec2.json": "models/apis/ec2/2016-11-15/api-2.json",
	"sts.json": "models/apis/sts/2011-06-15/api-2.json",
}

var aws = Image{
	Name:  "aws",
	About: "a stand-in for AWS that checks requests against AWS's own models",
	make: func(ctx context.Context, k kitchen) (string, error) {
		binary, err := awsProgram.Build(ctx, k.log)
		if err != nil {
			return "", err
		}
		files, err := staticRoot()
		if err != nil {
			return "", err
		}
		files = append(files, archive.Dir("/aws", 0o755), archive.File{Path: "/aws/aws", Mode: 0o755, Source: binary})
		sdk, err := moduleDir(ctx, "github.com/aws/aws-sdk-go")
		if err != nil {
			return "", err
		}
		for name, path := range awsModels {
			files = append(files, archive.File{Path: "/aws/" + name, Mode: 0o644, Source: filepath.Join(sdk, path)})
		}
		return k.fromFiles("aws", AWSTag, v1.Config{
			User: fmt.Sprintf("%d:%d", User, User), Env: []string{searchPath, "HOME=/tmp"}, Entrypoint: []string{"/aws/aws"}, WorkingDir: "/tmp",
		}, files)
	},
}

// moduleDir is where the Go tool keeps a module that hack's go.mod requires.
func moduleDir(ctx context.Context, path string) (string, error) {
	hack, err := binaries.Hack()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", path)
	cmd.Dir, cmd.Stderr = hack, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding module %s: %w", path, err)
	}
	return strings.TrimSpace(string(out)), nil
}
