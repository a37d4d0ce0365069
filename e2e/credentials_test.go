//go:build e2e

package e2e

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// cloudBlueprint asks S3, EC2 and RDS, and pushes a stream that takes longer than a session lives.
const cloudBlueprint = `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: cloud}
actions:
  all:
    outputArtifacts:
      made: {keyValue: {volumes: "{{ .Phases.ebs.Output.volumeSnapshotInfo }}", database: "{{ .Phases.rds.Output.snapshotID }}", pushed: "{{ .Phases.push.Output.size }}"}}
    phases:
    - func: CreateVolumeSnapshot
      name: ebs
      args: {namespace: "{{ .StatefulSet.Namespace }}", pvcs: [disk], endpoint: "ENDPOINT", SOURCE}
    - func: CreateRDSSnapshot
      name: rds
      args: {instanceID: shop, endpoint: "ENDPOINT", SOURCE}
    - func: KubeTask
      name: push
      args:
        namespace: "{{ .StatefulSet.Namespace }}"
        image: ` + toolsImage + `
        command:
        - bash
        - -ec
        - |
          { head -c 9000000 /dev/zero; sleep 5; head -c 9000000 /dev/zero; } | kando location push --profile '{{ toJson .Profile }}' --path long -
          kando output size "$(kando location pull --profile '{{ toJson .Profile }}' --path long - | wc -c)"
          kando location delete --profile '{{ toJson .Profile }}' --path long
  bucket:
    phases:
    - func: KubeTask
      name: push
      args:
        namespace: "{{ .StatefulSet.Namespace }}"
        image: ` + toolsImage + `
        command: [bash, -ec, "echo x | kando location push --profile '{{ toJson .Profile }}' --path x -"]
  files:
    phases:
    - func: BackupData
      name: files
      args: {namespace: "{{ .StatefulSet.Namespace }}", pod: "{{ index .StatefulSet.Pods 0 }}", container: main, includePath: /data, backupArtifactPrefix: x}
`

func (a identities) blueprint(source string) string {
	a.Helper()

	return a.File("cloud.yaml", strings.NewReplacer("ENDPOINT", a.endpoint(), "SOURCE", source).Replace(cloudBlueprint))
}

// cycle is a backup and a restore with the built-in blueprint.
func (a identities) cycle(args ...string) {
	a.Helper()
	a.Bash("rm -rf /data/*; head -c 3M /dev/urandom > /data/big; mkdir /data/d; echo x > /data/d/x")

	before := a.Fingerprint()
	backup := a.Finished(a.Want(0, append([]string{"backup", "sts/app", "-o", "json"}, args...)...))

	a.Bash("rm -rf /data/*")
	a.Want(0, append([]string{"restore", "--from", backup.Run}, args...)...)
	a.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	if after := a.Fingerprint(); after != before {
		a.Errorf("what was restored differs:\n%s\nwant\n%s", after, before)
	}
}

// temporaryKey is a part of what the stand-in for STS hands out, and of the key that may only assume a role.
var temporaryKey = regexp.MustCompile(`session-[0-9a-f]{20}|low-k3y|ASIA[0-9A-F]{12}`)

// all runs the blueprint's action, whose record must not hold anything of the temporary keys.
func (a identities) all(source string, args ...string) {
	a.Helper()

	done := a.Finished(a.Want(0, append([]string{"run", "all", "sts/app", "--blueprint", a.blueprint(source), "-o", "json"}, args...)...))
	made := done.Artifacts["made"].KeyValue

	if made["pushed"] != "18000000" || made["database"] == "" || !strings.Contains(made["volumes"], "snap-") {
		a.Errorf("made %v", made)
	}

	a.NothingLeft(done.Run)

	all := a.Kubectl("get", "pods,jobs,configmaps,events", "-l", "app!=aws", "-o", "yaml") + a.Kubectl("logs", "-l", "kanister.io/run="+done.Run, "--all-containers", "--tail=-1")
	if found := temporaryKey.FindString(all); found != "" {
		a.Errorf("%q can be read in the cluster", found)
	}
}

