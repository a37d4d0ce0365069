package action

import (
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// TestWarnOfCredentials: whoever prints the input Secret is told what is in it, on stderr, so that the file stays what it is.
func TestWarnOfCredentials(t *testing.T) {
	profile, server := &record.Profile{Name: "s3"}, &params.RepositoryServer{Name: "repo"}

	for _, test := range []struct {
		output string
		input  record.Input
		says   []string
	}{
		{"yaml", record.Input{Run: "backup-x", Profile: profile}, []string{`Secret "backup-x"`, `profile "s3"`}},
		{"json", record.Input{Run: "backup-x", Profile: profile, RepositoryServer: server}, []string{`profile "s3" and repository server "repo"`}},
		{"yaml", record.Input{Run: "backup-x"}, nil},
		{"name", record.Input{Run: "backup-x", Profile: profile}, nil},
		{"", record.Input{Run: "backup-x", Profile: profile}, nil},
	} {
		streams, _, out, errOut := genericiooptions.NewTestIOStreams()
		o := &Options{IOStreams: streams, Output: test.output}
		o.warnOfCredentials(&plan.Plan{Input: test.input})

		if out.Len() > 0 || (errOut.Len() > 0) != (len(test.says) > 0) {
			t.Errorf("-o %q: stdout %q, stderr %q", test.output, out, errOut)
		}

		for _, part := range test.says {
			if !strings.Contains(errOut.String(), part) {
				t.Errorf("-o %q: %q lacks %q", test.output, errOut, part)
			}
		}
	}
}
