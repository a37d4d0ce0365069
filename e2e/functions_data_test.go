//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

const dataBlueprint = `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: data}
actions:
  backup:
    outputArtifacts:
      params:
        keyValue:
          backupInfo: "{{ .Phases.all.Output.BackupAllInfo }}"
          copy: "{{ .Phases.copy.Output.backupID }} {{ .Phases.copy.Output.fileCount }}"
          oneID: "{{ .Phases.one.Output.backupID }}"
          stats: "{{ .Phases.stats.Output.mode }} {{ .Phases.stats.Output.fileCount }}"
          copyID: "{{ .Phases.copy.Output.backupID }}"
          there: "{{ .Phases.there.Output.repoUnavailable }} {{ .Phases.there.Output.passwordIncorrect }}"
          locked: "{{ .Phases.locked.Output.passwordIncorrect }}"
          nowhere: "{{ .Phases.nowhere.Output.repoUnavailable }}"
    phases:
    - func: BackupDataAll
      name: all
      args: {namespace: "{{ .StatefulSet.Namespace }}", container: main, includePath: /data, backupArtifactPrefix: PLACE/all}
    - func: CopyVolumeData
      name: copy
      args: {namespace: "{{ .StatefulSet.Namespace }}", volume: data-app-0, dataArtifactPrefix: PLACE/copy}
    - func: BackupData
      name: one
      args: {namespace: "{{ .StatefulSet.Namespace }}", pod: app-0, container: main, includePath: /data, backupArtifactPrefix: PLACE/one}
    - func: BackupDataStats
      name: stats
      args: {namespace: "{{ .StatefulSet.Namespace }}", backupArtifactPrefix: PLACE/one, backupID: "{{ .Phases.one.Output.backupID }}"}
    - func: CheckRepository
      name: there
      args: {backupArtifactPrefix: PLACE/all/app-0}
    - func: CheckRepository
      name: locked
      args: {backupArtifactPrefix: PLACE/copy, encryptionKey: not this one}
    - func: CheckRepository
      name: nowhere
      args: {backupArtifactPrefix: PLACE/nowhere}
    - func: KubeTask
      name: object
      args: {namespace: "{{ .StatefulSet.Namespace }}", image: TOOLS, command: [bash, -ec, "for i in x/1 x/2 xx; do echo $i | kando location push --profile '{{ toJson .Profile }}' --path $i -; done"]}
  restore:
    inputArtifactNames: [params]
    phases:
    - func: ScaleWorkload
      name: down
      args: {namespace: "{{ .StatefulSet.Namespace }}", name: app, kind: StatefulSet, replicas: 0}
    - func: RestoreDataAll
      name: all
      args: {namespace: "{{ .StatefulSet.Namespace }}", image: TOOLS, backupArtifactPrefix: PLACE/all, backupInfo: "{{ .ArtifactsIn.params.KeyValue.backupInfo }}", pods: "app-0 app-1"}
    - func: RestoreData
      name: one
      args: {namespace: "{{ .StatefulSet.Namespace }}", image: TOOLS, backupArtifactPrefix: PLACE/one, backupIdentifier: "{{ .ArtifactsIn.params.KeyValue.oneID }}", pod: app-0, restorePath: /data/copy}
    - func: ScaleWorkload
      name: up
      args: {namespace: "{{ .StatefulSet.Namespace }}", name: app, kind: StatefulSet, replicas: 2}
  delete:
    inputArtifactNames: [params]
    outputArtifacts: {gone: {keyValue: {objects: "{{ .Phases.objects.Output.deleted }}", there: "{{ .Phases.there.Output.repoUnavailable }}"}}}
    phases:
    - func: DeleteDataAll
      name: all
      args: {namespace: "{{ .Namespace.Name }}", backupArtifactPrefix: PLACE/all, backupInfo: "{{ .ArtifactsIn.params.KeyValue.backupInfo }}", reclaimSpace: true}
    - func: DeleteData
      name: each
      args: {namespace: "{{ .Namespace.Name }}", backupArtifactPrefix: PLACE/one PLACE/copy, backupID: "{{ .ArtifactsIn.params.KeyValue.oneID }} {{ .ArtifactsIn.params.KeyValue.copyID }}"}
    - func: LocationDelete
      name: objects
      args: {artifact: "OBJECTS/x"}
    - func: CheckRepository
      name: there
      args: {backupArtifactPrefix: PLACE/copy}
`

