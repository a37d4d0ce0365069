//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// slowly makes the programs of worker pods start so slowly that a cancel finds them at work.
const slowly = `containers: [{name: container, resources: {requests: {cpu: 1m}, limits: {cpu: 10m}}}]`

const cancelBlueprint = `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: cancel}
actions:
  BackupData: {phases: [{func: BackupData, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", pod: app-0, container: main, includePath: /data, backupArtifactPrefix: BUCKET/one}}]}
  BackupDataAll: {phases: [{func: BackupDataAll, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", container: main, includePath: /data, backupArtifactPrefix: BUCKET/all}}]}
  CopyVolumeData: {phases: [{func: CopyVolumeData, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", volume: data-app-0, dataArtifactPrefix: BUCKET/copy}}]}
  RestoreData: {phases: [{func: RestoreData, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", image: TOOLS, backupArtifactPrefix: BUCKET/all/app-0, backupIdentifier: "{{ .Options.id }}", volumes: {spare: /data}}}]}
  RestoreDataAll: {phases: [{func: RestoreDataAll, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", image: TOOLS, backupArtifactPrefix: BUCKET/all, backupInfo: "{{ .Options.info }}", pods: app-0}}]}
  BackupDataUsingKopiaServer: {phases: [{func: BackupDataUsingKopiaServer, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", pod: app-0, container: main, includePath: /data}}]}
  CopyVolumeDataUsingKopiaServer: {phases: [{func: CopyVolumeDataUsingKopiaServer, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", volume: data-app-0}}]}
  RestoreDataUsingKopiaServer: {phases: [{func: RestoreDataUsingKopiaServer, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", backupIdentifier: "{{ .Options.served }}", restorePath: /data, volumes: {spare: /data}}}]}
  KubeExec: {phases: [{func: KubeExec, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", pod: app-0, container: main, command: [sleep, "600"]}}]}
  KubeExecAll: {phases: [{func: KubeExecAll, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", pods: app-0, containers: main, command: [sleep, "600"]}}]}
  PrepareData: {phases: [{func: PrepareData, name: slow, args: {namespace: "{{ .StatefulSet.Namespace }}", image: TOOLS, command: [sleep, "600"], volumes: {data-app-0: /data}}}]}
  prepare:
    outputArtifacts: {made: {keyValue: {info: "{{ .Phases.all.Output.BackupAllInfo }}", served: "{{ .Phases.served.Output.backupID }}", one: "{{ .Phases.one.Output.backupID }}"}}}
    phases:
    - {func: BackupDataAll, name: all, args: {namespace: "{{ .StatefulSet.Namespace }}", container: main, includePath: /data, backupArtifactPrefix: BUCKET/all}}
    - {func: BackupData, name: one, args: {namespace: "{{ .StatefulSet.Namespace }}", pod: app-0, container: main, includePath: /data, backupArtifactPrefix: BUCKET/all/app-0}}
    - {func: BackupDataUsingKopiaServer, name: served, args: {namespace: "{{ .StatefulSet.Namespace }}", pod: app-0, container: main, includePath: /data}}
`

// Functions that start pods or commands, cancelled while these are at work: the run ends as cancelled within seconds, and nothing of it is
// left. cancelledBy of functions/functest says where the others are cancelled.
func TestFunctionsCancelled(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.StatefulSet("local-path")
	w.Apply("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: spare}, spec: {storageClassName: local-path, accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}}")
	w.Bash("head -c 3M /dev/urandom > /data/some")

	blueprint := w.File("cancel.yaml", strings.NewReplacer("BUCKET", bucket, "TOOLS", toolsImage).Replace(cancelBlueprint))
	slow := w.File("slow.yaml", slowly)
	made := w.Finished(w.Want(0, "run", "prepare", "sts/app", "--blueprint", blueprint, "-o", "json")).Artifacts["made"].KeyValue
	options := []string{"--option", "info=" + made["info"], "--option", "served=" + made["served"], "--option", "id=" + made["one"]}

	for name, test := range map[string]struct {
		args    []string
		phase   string
		workers bool
	}{
		"BackupData":                     {workers: true},
		"BackupDataAll":                  {workers: true},
		"CopyVolumeData":                 {workers: true},
		"RestoreData":                    {workers: true},
		"RestoreDataAll":                 {workers: true},
		"BackupDataUsingKopiaServer":     {workers: true},
		"CopyVolumeDataUsingKopiaServer": {workers: true},
		"RestoreDataUsingKopiaServer":    {workers: true},
		"KubeExec":                       {},
		"KubeExecAll":                    {},
		"PrepareData":                    {workers: true},
		"CopyVolumes":                    {args: []string{"backup", "sts/app"}, phase: "copy", workers: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := &World{T: t, Namespace: w.Namespace, Client: w.Client, Dynamic: w.Dynamic, Config: w.Config, audit: w.audit}
			args, phase := test.args, "slow"

			if args == nil {
				args = append([]string{"run", name, "sts/app", "--blueprint", blueprint}, options...)
			} else {
				phase = test.phase
			}

			w.cancelledHalfWay(w.start(append(args, "--pod-override", slow)...), phase, test.workers)
		})
	}
}

// cancelledHalfWay cancels a run in a phase, when its workers run if it has any.
func (w *World) cancelledHalfWay(run, phase string, workers bool) {
	w.Helper()
	w.inPhase(run, phase)
	w.Eventually(60*time.Second, func() string {
		if !workers {
			return ""
		}

		return w.lacking(run) + w.Kubectl("get", "pods", "-l", "kanister.io/run="+run+",!batch.kubernetes.io/job-name", "--field-selector=status.phase=Pending", "-o", "name")
	})

	began := time.Now()
	w.Want(0, "cancel", run, "--wait", "--timeout", "60s")

	if rec := w.Record(run); rec.State != record.Cancelled || time.Since(began) > 45*time.Second {
		w.Errorf("state %s after %s: %v", rec.State, time.Since(began).Round(time.Second), rec.Error)
	}

	w.NothingLeft(run)
}