// A key that may do nothing but assume a role: S3 through kando, data mover and runner, EBS, RDS; also when sessions end in the
// middle. Then what cannot work, and what is said about it.
func TestCredentialsOfARole(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	a := newIdentities(w)
	a.profile("store", "--access-key", "AKIALOW", "--secret-key", "low-k3y-0f-n0b0dy", "--role", roleBackup)
	w.StatefulSet("csi-btrfs")
	a.claim("disk", false)
	a.sessions("3s")

	a.cycle()
	a.all("credentialsSource: profile")
	a.only(roleBackup)

	requests := a.sh("cat /data/requests; rm /data/requests")
	w.Contains(requests, "CreateSnapshot", "CreateDBSnapshot shop", "AssumeRole "+roleBackup)

	// Who may not do it, by its own key and by a role that is not to be had.
	a.profile("low", "--access-key", "AKIALOW", "--secret-key", "low-k3y-0f-n0b0dy")
	a.profile("stranger", "--access-key", "AKIALOW", "--secret-key", "low-k3y-0f-n0b0dy", "--role", roleNext)
	a.profile("forged", "--access-key", "AKIALOW", "--secret-key", "another", "--role", roleBackup)

	for _, test := range []struct {
		profile, action string
		want            []string
	}{
		{"low", "bucket", []string{"AccessDenied"}},
		{"low", "all", []string{"ec2:"}},
		{"stranger", "bucket", []string{"AccessDenied", roleNext}},
		{"stranger", "files", []string{"AccessDenied", roleNext}},
		{"stranger", "all", []string{"AccessDenied", roleNext}},
		{"forged", "files", []string{"SignatureDoesNotMatch"}},
	} {
		began := time.Now()
		r := w.Want(3, "run", test.action, "sts/app", "--blueprint", a.blueprint("credentialsSource: profile"), "--profile", test.profile)
		w.Contains(r.Stderr, test.want...)

		if took := time.Since(began); took > 45*time.Second {
			t.Errorf("%s of %s failed after %s only", test.action, test.profile, took)
		}
	}
}

// Keys with a session token, as long as it lives.
func TestCredentialsOfASession(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	a := newIdentities(w)
	w.StatefulSet("csi-btrfs")
	a.claim("disk", false)

	temporary := func(name string) {
		client := sts.New(sts.Options{
			Region: ebsRegion, BaseEndpoint: aws.String(a.hostEndpoint()), Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "wJalrXUtnFEMIK7MDENG", ""),
		})

		out, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(roleBackup), RoleSessionName: aws.String("test")})
		if err != nil {
			t.Fatal(err)
		}

		keys := out.Credentials
		r := w.run(w.Context(), nil, "env", "AWS_ACCESS_KEY_ID="+*keys.AccessKeyId, "AWS_SECRET_ACCESS_KEY="+*keys.SecretAccessKey, "AWS_SESSION_TOKEN="+*keys.SessionToken,
			env(t, "KANISTER_PLUGIN"), "-n", w.Namespace, "profile", "create", "s3", name, "--bucket", a.bucket, "--prefix", name, "--endpoint", a.endpoint(), "--region", ebsRegion)
		if r.Code != 0 {
			t.Fatal(r.Stderr)
		}

		w.Contains(r.Stderr, "temporary")
	}

	temporary("store")
	a.cycle()
	a.all("credentialsSource: profile")
	a.only(roleBackup)
	a.sessions("1ms")
	temporary("gone")

	for _, action := range []string{"bucket", "files", "all"} {
		w.Contains(strings.ToLower(w.Want(3, "run", action, "sts/app", "--blueprint", a.blueprint("credentialsSource: profile"), "--profile", "gone").Stderr), "expired")
	}
}

// No keys at all: the pods have an identity, of whose token STS makes keys; also for a role beyond that.
func TestCredentialsOfThePod(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	a := newIdentities(w)
	w.StatefulSet("csi-btrfs")
	a.claim("disk", false)
	w.Apply(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: "{{ns}}"}, rules: [{apiGroups: [""], resources: [persistentvolumes], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: "{{ns}}"}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "{{ns}}"}, subjects: [{kind: ServiceAccount, name: identity, namespace: "{{ns}}"}]}
`)
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()

		w.run(ctx, nil, env(t, "KUBECTL"), "delete", "clusterrole,clusterrolebinding", w.Namespace)
	})
	a.sessions("3s")

	identity := []string{"--service-account", "identity"}

	a.profile("store", "--pod-identity")
	a.cycle(identity...)
	a.all("credentialsSource: eks_service_account", identity...)
	a.only(rolePods)
	w.Contains(a.sh("cat /data/requests; rm /data/requests"), "AssumeRoleWithWebIdentity "+rolePods)

	a.profile("next", "--pod-identity", "--role", roleNext)
	a.all("credentialsSource: profile", append(identity, "--profile", "next")...)
	a.only(roleNext)
	w.Contains(a.sh("cat /data/requests"), "AssumeRole "+roleNext)

	// The role that the pod has already is not assumed again: it does not trust itself.
	a.profile("same", "--pod-identity", "--role", rolePods)
	w.Want(0, append([]string{"run", "bucket", "sts/app", "--blueprint", a.blueprint("credentialsSource: profile"), "--profile", "same"}, identity...)...)

	// Without the ServiceAccount there is no identity.
	began := time.Now()
	r := w.Want(3, "run", "files", "sts/app", "--blueprint", a.blueprint("credentialsSource: profile"))
	w.Contains(r.Stderr, "--service-account")

	if took := time.Since(began); took > 45*time.Second {
		t.Errorf("without an identity it failed after %s only", took)
	}
}
