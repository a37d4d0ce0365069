package recipe

import (
	"context"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
)

// kopiaImage is kopia's own command line of the version that the runner links, for repository servers that are not ours.
var kopiaImage = Image{
	Name:  "kopia-cli",
	About: "kopia's own command line, to run repository servers",
	make: func(ctx context.Context, k kitchen) (string, error) {
		return k.fromProgram(ctx, kopiaProgram)
	},
}

var kopiaProgram = binaries.Program{Name: "kopia-cli", Dir: "..", Module: "github.com/kopia/kopia", Package: "github.com/kopia/kopia"}
