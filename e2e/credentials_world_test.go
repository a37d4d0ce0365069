//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Identities that the stand-in knows.
const (
	roleBackup = "arn:aws:iam::000000000001:role/backup" // trusts the key AKIALOW
	rolePods   = "arn:aws:iam::000000000001:role/pods"   // trusts the ServiceAccount "identity" of the test's namespace
	roleNext   = "arn:aws:iam::000000000001:role/next"   // trusts the role of the pods
)

// awsStandIn begins the manifest of a stand-in for AWS (hack/aws) with PostgreSQL, as far as all have it; what follows are variables, and
// awsStandInEnd. %[1]s is the securityContext of a container, %[2]s the image with PostgreSQL.
const (
	awsStandIn = `
apiVersion: v1
kind: Service
metadata: {name: aws}
spec: {selector: {app: aws}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: aws, labels: {app: aws}}
spec:
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 999, runAsGroup: 999, fsGroup: 999, seccompProfile: {type: RuntimeDefault}}
  initContainers:
    - {name: install, image: "kubectl-kanister/aws:dev", imagePullPolicy: IfNotPresent, args: [install, /tools], securityContext: %[1]s, volumeMounts: [{name: tools, mountPath: /tools}]}
  containers:
    - name: main
      image: %[2]s
      imagePullPolicy: IfNotPresent
      command: [/tools/aws, serve, /tools]
      env:
        - {name: HOST, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: DIR, value: /data}
`
	awsStandInEnd = `      readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
      securityContext: %[1]s
      volumeMounts: [{name: tools, mountPath: /tools}, {name: data, mountPath: /data}]
  volumes: [{name: tools, emptyDir: {}}, {name: data, emptyDir: {}}]
`
)

// awsPod is a stand-in for STS, S3, EC2 and RDS in one (hack/aws): AKIALOW may only assume roles, whose keys expire, and the S3 server
// behind it is reached with good keys only. It is not AWS.
const awsPod = awsStandIn + `        - {name: KEY_IDS, value: "AKIATEST:wJalrXUtnFEMIK7MDENG AKIALOW:low-k3y-0f-n0b0dy:sts"}
        - {name: ROLES, value: "%[3]s AKIALOW AKIATEST; %[4]s system:serviceaccount:{{ns}}:identity; %[5]s %[4]s"}
        - {name: ISSUER, value: "https://kubernetes.default.svc.cluster.local"}
        - {name: JWKS, value: '%[10]s'}
        - {name: DATABASES, value: "shop boss %[6]s postgres"}
        - {name: S3_ENDPOINT, value: "%[7]s"}
        - {name: S3_KEY_ID, value: "%[8]s"}
        - {name: S3_SECRET, value: "%[9]s"}
` + awsStandInEnd

