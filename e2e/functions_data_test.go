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
          copyID: "{{ .Phases.copy.Output.backupID }}"
          there: "{{ .Phases.there.Output.repoUnavailable }} {{ .Phases.there.Output.passwordIncorrect }}"
          locked: "{{ .Phases.locked.Output.passwordIncorrect }}"
          nowhere: "{{ .Phases.nowhere.Output.repoUnavailable }}"
    phases:
    - func: BackupDataAll
      name: all
      args: {namespace: "{{ .StatefulSet.Namespace }}", container: main, includePath: /data, backupArtifactPrefix: BUCKET/path/all}
    - func: CopyVolumeData
      name: copy
      args: {namespace: "{{ .StatefulSet.Namespace }}", volume: data-app-0, dataArtifactPrefix: BUCKET/path/copy}
    - func: CheckRepository
      name: there
      args: {backupArtifactPrefix: BUCKET/path/all/app-0}
    - func: CheckRepository
      name: locked
      args: {backupArtifactPrefix: BUCKET/path/copy, encryptionKey: not this one}
    - func: CheckRepository
      name: nowhere
      args: {backupArtifactPrefix: BUCKET/path/nowhere}
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
      args: {namespace: "{{ .StatefulSet.Namespace }}", image: TOOLS, backupArtifactPrefix: BUCKET/path/all, backupInfo: "{{ .ArtifactsIn.params.KeyValue.backupInfo }}", pods: "app-0 app-1"}
    - func: ScaleWorkload
      name: up
      args: {namespace: "{{ .StatefulSet.Namespace }}", name: app, kind: StatefulSet, replicas: 2}
  delete:
    inputArtifactNames: [params]
    outputArtifacts: {gone: {keyValue: {objects: "{{ .Phases.objects.Output.deleted }}", there: "{{ .Phases.there.Output.repoUnavailable }}"}}}
    phases:
    - func: DeleteDataAll
      name: all
      args: {namespace: "{{ .Namespace.Name }}", backupArtifactPrefix: BUCKET/path/all, backupInfo: "{{ .ArtifactsIn.params.KeyValue.backupInfo }}", reclaimSpace: true}
    - func: LocationDelete
      name: objects
      args: {artifact: "s3://BUCKET/some/prefix/x"}
    - func: CheckRepository
      name: there
      args: {backupArtifactPrefix: BUCKET/path/copy}
`

// The data functions of the reference that work on all pods of a workload or on a volume, and those around a repository, through the
// plugin: the files of two pods are compared.
func TestFunctionDataOfAllPods(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
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
	file := w.File("data.yaml", strings.NewReplacer("BUCKET", bucket, "TOOLS", toolsImage).Replace(dataBlueprint))
	backup := w.Finished(w.Want(0, "backup", "sts/app", "--blueprint", file, "-o", "json"))
	w.NothingLeft(backup.Run)

	made := backup.Artifacts["params"].KeyValue
	for name, want := range map[string]string{"there": "false false", "locked": "true", "nowhere": "true"} {
		if made[name] != want {
			t.Errorf("CheckRepository of %s: %q, want %q", name, made[name], want)
		}
	}

	if id, count, _ := strings.Cut(made["copy"], " "); id == "" || count != "2" {
		t.Errorf("CopyVolumeData: %q", made["copy"])
	}

	w.Contains(made["backupInfo"], "app-0", "app-1", "BackupID", "BackupTag")

	each(`rm -rf /data/*; echo new > /data/big`)
	w.Want(0, "restore", "--from", backup.Run)
	w.Kubectl("rollout", "status", "sts/app", "--timeout=120s")

	if after := files(); after != before {
		t.Errorf("what was restored differs:\n%s\nwant\n%s", after, before)
	}

	gone := w.Finished(w.Want(0, "delete", "--from", backup.Run, "ns/"+w.Namespace, "-o", "json"))
	if got := gone.Artifacts["gone"].KeyValue; got["objects"] != "2" || got["there"] != "false" {
		t.Errorf("after delete: %v", got)
	}

	keys := strings.Join(w.Keys(bucket), "\n")
	w.Contains(keys, "some/prefix/xx", "path/copy/")

	if strings.Contains(keys, "some/prefix/x/") {
		t.Errorf("LocationDelete left objects:\n%s", keys)
	}

	w.Contains(w.Want(2, "restore", "--from", backup.Run).Stderr, backup.Run) // it is known to be gone
}
