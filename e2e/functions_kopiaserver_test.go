//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// kopiaImage is kopia's own command line.
const kopiaImage = "kubectl-kanister/kopia-cli:0.22.3"

// kopiaBlueprint is made of the reference's own examples, word for word, with an action for the function that it only mentions and
// one that reads the same backup by direct access.
const kopiaBlueprint = `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: kopia-server}
actions:
  backup:
    outputArtifacts:
      backupIdentifier:
        keyValue:
          id: "{{ .Phases.backupToS3.Output.backupID }}"
          size: "{{ .Phases.backupToS3.Output.size }}"
          phySize: "{{ .Phases.backupToS3.Output.phySize }}"
    phases:
    - func: BackupDataUsingKopiaServer
      name: backupToS3
      args:
        namespace: "{{ .Deployment.Namespace }}"
        pod: "{{ index .Deployment.Pods 0 }}"
        container: kanister-tools
        includePath: /mnt/data
  tagged:
    outputArtifacts:
      backupIdentifier:
        keyValue:
          id: "{{ .Phases.copy.Output.backupID }}"
          root: "{{ .Phases.copy.Output.backupRoot }}"
    phases:
    - func: CopyVolumeDataUsingKopiaServer
      name: copy
      args:
        namespace: "{{ .Deployment.Namespace }}"
        volume: data
        snapshotTags: "team:red,why:before an upgrade"
        repositoryServerUserHostname: '{{ index .Options "hostname" }}'
  restore:
    inputArtifactNames: [backupIdentifier]
    phases:
    - func: ScaleWorkload
      name: shutdownPod
      args:
        namespace: "{{ .Deployment.Namespace }}"
        name: "{{ .Deployment.Name }}"
        kind: Deployment
        replicas: 0
    - func: RestoreDataUsingKopiaServer
      name: restoreFromS3
      args:
        namespace: "{{ .Deployment.Namespace }}"
        pod: "{{ index .Deployment.Pods 0 }}"
        backupIdentifier: "{{ .ArtifactsIn.backupIdentifier.KeyValue.id }}"
        restorePath: /mnt/data
    - func: ScaleWorkload
      name: bringupPod
      args:
        namespace: "{{ .Deployment.Namespace }}"
        name: "{{ .Deployment.Name }}"
        kind: Deployment
        replicas: 1
  volume:
    inputArtifactNames: [backupIdentifier]
    phases:
    - func: RestoreDataUsingKopiaServer
      name: restoreVolume
      args:
        namespace: "{{ .Deployment.Namespace }}"
        volumes: {data: /somewhere}
        backupIdentifier: "{{ .ArtifactsIn.backupIdentifier.KeyValue.id }}"
        restorePath: /somewhere
        repositoryServerUserHostname: '{{ index .Options "hostname" }}'
  direct:
    inputArtifactNames: [backupIdentifier]
    phases:
    - func: RestoreData
      name: restoreDirectly
      args:
        namespace: "{{ .Deployment.Namespace }}"
        pod: "{{ index .Deployment.Pods 0 }}"
        image: ghcr.io/kanisterio/kanister-tools:0.107.0
        backupArtifactPrefix: kopia
        backupIdentifier: "{{ .ArtifactsIn.backupIdentifier.KeyValue.id }}"
  delete:
    inputArtifactNames: [backupIdentifier]
    phases:
    - func: DeleteDataUsingKopiaServer
      name: DeleteFromObjectStore
      args:
        namespace: "{{ .Namespace.Name }}"
        backupID: "{{ .ArtifactsIn.backupIdentifier.KeyValue.id }}"
        image: ghcr.io/kanisterio/kanister-tools:0.89.0
`