// webhook is what EKS's webhook for pod identities does: pods of the ServiceAccount get a token for STS, and are told which role it is for.
// Where STS is, all pods of the namespace are told.
const webhook = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: "{{ns}}", labels: {kanister.io/e2e: "true"}}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "{{ns}}"}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  variables:
    - name: identity
      expression: "has(object.spec.serviceAccountName) && object.spec.serviceAccountName == 'identity'"
    - name: env
      expression: >-
        [{"name": "AWS_ENDPOINT_URL_STS", "value": "http://aws.{{ns}}.svc:8080"}] + (variables.identity ? [
        {"name": "AWS_ROLE_ARN", "value": "%[1]s"},
        {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"},
        {"name": "AWS_REGION", "value": "eu-test-1"}] : [])
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          object.spec.containers.transformList(i, c, !has(c.env), JSONPatch{op: "add", path: "/spec/containers/" + string(i) + "/env", value: []})
          + object.spec.containers.transformList(i, c, JSONPatch{op: "add", path: "/spec/containers/" + string(i) + "/env/0", value: variables.env[0]})
          + object.spec.containers.transformList(i, c, variables.identity, JSONPatch{op: "add", path: "/spec/containers/" + string(i) + "/env/1", value: variables.env[1]})
          + object.spec.containers.transformList(i, c, variables.identity, JSONPatch{op: "add", path: "/spec/containers/" + string(i) + "/env/2", value: variables.env[2]})
          + object.spec.containers.transformList(i, c, variables.identity, JSONPatch{op: "add", path: "/spec/containers/" + string(i) + "/env/3", value: variables.env[3]})
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          !variables.identity ? [] :
          (has(object.spec.volumes) ? [] : [JSONPatch{op: "add", path: "/spec/volumes", value: []}])
          + [JSONPatch{op: "add", path: "/spec/volumes/-", value: Object.spec.volumes{name: "aws-iam-token", projected: Object.spec.volumes.projected{sources: [
          Object.spec.volumes.projected.sources{serviceAccountToken: Object.spec.volumes.projected.sources.serviceAccountToken{
          audience: "sts.amazonaws.com", expirationSeconds: 86400, path: "token"}}]}}}]
          + object.spec.containers.transformList(i, c, !has(c.volumeMounts), JSONPatch{op: "add", path: "/spec/containers/" + string(i) + "/volumeMounts", value: []})
          + object.spec.containers.transformList(i, c, JSONPatch{op: "add", path: "/spec/containers/" + string(i) + "/volumeMounts/-", value:
          Object.spec.containers.volumeMounts{name: "aws-iam-token", mountPath: "/var/run/secrets/eks.amazonaws.com/serviceaccount", readOnly: true}})
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: "{{ns}}", labels: {kanister.io/e2e: "true"}}
spec: {policyName: "{{ns}}"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: identity}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: identity}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: identity, namespace: "{{ns}}"}]
`

// identities is the stand-in, with an empty bucket.
type identities struct {
	cloud

	bucket string
}

func newIdentities(w *World) identities {
	w.Helper()

	jwks, err := w.Client.Discovery().RESTClient().Get().AbsPath("/openid/v1/jwks").DoRaw(w.Context())
	if err != nil {
		w.Fatal(err)
	}

	w.Apply(fmt.Sprintf(awsPod, restrictedContainer, postgresImage, roleBackup, rolePods, roleNext, rdsPassword,
		env(w.T, "S3_PLAIN_ENDPOINT"), env(w.T, "AWS_ACCESS_KEY_ID"), env(w.T, "AWS_SECRET_ACCESS_KEY"), jwks))
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()

		w.run(ctx, nil, env(w.T, "KUBECTL"), "delete", "mutatingadmissionpolicies,mutatingadmissionpolicybindings", w.Namespace, "--ignore-not-found")
	})
	w.Apply(fmt.Sprintf(webhook, rolePods))

	a := identities{cloud: cloud{rds: rds{w}}, bucket: w.Namespace[:min(60, len(w.Namespace))]}
	if _, err := w.S3().CreateBucket(w.Context(), &s3.CreateBucketInput{Bucket: &a.bucket}); err != nil {
		w.Fatal(err)
	}

	w.Cleanup(func() { w.dropBucket(a.bucket) })
	w.Kubectl("wait", "--for=condition=Ready", "pod/aws", "--timeout=120s")

	a.client = ec2.New(ec2.Options{
		Region: ebsRegion, BaseEndpoint: aws.String(a.hostEndpoint()), Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "wJalrXUtnFEMIK7MDENG", ""),
	})
	w.Cleanup(a.dropPersistentVolumes)

	// Admission takes up a policy after a moment.
	probe := w.File("probe.yaml", fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: probe}, spec: {serviceAccountName: identity, securityContext: %s, containers: [{name: c, image: c, securityContext: %s}]}}`,
		restrictedPod, restrictedContainer))
	w.Eventually(time.Minute, func() string {
		r := w.run(w.Context(), nil, env(w.T, "KUBECTL"), "-n", w.Namespace, "create", "--dry-run=server", "-o", "yaml", "-f", probe)
		if strings.Contains(r.Stdout, "aws-iam-token") && strings.Contains(r.Stdout, rolePods) {
			return ""
		}

		return "the admission policy does not work: " + r.Stdout + r.Stderr
	})

	return a
}

// profile creates one in the bucket, with the credentials of args.
func (a identities) profile(name string, args ...string) {
	a.Helper()
	a.Want(0, append([]string{"profile", "create", "s3", name, "--bucket", a.bucket, "--prefix", name, "--endpoint", a.endpoint(), "--region", ebsRegion}, args...)...)
}

// sessions makes STS hand out keys that live so long.
func (a identities) sessions(length string) { a.sh("echo " + length + " > /data/session") }

// only fails the test unless all objects were asked for by a session of the role, and there were some.
func (a identities) only(role string) {
	a.Helper()

	owner := "assumed-role/" + role[strings.LastIndex(role, "/")+1:] + "/"
	lines := strings.Split(strings.TrimSpace(a.sh("cat /data/objects; rm /data/objects")), "\n")

	for _, line := range lines {
		if !strings.Contains(line, owner) {
			a.Errorf("the object store was asked by %q, not by %s", line, owner)

			return
		}
	}

	if len(lines) < 5 {
		a.Errorf("the object store was asked %d times", len(lines))
	}
}
