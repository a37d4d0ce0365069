package functest_test

import (
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/builtin"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

// withoutRules are the functions that need no permission, with the reason.
var withoutRules = map[string]string{
	"LocationDelete":      "the runner reaches the location itself",
	"LocationCheck":       "the runner reaches the location itself",
	"DeleteData":          "the runner opens the repository itself",
	"DeleteDataAll":       "the runner opens the repository itself",
	"DeleteVolumeBackups": "the runner opens the repository itself",
	"CheckRepository":     "the runner opens the repository itself",
	"BackupDataStats":     "the runner opens the repository itself",
	"CreateRDSSnapshot":   "the runner asks AWS itself",
	"DeleteRDSSnapshot":   "the runner asks AWS itself",
	"ReleaseRDSInstance":  "the runner asks AWS itself",

	"WaitForSnapshotCompletion": "the runner asks AWS itself",
	"DeleteVolumeSnapshot":      "the runner asks AWS itself",

	"DeleteDataUsingKopiaServer": "the runner opens the repository itself, or reaches its server",
}

func TestBuiltinFunctions(t *testing.T) {
	for _, entry := range spec.All() {
		t.Run(entry.ID, func(t *testing.T) {
			t.Parallel()

			f, ok := functions.Default.Lookup(entry.ID)
			if !ok {
				t.Fatal("it has an entry but is not registered")
			}

			functest.Entry(t, entry, f)
			functest.Implementation(t, f)

			if withoutRules[entry.ID] == "" && len(entry.Rules) == 0 {
				t.Error("it has no Rules, and no reason why")
			}
		})
	}

	for _, name := range functions.Default.Names() {
		if _, ok := spec.Lookup(name); !ok {
			t.Errorf("function %q is registered but has no entry", name)
		}
	}
}