// All data functions of the reference, on S3; TestLocation… have them on other stores.
func TestFunctionDataOfAllPods(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.dataFunctions(bucket+"/path", "s3://"+bucket+"/some/prefix", func() []string { return w.Keys(bucket) })
}

// dataFunctions calls them through the plugin with repositories below place, the bucket and a path, and objects at the URL objects below
// which the profile's prefix is: the files of two pods are compared.
func (w *World) dataFunctions(place, objects string, keys func() []string) {
	w.Helper()
	w.StatefulSet("local-path")
	w.Kubectl("scale", "sts/app", "--replicas=2")
	w.Kubectl("rollout", "status", "sts/app", "--timeout=120s")

	each := func(script string) string {
		return w.Kubectl("exec", "app-0", "--", "bash", "-euc", script) + w.Kubectl("exec", "app-1", "--", "bash", "-euc", script)
	}
	files := func() string {
		return each(`cd /data; find . -mindepth 1 -printf '%p %y %m %u %g %s %l\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum`)
	}

	each(`mkdir -p "/data/a b"; hostname > "/data/a b/€ 'x'"; head -c 2M /dev/urandom > /data/big; ln -s big /data/link; chmod 640 /data/big`)

	before := files()
	file := w.File("data.yaml", strings.NewReplacer("PLACE", place, "OBJECTS", objects, "TOOLS", toolsImage).Replace(dataBlueprint))
	backup := w.Finished(w.Want(0, "backup", "sts/app", "--blueprint", file, "-o", "json"))
	w.NothingLeft(backup.Run)

	made := backup.Artifacts["params"].KeyValue
	for name, want := range map[string]string{"there": "false false", "locked": "true", "nowhere": "true", "stats": "restore-size 2"} {
		if made[name] != want {
			w.Errorf("output %s: %q, want %q", name, made[name], want)
		}
	}

	if id, count, _ := strings.Cut(made["copy"], " "); id == "" || count != "2" {
		w.Errorf("CopyVolumeData: %q", made["copy"])
	}

	w.Contains(made["backupInfo"], "app-0", "app-1", "BackupID", "BackupTag")

	each(`rm -rf /data/*; echo new > /data/big`)
	w.Want(0, "restore", "--from", backup.Run)
	w.Kubectl("rollout", "status", "sts/app", "--timeout=120s")
	w.Bash("diff -r --no-dereference --exclude=copy /data /data/copy/data && rm -r /data/copy")

	if after := files(); after != before {
		w.Errorf("what was restored differs:\n%s\nwant\n%s", after, before)
	}

	gone := w.Finished(w.Want(0, "delete", "--from", backup.Run, "ns/"+w.Namespace, "-o", "json"))
	if got := gone.Artifacts["gone"].KeyValue; got["objects"] != "2" || got["there"] != "false" {
		w.Errorf("after delete: %v", got)
	}

	left := strings.Join(keys(), "\n")
	_, at, _ := strings.Cut(objects, "://")
	_, prefix, _ := strings.Cut(at, "/")
	w.Contains(left, prefix+"/xx", "/copy/")

	if strings.Contains(left, prefix+"/x/") {
		w.Errorf("LocationDelete left objects:\n%s", left)
	}

	w.Contains(w.Want(2, "restore", "--from", backup.Run).Stderr, backup.Run) // it is known to be gone
}
