//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// makingKinds keeps tests from making the same kind at the same moment.
var makingKinds sync.Mutex

// upstreamKinds are upstream's CustomResourceDefinitions, as far as the API server cares: names, and that the content is kept. They
// stay in the cluster, as those of an uninstalled controller do: another test or another checkout may be at work with them.
func (w *World) upstreamKinds() {
	w.Helper()
	makingKinds.Lock()
	defer makingKinds.Unlock()

	for _, kind := range []string{"Blueprint", "Profile", "ActionSet", "RepositoryServer"} {
		w.Apply(fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[2]ss.cr.kanister.io}
spec:
  group: cr.kanister.io
  scope: Namespaced
  names: {kind: %[1]s, listKind: %[1]sList, plural: %[2]ss, singular: %[2]s}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, kind, strings.ToLower(kind)))
		w.Kubectl("wait", "--for=condition=Established", "crd/"+strings.ToLower(kind)+"s.cr.kanister.io", "--timeout=60s")
	}
}

// oldBlueprint works on volumes as upstream's blueprints do. IMAGE has restic, or not.
const oldBlueprint = `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: files}
actions:
  backup:
    outputArtifacts:
      files: {keyValue: {id: "{{ .Phases.copy.Output.backupID }}", tag: "{{ .Phases.copy.Output.backupTag }}"}}
    phases:
      - func: BackupData
        name: copy
        args:
          namespace: "{{ .StatefulSet.Namespace }}"
          pod: "{{ index .StatefulSet.Pods 0 }}"
          container: main
          includePath: /data
          backupArtifactPrefix: "{{ .Profile.Location.Bucket }}/old/files"
  stats:
    phases:
      - func: BackupDataStats
        name: measure
        args:
          namespace: "{{ .StatefulSet.Namespace }}"
          image: IMAGE
          backupArtifactPrefix: "{{ .Profile.Location.Bucket }}/old/files"
          backupID: "{{ .ArtifactsIn.files.KeyValue.id }}"
    outputArtifacts:
      figures: {keyValue: {files: "{{ .Phases.measure.Output.fileCount }}", size: "{{ .Phases.measure.Output.size }}"}}
  restore:
    phases:
      - func: ScaleWorkload
        name: stop
        args: {replicas: 0}
      - func: RestoreData
        name: restore
        args:
          namespace: "{{ .StatefulSet.Namespace }}"
          image: IMAGE
          pod: "{{ index .StatefulSet.Pods 0 }}"
          backupArtifactPrefix: "{{ .Profile.Location.Bucket }}/old/files"
          backupTag: "{{ .ArtifactsIn.files.KeyValue.tag }}"
          encryptionKey: '{{ index .Options "key" }}'
      - func: ScaleWorkload
        name: start
        args: {replicas: 1}
  delete:
    phases:
      - func: DeleteData
        name: delete
        args:
          namespace: "{{ .Namespace.Name }}"
          image: IMAGE
          backupArtifactPrefix: "{{ .Profile.Location.Bucket }}/old/files"
          backupID: "{{ .ArtifactsIn.files.KeyValue.id }}"
          reclaimSpace: true
`