// kopiaApp deploys one named "app" with a volume "data" at /mnt/data, filled with what backups get wrong.
func (w *World) kopiaApp() {
	w.Helper()
	w.Apply(fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: local-path, resources: {requests: {storage: 200Mi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 5
      securityContext: %s
      containers:
        - name: kanister-tools
          image: %s
          imagePullPolicy: IfNotPresent
          command: %s
          securityContext: %s
          volumeMounts: [{name: data, mountPath: /mnt/data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`, restrictedPod, toolsImage, sleep, restrictedContainer))
	w.ready("app")
	w.inApp(strings.Replace(odd, "cd /data", "cd /mnt/data", 1))
}

func (w *World) ready(name string) {
	w.Helper()
	w.Kubectl("rollout", "status", "deploy/"+name, "--timeout=120s")
}

func (w *World) inApp(script string) string {
	w.Helper()

	return w.Kubectl("exec", "deploy/app", "--", "bash", "-euc", script)
}

func (w *World) appFiles() string {
	w.Helper()

	return w.inApp(`cd /mnt/data; find . -mindepth 1 -printf '%p %y %m %u %g %l\n' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum`)
}

const spoil = `cd /mnt/data; rm -rf many random; echo changed > tool; chmod 777 private`

// kopiaServer runs a server from kopia's own command line, with a repository of its own and two users, and returns the certificate.
func (w *World) kopiaServer() (certificate string) {
	w.Helper()

	certificate, key := w.certificate()
	command := func(args ...string) string {
		text, _ := json.Marshal(args)

		return fmt.Sprintf(`{image: %q, imagePullPolicy: IfNotPresent, securityContext: %s, args: %s, env: [
  {name: HOME, value: /state}, {name: KOPIA_PASSWORD, value: the repository password}, {name: KOPIA_CONFIG_PATH, value: /state/config}, {name: KOPIA_CACHE_DIRECTORY, value: /state/cache},
  {name: KOPIA_LOG_DIR, value: /state/log}, {name: KOPIA_CHECK_FOR_UPDATES, value: "false"}],
  volumeMounts: [{name: state, mountPath: /state}, {name: tls, mountPath: /tls}], `, kopiaImage, restrictedContainer, text)
	}

	w.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: kopia-tls}
type: kubernetes.io/tls
stringData:
  tls.crt: %q
  tls.key: %q
---
apiVersion: v1
kind: Service
metadata: {name: kopia}
spec: {selector: {app: kopia}, ports: [{port: 51515}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kopia}
spec:
  selector: {matchLabels: {app: kopia}}
  template:
    metadata: {labels: {app: kopia}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: %s
      initContainers:
        - %s name: create}
        - %s name: user}
        - %s name: other}
      containers:
        - %s name: server, readinessProbe: {tcpSocket: {port: 51515}, periodSeconds: 1}}
      volumes: [{name: state, emptyDir: {}}, {name: tls, secret: {secretName: kopia-tls}}]
`, certificate, key, restrictedPod,
		command("repository", "create", "filesystem", "--path=/state/repository"),
		command("server", "user", "add", "app@alpha.host", "--user-password=password of alpha"),
		command("server", "user", "add", "app@beta.host", "--user-password=password of beta"),
		command("server", "start", "--address=https://0.0.0.0:51515", "--tls-cert-file=/tls/tls.crt", "--tls-key-file=/tls/tls.key", "--server-password=of its administrator")))
	w.ready("kopia")

	return certificate
}

// certificate makes one for nobody in particular: clients go by its fingerprint.
func (w *World) certificate() (certificate, key string) {
	w.Helper()

	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.Fatal(err)
	}

	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}

	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		w.Fatal(err)
	}

	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		w.Fatal(err)
	}

	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// serverManifest describes the server as Kanister's controller left it.
func (w *World) serverManifest(name, certificate, users string) string {
	w.Helper()

	return w.File(name+".yaml", fmt.Sprintf(`apiVersion: cr.kanister.io/v1alpha1
kind: RepositoryServer
metadata: {name: %[1]s, namespace: "{{ns}}"}
spec:
  storage: {secretRef: {name: not-read, namespace: "{{ns}}"}, credentialSecretRef: {name: not-read, namespace: "{{ns}}"}}
  repository: {rootPath: /state/repository, passwordSecretRef: {name: not-read, namespace: "{{ns}}"}}
  server:
    userAccess: {username: app, userAccessSecretRef: {name: %[1]s-users, namespace: "{{ns}}"}}
    adminSecretRef: {name: not-read, namespace: "{{ns}}"}
    tlsSecretRef: {name: %[1]s-tls, namespace: "{{ns}}"}
status: {progress: Ready, serverInfo: {serviceName: kopia}}
---
apiVersion: v1
kind: Secret
metadata: {name: %[1]s-users}
stringData: %[3]s
---
apiVersion: v1
kind: Secret
metadata: {name: %[1]s-tls}
stringData: {tls.crt: %[2]q}
`, name, certificate, users))
}

// kopiaActionSet is one with a reference to the repository server named server, for a user of it.
func kopiaActionSet(action, id string) string {
	return fmt.Sprintf(`apiVersion: cr.kanister.io/v1alpha1
kind: ActionSet
metadata: {generateName: kopia-, namespace: "{{ns}}"}
spec:
  actions:
    - name: %s
      blueprint: kopia-server
      object: {kind: Deployment, name: app}
      repositoryServer: {apiVersion: cr.kanister.io/v1alpha1, kind: RepositoryServer, name: server, namespace: "{{ns}}"}
      options: {hostname: beta.host}
      artifacts: {backupIdentifier: {keyValue: {id: %q}}}
`, action, id)
}

const kopiaUsers = `{alpha.host: password of alpha, beta.host: password of beta}`

// The reference's examples through a server from kopia's own command line; no profile is involved.
func TestFunctionKopiaServerOfARepositoryServer(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.kopiaApp()
	certificate := w.kopiaServer()
	server := w.serverManifest("server", certificate, kopiaUsers)
	blueprint := w.File("blueprint.yaml", kopiaBlueprint)
	do := func(args ...string) record.Record {
		t.Helper()

		if args[0] == "backup" { // the rest is told by the backup's record
			args = append(args, "--repository-server", server)
		}

		rec := w.Finished(w.Want(0, append(args, "-o", "json")...))
		w.NothingLeft(rec.Run)

		return rec
	}

	before := w.appFiles()
	backup := do("backup", "deploy/app", "--blueprint", blueprint)
	artifact := backup.Artifacts["backupIdentifier"].KeyValue

	if len(artifact["id"]) != 32 || !strings.HasSuffix(artifact["size"], " MB") || !strings.HasSuffix(artifact["phySize"], "B") {
		t.Errorf("outputs %v", artifact)
	}

	// kopia's own command line finds it in the store behind the server, and can read all of it.
	kopia := func(args ...string) string {
		return w.Kubectl(append([]string{"exec", "deploy/kopia", "-c", "server", "--", "kopia-cli"}, args...)...)
	}
	w.Contains(kopia("snapshot", "list", "--all", "--json"), artifact["id"], `"userName":"app"`, `"host":"alpha.host"`, `"path":"/mnt/data"`)
	kopia("snapshot", "verify", "--verify-files-percent=100", artifact["id"])

	w.inApp(spoil)
	do("restore", "--from", backup.Run)
	w.ready("app")
	w.SameFiles(before, w.appFiles())

	// An ActionSet's reference is followed: to a RepositoryServer that stands in the same file, and to a custom resource.
	asSet := func(set string, more ...string) record.Record {
		t.Helper()

		rec := w.Finished(w.Want(0, append([]string{"run", "-o", "json", "-f", w.File("set.yaml", set), "-f", blueprint}, more...)...))
		w.NothingLeft(rec.Run)

		return rec
	}
	tagged := asSet(kopiaActionSet("tagged", ""), "-f", server)
	w.Contains(kopia("snapshot", "list", "--all", "--json", "--tags", "team:red"), tagged.Artifacts["backupIdentifier"].KeyValue["id"], `"host":"beta.host"`, "before an upgrade")
	w.inApp(spoil)
	w.upstreamKinds()
	w.Kubectl("apply", "-f", server)
	asSet(kopiaActionSet("volume", tagged.Artifacts["backupIdentifier"].KeyValue["id"]))
	w.SameFiles(before, w.appFiles())

	do("delete", "--from", backup.Run)

	if list := kopia("snapshot", "list", "--all", "--json"); strings.Contains(list, artifact["id"]) {
		t.Errorf("the snapshot is still there: %s", list)
	}

	other, _ := w.certificate()

	for name, test := range map[string]struct {
		file string
		says []string
	}{
		"fingerprint": {w.serverManifest("fingerprint", other, kopiaUsers), []string{"fingerprint", "tls.crt"}},
		"password":    {w.serverManifest("password", certificate, `{alpha.host: another password}`), []string{"app@alpha.host", "user or password is wrong", "kopia server user list"}},
		"user":        {w.serverManifest("user", certificate, `{stranger.host: password of alpha}`), []string{"app@stranger.host"}},
	} {
		r := w.Want(3, "backup", "deploy/app", "--blueprint", blueprint, "--repository-server", test.file)
		w.Contains(r.Stderr, test.says...)

		if r.Took > time.Minute {
			t.Errorf("%s: it took %s to say so", name, r.Took)
		}
	}

	w.serverGoneHalfWay(blueprint, server)

	r := w.Want(3, "backup", "deploy/app", "--blueprint", blueprint, "--repository-server", server)
	w.Contains(r.Stderr, "kopia."+w.Namespace+".svc.cluster.local:51515", "refused")
}

// serverGoneHalfWay takes the server away for good while data flows to it: the backup fails within a bound, says what is gone, and leaves
// nothing.
func (w *World) serverGoneHalfWay(blueprint, server string) {
	w.Helper()
	w.inApp("head -c 200M /dev/urandom > /mnt/data/large")

	// So slow that there is time to do it.
	override := w.File("slow.yaml", `containers: [{name: container, resources: {requests: {cpu: 1m}, limits: {cpu: 25m}}}]`)
	run := w.start("backup", "deploy/app", "--blueprint", blueprint, "--repository-server", server, "--pod-override", override)
	w.Eventually(90*time.Second, func() string {
		if now := w.Record(run); len(now.Phases) == 0 || now.Phases[0].Progress == nil || now.Phases[0].Progress.BytesDone < 1<<20 {
			return fmt.Sprintf("no data flows: %+v", now.Phases)
		}

		return ""
	})

	began := time.Now()
	w.Kubectl("delete", "pod", "-l", "app=kopia", "--grace-period=0", "--force", "--wait=false")
	w.Kubectl("scale", "deploy/kopia", "--replicas=0")

	if done := w.Record(run).Phases[0].Progress.BytesDone; done >= 200<<20 {
		w.Errorf("%d bytes were read before the server was gone: the test proves nothing", done)
	}

	w.Contains(w.Want(3, "wait", run, "--timeout", "4m").Stderr, "kopia."+w.Namespace+".svc.cluster.local:51515")
	w.NothingLeft(run)

	rec := w.Record(run)
	w.Logf("%s after the server had gone: %v", time.Since(began).Round(time.Second), rec.Error)

	if rec.State != record.Failed || time.Since(began) > 3*time.Minute {
		w.Errorf("state %s after %s", rec.State, time.Since(began).Round(time.Second))
	}
}

// The same blueprint without a RepositoryServer: the run serves the profile's repository.
func TestFunctionKopiaServerServedByTheRun(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.S3Profile()
	w.kopiaApp()
	blueprint := w.File("blueprint.yaml", kopiaBlueprint)
	do := func(args ...string) record.Record {
		t.Helper()

		rec := w.Finished(w.Want(0, append(args, "-o", "json")...))
		w.NothingLeft(rec.Run)

		return rec
	}

	before := w.appFiles()
	backup := do("backup", "deploy/app", "--blueprint", blueprint)

	if !slices.ContainsFunc(backup.Events, func(e record.Event) bool {
		return strings.Contains(e.Message, "the runner serves the repository at https://")
	}) {
		t.Errorf("events %v", backup.Events)
	}

	w.inApp(spoil)
	do("restore", "--from", backup.Run)
	w.ready("app")
	w.SameFiles(before, w.appFiles())

	w.inApp(spoil)
	do("run", "direct", "deploy/app", "--from", backup.Run, "--blueprint", blueprint)
	w.SameFiles(before, w.appFiles())

	do("delete", "--from", backup.Run)

	r := w.Want(3, "run", "volume", "deploy/app", "--artifact", "backupIdentifier.id="+backup.Artifacts["backupIdentifier"].KeyValue["id"], "--blueprint", blueprint)
	w.Contains(r.Stderr, "no such snapshot", "--repository-server")

	w.Want(2, "backup", "deploy/app", "--blueprint", blueprint, "--repository-server", "nobody")
}
