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
	"strings"
	"time"
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
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kopia}
spec: {accessModes: [ReadWriteOnce], storageClassName: local-path, resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: kopia-create}
spec:
  restartPolicy: Never
  securityContext: %s
  initContainers:
    - %s name: create}
    - %s name: user}
  containers:
    - %s name: other}
  volumes: [{name: state, persistentVolumeClaim: {claimName: kopia}}, {name: tls, secret: {secretName: kopia-tls}}]
`, certificate, key, restrictedPod,
		command("repository", "create", "filesystem", "--path=/state/repository"),
		command("server", "user", "add", "app@alpha.host", "--user-password=password of alpha"),
		command("server", "user", "add", "app@beta.host", "--user-password=password of beta")))
	w.Kubectl("wait", "pod/kopia-create", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
	w.Apply(fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: kopia}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: kopia}}
  template:
    metadata: {labels: {app: kopia}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: %s
      containers:
        - %s name: server, readinessProbe: {tcpSocket: {port: 51515}, periodSeconds: 1}}
      volumes: [{name: state, persistentVolumeClaim: {claimName: kopia}}, {name: tls, secret: {secretName: kopia-tls}}]
`, restrictedPod,
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