// TestCompatOldBackups: an upstream controller was uninstalled; its custom resources and the restic repository of its functions are
// still there. What it has backed up is measured, restored and deleted, by the words of its ActionSet.
func TestCompatOldBackups(t *testing.T) {
	t.Parallel()

	w := NewWorld(t, "baseline")
	bucket := w.S3Profile()
	w.upstreamKinds()
	w.StatefulSet("local-path")
	w.Bash(`cd /data; mkdir -p 'odd dir/*'; head -c 3000000 /dev/urandom > 'odd dir/*/noise'; echo one > first; ln -s first link; chmod 640 first; touch -d 2020-01-02T03:04:05Z first`)
	before := w.Fingerprint()
	id := w.resticBackup(bucket, "a1b2c3d4e5")
	stop := w.Eavesdrop(map[string]string{"the store's key": env(t, "AWS_SECRET_ACCESS_KEY")})

	kanister := w.kanisterNamespace()
	w.applyAnywhere(strings.NewReplacer("name: files}", "name: files, namespace: "+kanister+"}", "IMAGE", compatImage).Replace(oldBlueprint))
	w.applyAnywhere(fmt.Sprintf(`apiVersion: cr.kanister.io/v1alpha1
kind: Profile
metadata: {name: store, namespace: %[1]s}
location: {type: s3Compliant, bucket: %[2]s, endpoint: %[3]q, region: %[4]s, prefix: not/where/restic/is}
credential:
  type: keyPair
  keyPair: {idField: id, secretField: key, secret: {apiVersion: v1, kind: Secret, name: keys, namespace: %[1]s}}
skipSSLVerify: true
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: %[1]s}
stringData: {id: %[5]q, key: %[6]q}
---
apiVersion: cr.kanister.io/v1alpha1
kind: Profile
metadata: {name: nowhere, namespace: %[1]s}
location: {type: s3Compliant, bucket: there-is-no-such-bucket, endpoint: %[3]q, region: %[4]s}
credential: {type: keyPair, keyPair: {idField: id, secretField: key, secret: {kind: Secret, name: keys, namespace: %[1]s}}}
skipSSLVerify: true
---
apiVersion: cr.kanister.io/v1alpha1
kind: Profile
metadata: {name: keyless, namespace: %[1]s}
location: {type: s3Compliant, bucket: %[2]s, endpoint: %[3]q, region: %[4]s}
credential: {type: keyPair, keyPair: {idField: id, secretField: key, secret: {kind: Secret, name: keyless-secret, namespace: %[1]s}}}
---
apiVersion: cr.kanister.io/v1alpha1
kind: ActionSet
metadata: {name: backup-x1y2, namespace: %[1]s, labels: {some: label}}
spec:
  actions:
    - name: backup
      blueprint: files
      object: {apiVersion: v1, group: apps, resource: statefulsets, kind: StatefulSet, name: app, namespace: {{ns}}}
      profile: {apiVersion: v1alpha1, group: "", kind: profile, resource: profiles, name: store, namespace: %[1]s}
      preferredVersion: v0.0.0
status:
  state: complete
  error: {message: ""}
  progress: {percentCompleted: "100", runningPhase: "", lastTransitionTime: "2026-01-02T03:04:05Z"}
  actions:
    - name: backup
      blueprint: files
      object: {apiVersion: v1, group: apps, resource: statefulsets, kind: StatefulSet, name: app, namespace: {{ns}}}
      deferPhase: {name: "", state: ""}
      phases: [{name: backup, state: complete, output: {backupID: %[7]q}, progress: {progressPercent: "100"}}]
      artifacts: {files: {keyValue: {id: %[7]q, tag: a1b2c3d4e5}}}
`, kanister, bucket, env(t, "S3_ENDPOINT"), env(t, "S3_REGION"), env(t, "AWS_ACCESS_KEY_ID"), env(t, "AWS_SECRET_ACCESS_KEY"), id))

	from := "actionset/" + kanister + "/backup-x1y2"

	// kanctl's words.
	w.Contains(w.Want(0, "validate", "profile", "--name", "store", "--resource-namespace", kanister).Stderr, "valid; location s3Compliant", "works")
	w.Contains(w.Want(3, "validate", "profile", "nowhere", "-n", kanister).Stderr, "NoBucket")
	w.Want(0, "validate", "profile", "nowhere", "-n", kanister, "--schema-validation-only")
	w.Contains(w.Want(2, "validate", "profile", "keyless", "-n", kanister).Stderr, "keyless-secret")

	stats := w.Finished(w.Want(0, "run", "stats", "--from", from, "-o", "json"))
	if figures := stats.Artifacts["figures"].KeyValue; figures["files"] == "" || figures["files"] == "0" || !strings.HasPrefix(figures["size"], "2.8") {
		t.Errorf("figures %v, want 2.86 MiB", figures)
	}

	w.Bash(`cd /data; rm -r 'odd dir' link; echo two > first; chmod 600 first`)

	bare := w.Want(3, "restore", "--from", from, "--blueprint", w.File("bare.yaml", strings.ReplaceAll(oldBlueprint, "IMAGE", toolsImage)))
	w.Contains(bare.Stderr, "restic", fmt.Sprintf("there is no restic in the image %q", toolsImage))
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	wrong := w.Want(3, "restore", "--from", from, "--option", "key=not-the-key-of-it")
	w.Contains(wrong.Stderr, "its password is another one", "encryptionKey")
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	restored := w.Finished(w.Want(0, "restore", "--from", from, "-o", "json"))
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")
	w.SameFiles(before, w.Fingerprint())
	w.NothingLeft(restored.Run)

	// The same blueprint goes on making backups at the same place.
	w.Kubectl("-n", kanister, "patch", "profile.cr.kanister.io/store", "--type=merge", "-p", `{"location": {"prefix": ""}}`)

	fresh := w.Finished(w.Want(0, "backup", "sts/app", "--blueprint", "blueprint/"+kanister+"/files", "--profile", kanister+"/store", "-o", "json"))
	w.Want(0, "run", "stats", "--from", fresh.Run)

	if want := kanister + "/store"; fresh.Profile != want { // there is another "store" in the namespace of the run
		t.Errorf("profile %q, want %q", fresh.Profile, want)
	}

	deleted := w.Finished(w.Want(0, "delete", "--from", from, "-o", "json"))
	if deleted.State != record.Complete {
		t.Errorf("delete: %s", deleted.State)
	}

	for _, key := range w.Keys(bucket) {
		if !strings.Contains(key, "/.kopia/") && (strings.Contains(key, "/snapshots/") || strings.Contains(key, "/data/")) {
			t.Errorf("after delete the bucket still holds %q", key)
		}
	}

	w.Bash(`cd /data; rm -r 'odd dir'; echo three > first`)
	w.Want(0, "restore", "--from", fresh.Run)
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")
	w.SameFiles(before, w.Fingerprint())
	w.Want(0, "delete", "--from", fresh.Run)

	w.Contains(w.Want(3, "delete", "--from", from).Stderr, "it is not in the restic repository")
	stop()

	if w.ears.seen["restic"] == 0 {
		t.Error("no process of restic was seen")
	}
}

