package functest_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

// cancelledBy names the test on the cluster that cancels a function half-way, after it has begun to make or change something, and looks at what
// is left. The others are in cancelledAsking.
var cancelledBy = map[string]string{
	"BackupData":                     "TestFunctionsCancelled",
	"BackupDataAll":                  "TestFunctionsCancelled",
	"BackupDataUsingKopiaServer":     "TestFunctionsCancelled",
	"CopyVolumeData":                 "TestFunctionsCancelled",
	"CopyVolumeDataUsingKopiaServer": "TestFunctionsCancelled",
	"CopyVolumes":                    "TestFunctionsCancelled",
	"CreateVolumeSnapshot":           "TestFunctionEBSFailures",
	"ExportRDSSnapshotToLocation":    "TestFunctionRDSInstance",
	"KubeExec":                       "TestFunctionsCancelled",
	"KubeExecAll":                    "TestFunctionsCancelled",
	"KubeOps":                        "TestFunctionKubeOpsHeldCancelledRepeated",
	"KubeTask":                       "TestFunctionKubeTaskCancelAndDelete",
	"MultiContainerRun":              "TestFunctionMultiContainerRunOverrideAndCancel",
	"PrepareData":                    "TestFunctionsCancelled",
	"RestoreData":                    "TestFunctionsCancelled",
	"RestoreDataAll":                 "TestFunctionsCancelled",
	"RestoreDataUsingKopiaServer":    "TestFunctionsCancelled",
	"RestoreVolumes":                 "TestBadRestoreCancelledWithoutItsRunner",
	"ScaleWorkload":                  "TestRunCancelRunsDeferPhaseAndUndo",
	"Wait":                           "TestFunctionWaitChanges",
}

// cancelledAsking are the functions that TestCancelledWhileAServiceHangs alone cancels, with the reason: nothing can be left of them half-way.
var cancelledAsking = map[string]string{
	"BackupDataStats":            reads,
	"CheckRepository":            reads,
	"CreateCSISnapshot":          "the snapshot belongs to the user and stays",
	"CreateCSISnapshotStatic":    "as CreateCSISnapshot",
	"CreateRDSSnapshot":          "one request makes the snapshot, noted before",
	"CreateVolumeFromSnapshot":   "what it makes is noted before: TestFunctionEBSSnapshots crashes it half-way",
	"DeleteCSISnapshot":          deletes,
	"DeleteCSISnapshotContent":   deletes,
	"DeleteData":                 deletes,
	"DeleteDataAll":              deletes,
	"DeleteDataUsingKopiaServer": deletes,
	"DeleteRDSSnapshot":          deletes,
	"DeleteVolumeBackups":        deletes,
	"DeleteVolumeSnapshot":       deletes,
	"LocationCheck":              deletes,
	"LocationDelete":             deletes,
	"QuiesceVolumes":             "the scaling is noted before: TestVolumesQuiesceBringsTheWorkloadBack",
	"ReleaseEBS":                 deletes,
	"ReleaseRDSInstance":         deletes,
	"ReleaseVolumes":             deletes,
	"RestoreCSISnapshot":         "one claim is made",
	"RestoreRDSSnapshot":         "the database is changed in one transaction, and an instance is made again by whoever repeats it",
	"SnapshotVolumes":            "what it makes is noted before, as of CreateCSISnapshot",
	"WaitForSnapshotCompletion":  reads,
	"WaitV2":                     "it is Wait",
}

const (
	reads   = "it only reads"
	deletes = "it deletes, and is repeated to go on"
)

// TestEveryFunctionIsCancelled: on the cluster, or there is a reason why not.
func TestEveryFunctionIsCancelled(t *testing.T) {
	t.Parallel()

	tests := cluster(t)
	// A restore without a blueprint calls the functions of the built-in one.
	builtIn := builtInBlueprints(t)

	for _, entry := range spec.All() {
		name, reason := cancelledBy[entry.ID], cancelledAsking[entry.ID]

		switch {
		case (name == "") == (reason == ""):
			t.Errorf("%s: it must be in one of cancelledBy and cancelledAsking", entry.ID)
		case name != "" && !regexp.MustCompile(`\b`+entry.ID+`\b`).MatchString(tests[name]) && (tests[name] == "" || !strings.Contains(builtIn, entry.ID)):
			t.Errorf("%s: %s does not call it", entry.ID, name)
		}
	}
}
