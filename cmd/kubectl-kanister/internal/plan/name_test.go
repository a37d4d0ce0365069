package plan_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

func TestRunName(t *testing.T) {
	for _, test := range []struct{ action, target, want string }{
		{"backup", "postgres", "backup-postgres-7f3k2"},
		{"backupToS3", "My.App_v2", "backuptos3-my-app-v2-7f3k2"},
		{"backup", "", "backup-7f3k2"},
		{"", "db", "db-7f3k2"},
		{"", "", "run-7f3k2"},
		{"--", "..", "run-7f3k2"},
		{"3way", "x", "run-3way-x-7f3k2"},
		{"backup", "ünïcode", "backup-n-code-7f3k2"},
		{"restore", strings.Repeat("a", 253), "restore-" + strings.Repeat("a", 43) + "-7f3k2"},
		{"restore", strings.Repeat("a", 42) + "-bbb", "restore-" + strings.Repeat("a", 42) + "-7f3k2"},
	} {
		got := plan.RunName(test.action, blueprint.ObjectReference{Name: test.target}, "7f3k2")
		if got != test.want {
			t.Errorf("RunName(%q, %q) = %q, want %q", test.action, test.target, got, test.want)
		}
	}
}

// FuzzRunName: whatever blueprints and targets are called, the name can be a pod's hostname with the Job's suffix.
func FuzzRunName(f *testing.F) {
	f.Add("backup", "postgres")
	f.Add("-", "9")
	f.Fuzz(func(t *testing.T, action, target string) {
		name := plan.RunName(action, blueprint.ObjectReference{Name: target}, plan.NewSuffix())
		if err := plan.CheckName(name); err != nil {
			t.Error(err)
		}

		if problems := validation.IsDNS1123Label(name + "-abcde"); len(problems) > 0 {
			t.Errorf("pod name %q: %v", name, problems)
		}
	})
}

func TestNewSuffix(t *testing.T) {
	seen := map[string]bool{}

	for range 200 {
		suffix := plan.NewSuffix()
		if len(suffix) != 5 || seen[suffix] {
			t.Fatalf("suffix %q: wrong length or seen before", suffix)
		}

		seen[suffix] = true
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"nightly": true, "a": true, strings.Repeat("a", 57): true,
		strings.Repeat("a", 58): false, "": false, "Nightly": false, "a.b": false, "-a": false, "1a": false,
	} {
		if err := plan.CheckName(name); (err == nil) != ok {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}