// applyAnywhere is Apply for objects that say their namespaces themselves.
func (w *World) applyAnywhere(manifests string) {
	w.Helper()

	r := w.run(w.Context(), []byte(strings.ReplaceAll(manifests, "{{ns}}", w.Namespace)), env(w.T, "KUBECTL"), "apply", "-f", "-")
	if r.Code != 0 {
		w.Fatalf("kubectl apply: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// kanisterNamespace is where upstream's controller was.
func (w *World) kanisterNamespace() string {
	w.Helper()

	name := w.Namespace + "-kanister"
	w.Kubectl("create", "namespace", name)
	w.Cleanup(func() {
		if err := w.Client.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			w.Logf("deleting namespace: %v", err)
		}
	})

	return name
}

// resticBackup does what upstream's BackupData did for the volume of app-0: the same repository, password, tag and path. It returns
// the snapshot's short ID.
func (w *World) resticBackup(bucket, tag string) string {
	w.Helper()

	ca, err := os.ReadFile(env(w.T, "S3_CA_FILE"))
	if err != nil {
		w.Fatal(err)
	}

	w.Apply(fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: upstream}
data: {ca.crt: %s}
stringData:
  AWS_ACCESS_KEY_ID: %q
  AWS_SECRET_ACCESS_KEY: %q
  RESTIC_REPOSITORY: "s3:%s/%s/old/files"
  RESTIC_PASSWORD: 9f735e0df9a1ddc702bf0a1a7b83033f9f7153a00c29de82cedadc9957289b05
---
apiVersion: v1
kind: Pod
metadata: {name: upstream}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  securityContext: %s
  containers:
    - name: container
      image: %s
      imagePullPolicy: IfNotPresent
      envFrom: [{secretRef: {name: upstream}}]
      command: [bash, -euo, pipefail, -c, "restic --cacert /ca/ca.crt --no-cache init >&2; restic --cacert /ca/ca.crt --no-cache backup --tag %s /data | tee /dev/stderr | sed -n 's/^snapshot \\([0-9a-f]*\\) saved$/\\1/p' > /dev/termination-log"]
      securityContext: %s
      volumeMounts: [{name: data, mountPath: /data}, {name: ca, mountPath: /ca}]
  volumes:
    - {name: data, persistentVolumeClaim: {claimName: data-app-0}}
    - {name: ca, secret: {secretName: upstream, items: [{key: ca.crt, path: ca.crt}]}}
`, base64.StdEncoding.EncodeToString(ca), env(w.T, "AWS_ACCESS_KEY_ID"), env(w.T, "AWS_SECRET_ACCESS_KEY"), env(w.T, "S3_ENDPOINT"), bucket,
		restrictedPod, compatImage, tag, restrictedContainer))
	w.Kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/upstream", "--timeout=120s")

	id := strings.TrimSpace(w.Kubectl("get", "pod", "upstream", "-o", "jsonpath={.status.containerStatuses[0].state.terminated.message}"))
	if len(id) != 8 {
		w.Fatalf("restic saved no snapshot: %q", id)
	}

	w.Kubectl("delete", "pod", "upstream", "--wait")

	return id
}

// actionSet has all that an ActionSet can say, for targets of several kinds, one of them a custom resource.
const actionSet = `apiVersion: cr.kanister.io/v1alpha1
kind: ActionSet
metadata: {generateName: all-, namespace: {{ns}}, labels: {kanister.io/JobID: job-7}}
spec:
  actions:
    - name: say
      blueprint: words
      object: {kind: Deployment, name: app}
      artifacts: {in: {keyValue: {a: from-artifact}}}
      options: {o: from-option}
      configMaps: {c: {name: words, namespace: {{ns}}}}
      secrets: {s: {name: words, namespace: {{ns}}}}
      podLabels: {example.com/l: from-label}
      podAnnotations: {example.com/a: from-annotation}
      podOverride: {containers: [{name: container, env: [{name: FROM, value: override}]}]}
    - name: look
      blueprint: words
      object: {kind: namespace, name: "{{ns}}", namespace: "{{ns}}"}
    - name: look
      blueprint: words
      object: {apiVersion: v1, resource: configmaps, name: words, namespace: {{ns}}}
    - name: look
      blueprint: words
      object: {apiVersion: v1alpha1, group: cr.kanister.io, resource: blueprints, kind: Blueprint, name: words}
    - name: look
      blueprint: words
      object: {kind: pvc, name: words}
    - name: where
      blueprint: words
      object: {apiVersion: v1, group: apps, resource: statefulsets, kind: statefulset, name: words, namespace: {{ns}}}
      profile: {apiVersion: cr.kanister.io/v1alpha1, kind: profile, name: elsewhere, namespace: {{ns}}}
    - name: look
      blueprint: words
      object: {apiVersion: v1, kind: unstructured, resource: services, name: words, namespace: {{ns}}}
    - name: config
      blueprint: words
      object: {apiVersion: v1, group: apps.openshift.io, resource: deploymentconfigs, kind: DeploymentConfig, name: words, namespace: {{ns}}}
---
apiVersion: cr.kanister.io/v1alpha1
kind: Profile
metadata: {name: elsewhere, namespace: {{ns}}}
location: {type: s3Compliant, bucket: bucket-of-the-file, endpoint: "https://s3.example.org", region: us-east-1}
credential: {type: keyPair, keyPair: {idField: id, secretField: key, secret: {name: keys, namespace: {{ns}}}}}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: {{ns}}}
stringData: {id: AKIDOFTHEFILE, key: secret-of-the-file}
`

// TestCompatActionSet: the actions of an ActionSet are runs, one after another; the first that fails is the last, unless they go all
// at once.
func TestCompatActionSet(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.upstreamKinds()
	w.Deployment()
	w.Kubectl("create", "configmap", "words", "--from-literal=k=from-configmap")
	w.Kubectl("create", "secret", "generic", "words", "--from-literal=k=from-secret")
	w.Apply(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: words}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: words}
spec:
  replicas: 0
  serviceName: words
  selector: {matchLabels: {app: words}}
  template:
    metadata: {labels: {app: words}}
    spec: {containers: [{name: main, image: ` + toolsImage + `}]}
---` + service("words", 80))

	pod := w.DeploymentConfig("words", serverPod("words", "sleep infinity", "true", "[]"))
	w.Apply(`apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: words}
actions:
  say:
    outputArtifacts: {out: {keyValue: {said: "{{ .Phases.say.Output.said }}"}}}
    phases:
      - func: KubeTask
        name: say
        args:
          image: ` + toolsImage + `
          podOverride: {containers: [{name: container, volumeMounts: [{name: me, mountPath: /me}]}], volumes: [{name: me, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: annotations, fieldRef: {fieldPath: metadata.annotations}}]}}]}
          command:
            - bash
            - -euc
            - |
              grep -q 'example.com/l="from-label"' /me/labels
              grep -q 'kanister.io/JobID="job-7"' /me/labels
              grep -q 'example.com/a="from-annotation"' /me/annotations
              [[ '{{ .Secrets.s.Data.k | toString }}' == from-secret ]]
              echo "###Phase-output###: {\"key\":\"said\",\"value\":\"{{ .Deployment.Name }} {{ .ArtifactsIn.in.KeyValue.a }} {{ .Options.o }} {{ .ConfigMaps.c.Data.k }} $FROM\"}"
  look:
    outputArtifacts: {out: {keyValue: {name: "{{ .Object.metadata.name }}"}}}
    phases:
      - {func: KubeTask, name: look, args: {image: ` + toolsImage + `, command: ["true"]}}
  where:
    outputArtifacts: {out: {keyValue: {name: "{{ .StatefulSet.Name }} {{ .Profile.Location.Bucket }}"}}}
    phases:
      - {func: KubeTask, name: look, args: {image: ` + toolsImage + `, command: ["true"]}}
  config:
    outputArtifacts: {out: {keyValue: {name: "{{ .DeploymentConfig.Name }} {{ index .DeploymentConfig.Pods 0 }} {{ .Object.kind }}"}}}
    phases:
      - {func: KubeTask, name: look, args: {image: ` + toolsImage + `, command: ["true"]}}
  fail:
    phases:
      - {func: KubeTask, name: fail, args: {image: ` + toolsImage + `, command: ["false"]}}
`)

	runs := strings.Fields(w.Want(0, "run", "-f", w.File("all.yaml", actionSet), "-o", "name").Stdout)
	if len(runs) != 8 {
		t.Fatalf("%d runs, want 8: %q", len(runs), runs)
	}

	var ended metav1.Time

	for i, want := range []string{"", w.Namespace, "words", "words", "words", "words bucket-of-the-file", "words", "words " + pod + " DeploymentConfig"} {
		rec := w.Record(strings.TrimPrefix(runs[i], "run/"))

		if rec.State != record.Complete || rec.Ended == nil {
			t.Errorf("%s: %s", runs[i], rec.State)
		}

		if begun := rec.Phases[0].Started; begun == nil || begun.Before(ended.Time) {
			t.Errorf("%s began at %s, before the one before it ended at %s", runs[i], begun, ended)
		}

		if want != "" && rec.Artifacts["out"].KeyValue["name"] != want {
			t.Errorf("%s looked at %v, want %q", runs[i], rec.Artifacts, want)
		}

		if said := rec.Artifacts["out"].KeyValue["said"]; i == 0 && said != "app from-artifact from-option from-configmap override" {
			t.Errorf("%s said %q", runs[i], said)
		}

		ended = metav1.NewTime(*rec.Ended)
	}

	two := func(first, second string) string {
		return w.File(first+second+".yaml", fmt.Sprintf(`apiVersion: cr.kanister.io/v1alpha1
kind: ActionSet
metadata: {name: two}
spec:
  actions:
    - {name: %s, blueprint: words, object: {kind: deployment, name: app}}
    - {name: %s, blueprint: words, object: {kind: deployment, name: app}}
`, first, second))
	}
	count := func() int {
		return len(strings.Fields(w.Kubectl("get", "configmaps", "-l", record.LabelRecord+"=true", "-o", "name")))
	}

	w.Contains(w.Want(3, "run", "-f", two("fail", "look")).Stderr, "were not started", "2 (look deployment/app)")

	if n := count(); n != 9 {
		t.Errorf("%d runs, want 9: the second action must not have begun", n)
	}

	w.Want(4, "run", "-f", two("look", "fail"))
	w.Want(4, "run", "-f", two("fail", "look"), "--parallel")

	if n := count(); n != 13 {
		t.Errorf("%d runs, want 13", n)
	}

	// Found before anything begins.
	w.Contains(w.Want(2, "run", "-f", two("look", "nothing")).Stderr, "nothing", "nothing was started")
	w.Contains(w.Want(2, "run", "-f", two("look", "look"), "--detach").Stderr, "--parallel")

	if n := count(); n != 13 {
		t.Errorf("%d runs, want 13 still", n)
	}
}
