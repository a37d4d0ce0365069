//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// restrictedContainer is the securityContext that PodSecurity "restricted" asks of a container, in YAML's flow style.
const restrictedContainer = `{allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}`

// restrictedPod is that of a pod of user 1000. By its policy the kubelet leaves the modes of restored files alone.
const restrictedPod = `{runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, fsGroupChangePolicy: OnRootMismatch, seccompProfile: {type: RuntimeDefault}}`

// sleep is a command that does nothing until it is told to end, which a shell as pid 1 would not hear.
const sleep = `["bash", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]`

// StatefulSet deploys one named "app" with a volume "data" of class at /data, and waits for its pod app-0.
func (w *World) StatefulSet(class string) {
	w.Helper()
	w.Apply(fmt.Sprintf(`
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: app}
spec:
  serviceName: app
  replicas: 1
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 5
      securityContext: %s
      containers:
        - name: main
          image: %s
          imagePullPolicy: IfNotPresent
          command: %s
          securityContext: %s
          volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: %s, resources: {requests: {storage: 200Mi}}}
`, restrictedPod, toolsImage, sleep, restrictedContainer, class))
	w.Kubectl("rollout", "status", "sts/app", "--timeout=120s")
}

// Deployment deploys one named "app" without volumes, and waits for its pod, whose name it returns.
func (w *World) Deployment() string {
	w.Helper()
	w.Apply(fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 5
      securityContext: %s
      containers:
        - {name: main, image: %s, imagePullPolicy: IfNotPresent, command: %s, securityContext: %s}
`, restrictedPod, toolsImage, sleep, restrictedContainer))
	w.Kubectl("rollout", "status", "deploy/app", "--timeout=120s")

	return strings.TrimSpace(w.Kubectl("get", "pods", "-l", "app=app", "-o", "jsonpath={.items[0].metadata.name}"))
}

// Bash runs a script in the pod app-0.
func (w *World) Bash(script string) string {
	w.Helper()

	return w.Kubectl("exec", "app-0", "--", "bash", "-euc", script)
}

// Fingerprint of all that is below /data: names, types, modes, owners, sizes, times of files, contents.
func (w *World) Fingerprint() string {
	w.Helper()

	return w.Bash(`cd /data; find . -mindepth 1 -name lost+found -prune -o -mindepth 1 -printf '%p %y %m %u %g %l\n' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum`)
}

// SameFiles fails the test with the lines in which two fingerprints differ.
func (w *World) SameFiles(before, after string) {
	w.Helper()

	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")); diff != "" {
		w.Errorf("restored files differ (-before +after):\n%s", diff)
	}
}

// FileProfile creates the default profile "backups" on a volume.
func (w *World) FileProfile() {
	w.Helper()
	w.Want(0, "profile", "create", "file", "--claim", "backups", "--size", "1Gi")
}

// S3Profile creates a bucket and the default profile "store" in it, and returns the bucket's name.
func (w *World) S3Profile() string {
	w.Helper()

	bucket := w.Namespace
	if len(bucket) > 60 {
		bucket = bucket[:60]
	}

	if _, err := w.S3().CreateBucket(w.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		w.Fatal(err)
	}

	w.Cleanup(func() { w.dropBucket(bucket) })
	w.Want(0, "profile", "create", "s3", "store", "--bucket", bucket, "--prefix", "some/prefix",
		"--endpoint", env(w.T, "S3_ENDPOINT"), "--region", env(w.T, "S3_REGION"), "--ca-bundle", env(w.T, "S3_CA_FILE"),
		"--access-key", env(w.T, "AWS_ACCESS_KEY_ID"), "--secret-key", env(w.T, "AWS_SECRET_ACCESS_KEY"))

	return bucket
}

// S3 is a client of the object store in the cluster, for looking behind the product's back.
func (w *World) S3() *s3.Client {
	w.Helper()

	pem, err := os.ReadFile(env(w.T, "S3_CA_FILE"))
	if err != nil {
		w.Fatal(err)
	}

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)

	return s3.New(s3.Options{
		BaseEndpoint: aws.String(env(w.T, "S3_HOST_ENDPOINT")), Region: env(w.T, "S3_REGION"), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(env(w.T, "AWS_ACCESS_KEY_ID"), env(w.T, "AWS_SECRET_ACCESS_KEY"), ""),
		HTTPClient:  &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
	})
}

// Keys lists the objects of a bucket.
func (w *World) Keys(bucket string) []string {
	w.Helper()

	var keys []string

	pages := s3.NewListObjectsV2Paginator(w.S3(), &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.Context())
		if err != nil {
			w.Fatal(err)
		}

		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}

	return keys
}

func (w *World) dropBucket(bucket string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	client := w.S3()

	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return // the test itself removed it
		}

		for _, o := range page.Contents {
			if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: o.Key}); err != nil {
				w.Logf("emptying bucket: %v", err)
			}
		}
	}

	if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		w.Logf("deleting bucket: %v", err)
	}
}

// Blueprint writes a blueprint with one action "test" of the given phases (YAML, indented by 6) and returns its file.
func (w *World) Blueprint(phases string) string {
	w.Helper()

	return w.File("blueprint.yaml", `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: test}
actions:
  test:
`+phases)
}

// Record reads a run's record from the cluster.
func (w *World) Record(run string) *record.Record {
	w.Helper()

	cm, err := w.Client.CoreV1().ConfigMaps(w.Namespace).Get(w.Context(), run, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}

	rec, err := record.Decode(cm)
	if err != nil {
		w.Fatal(err)
	}

	return rec
}

// Finished decodes what an action verb printed for -o json.
func (w *World) Finished(r Result) record.Record {
	w.Helper()

	var rec record.Record
	if err := json.Unmarshal([]byte(r.Stdout), &rec); err != nil {
		w.Fatalf("reading -o json: %v\n%s\n%s", err, r.Stdout, r.Stderr)
	}

	return rec
}

// NothingLeft fails the test when a run left pods, claims, snapshots, Secrets of its workers, or permissions elsewhere behind.
// Its record stays; its Job and what that owns may until they expire, unless gone is set.
func (w *World) NothingLeft(run string) {
	w.Helper()
	w.Eventually(30*time.Second, func() string {
		r := w.run(w.Context(), nil, env(w.T, "KUBECTL"), "-n", w.Namespace, "get", "pods,pvc,volumesnapshots", "-l", "kanister.io/run="+run+",!batch.kubernetes.io/job-name", "-o", "name")
		if r.Code != 0 || strings.TrimSpace(r.Stdout) != "" {
			return "left behind: " + r.Stdout + r.Stderr
		}

		// The input and what the Job owns besides are named as the run.
		r = w.run(w.Context(), nil, env(w.T, "KUBECTL"), "-n", w.Namespace, "get", "secrets", "-l", "kanister.io/run="+run, "-o", "jsonpath={.items[*].metadata.name}")
		if names := strings.TrimSpace(r.Stdout); r.Code != 0 || names != "" && names != run {
			return "left behind: secrets " + names + r.Stderr
		}

		r = w.run(w.Context(), nil, env(w.T, "KUBECTL"), "get", "clusterroles,clusterrolebindings,roles,rolebindings", "-A", "-l",
			"kanister.io/run="+run+",kanister.io/run-namespace="+w.Namespace, "-o", "name")
		if r.Code != 0 || strings.TrimSpace(r.Stdout) != "" {
			return "left behind outside the namespace: " + r.Stdout + r.Stderr
		}

		return ""
	})
}
