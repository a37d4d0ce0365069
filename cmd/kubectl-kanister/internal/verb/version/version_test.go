package version

import (
	"bytes"
	"encoding/json"
	"runtime"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/release"
)

func TestClientVersionNeedsNoCluster(t *testing.T) {
	var out bytes.Buffer

	o := &Options{
		IOStreams: genericiooptions.IOStreams{Out: &out}, Client: true, Output: "json", // no Getter: it would panic
		Environ: func(string) (string, bool) { return "registry.example/runner:v1", true },
	}
	if err := o.Run(t.Context()); err != nil {
		t.Fatal(err)
	}

	var got Versions
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}

	want := Versions{Plugin: release.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, RunnerImage: "registry.example/runner:v1"}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
