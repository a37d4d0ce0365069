package suggest_test

import (
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

func TestNearest(t *testing.T) {
	t.Parallel()

	functions := []string{"KubeExec", "KubeExecAll", "KubeTask", "BackupData", "BackupDataAll", "ScaleWorkload"}

	for _, tc := range []struct {
		word  string
		among []string
		want  string
	}{
		{"comand", []string{"command", "container", "namespace"}, "command"},
		{"KubeTaks", functions, "KubeTask"},
		{"kubetask", functions, "KubeTask"},
		{"KubeExecAl", functions, "KubeExecAll"},
		{"Backupdata", functions, "BackupData"},
		{"Frobnicate", functions, ""},
		{"x", []string{"y"}, ""},
		{"nme", []string{"name", "kind"}, "name"},
		{"", functions, ""},
		{strings.Repeat("a", 4096), functions, ""},
		{"command", nil, ""},
		{"ab", []string{"bc", "ac", "aa"}, "aa"},
	} {
		if got := suggest.Nearest(tc.word, tc.among); got != tc.want {
			t.Errorf("Nearest(%.20q) = %q, want %q", tc.word, got, tc.want)
		}
	}
}
