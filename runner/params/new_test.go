package params_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// cluster is a fake API with the given objects.
func cluster(t *testing.T, objects ...runtime.Object) (params.Cluster, *fake.Clientset) {
	t.Helper()

	var typed []runtime.Object

	for _, object := range objects {
		if _, ok := object.(*unstructured.Unstructured); !ok {
			typed = append(typed, object)
		}
	}

	kube := fake.NewClientset(typed...)

	return params.Cluster{Kubernetes: kube, Dynamic: dynamicfake.NewSimpleDynamicClient(scheme.Scheme, objects...)}, kube
}

func meta(name string, uid string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: "demo", UID: types.UID(uid), Labels: map[string]string{"app": "web"}}
}

func owned(m metav1.ObjectMeta, uid string) metav1.ObjectMeta {
	m.OwnerReferences = []metav1.OwnerReference{{UID: types.UID(uid)}}

	return m
}

var selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}

// podSpec mounts claims by volume name: data twice, shared once, and one volume that is no claim.
func podSpec(data, shared string) corev1.PodSpec {
	claim := func(name, claim string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}}
	}

	spec := corev1.PodSpec{
		NodeName:       "n1",
		InitContainers: []corev1.Container{{Name: "init", VolumeMounts: []corev1.VolumeMount{{Name: "shared", MountPath: "/init"}}}},
		Containers: []corev1.Container{
			{Name: "a", VolumeMounts: []corev1.VolumeMount{
				{Name: "data", MountPath: "/part", SubPath: "p"}, {Name: "data", MountPath: "/data"}, {Name: "tmp", MountPath: "/tmp"},
			}},
			{Name: "b", VolumeMounts: []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}, {Name: "data", MountPath: "/again"}}},
		},
		Volumes: []corev1.Volume{claim("shared", shared), {Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}
	if data != "" {
		spec.Volumes = append(spec.Volumes, claim("data", data))
	}

	return spec
}

func pod(name, owner string, phase corev1.PodPhase, spec corev1.PodSpec) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: owned(meta(name, "pod-"+name), owner), Spec: spec,
		Status: corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: "a"}, {Name: "b"}}},
	}
}

func statefulSet() *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}, ObjectMeta: meta("web", "sts"),
		Spec: appsv1.StatefulSetSpec{
			Selector: selector, Template: corev1.PodTemplateSpec{Spec: podSpec("", "shared")},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}},
		},
	}
}

func claims(names ...string) []runtime.Object {
	var out []runtime.Object
	for _, name := range names {
		out = append(out, &corev1.PersistentVolumeClaim{ObjectMeta: meta(name, "pvc-"+name)})
	}

	return out
}

func target(kind, name string) blueprint.ObjectReference {
	return blueprint.ObjectReference{Kind: kind, Name: name, Namespace: "demo"}
}

func TestNewStatefulSet(t *testing.T) {
	t.Parallel()

	c, _ := cluster(t, statefulSet(),
		pod("web-2", "sts", corev1.PodRunning, podSpec("data-web-2", "shared")),
		pod("web-10", "sts", corev1.PodRunning, podSpec("data-web-10", "shared")),
		pod("web-0", "sts", corev1.PodPending, podSpec("data-web-0", "shared")),
		pod("web-1", "sts", corev1.PodRunning, corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}}),
		pod("web-stranger", "other", corev1.PodRunning, podSpec("x", "y")),
	)

	now := time.Date(2026, 11, 23, 8, 9, 10, 120_000_000, time.FixedZone("CET", 3600))

	p, err := params.New(t.Context(), c, params.Request{
		Namespace: "run", Target: target("StatefulSet", "web"), Now: now, Options: map[string]string{"a": "b"},
		Artifacts: map[string]blueprint.Artifact{"x": {KopiaSnapshot: "y"}}, PodLabels: map[string]string{"l": "v"},
	})
	if err != nil {
		t.Fatal(err)
	}

	want := &params.StatefulSetParams{
		Name: "web", Namespace: "demo", Pods: []string{"web-1", "web-10", "web-2"},
		Containers: [][]string{{"a", "b"}, {"a", "b"}, {"a", "b"}},
		PersistentVolumeClaims: map[string]map[string]string{
			"web-10": {"data-web-10": "/again", "shared": "/shared"},
			"web-2":  {"data-web-2": "/again", "shared": "/shared"},
		},
	}
	if d := cmp.Diff(want, p.StatefulSet); d != "" {
		t.Error(d)
	}

	if p.Deployment != nil || p.PVC != nil || p.Namespace != nil || p.DeploymentConfig != nil {
		t.Error("a parameter of another kind is set")
	}

	if p.Time != "2026-11-23T07:09:10.12Z" {
		t.Errorf("time %q", p.Time)
	}

	if name, _, _ := unstructured.NestedString(p.Object, "metadata", "name"); name != "web" {
		t.Errorf("object %v", p.Object)
	}

	if p.Options["a"] != "b" || p.ArtifactsIn["x"].KopiaSnapshot != "y" || p.PodLabels["l"] != "v" || p.Phases == nil {
		t.Errorf("inputs are not passed on: %+v", p)
	}
}

func deployment(revision string) *appsv1.Deployment {
	m := meta("web", "dep")
	m.Annotations = map[string]string{"deployment.kubernetes.io/revision": revision}

	return &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: m,
		Spec: appsv1.DeploymentSpec{Selector: selector, Template: corev1.PodTemplateSpec{Spec: podSpec("data", "shared")}},
	}
}

func replicaSet(name, revision string) *appsv1.ReplicaSet {
	m := owned(meta(name, name), "dep")
	m.Annotations = map[string]string{"deployment.kubernetes.io/revision": revision}

	return &appsv1.ReplicaSet{ObjectMeta: m}
}

func TestNewDeployment(t *testing.T) {
	t.Parallel()

	c, _ := cluster(t, deployment("2"), replicaSet("web-old", "1"), replicaSet("web-new", "2"),
		pod("web-old-a", "web-old", corev1.PodRunning, podSpec("data", "shared")),
		pod("web-new-a", "web-new", corev1.PodRunning, podSpec("data", "shared")))

	p, err := params.New(t.Context(), c, params.Request{Target: target("deployment", "web")})
	if err != nil {
		t.Fatal(err)
	}

	want := &params.DeploymentParams{
		Name: "web", Namespace: "demo", Pods: []string{"web-new-a"}, Containers: [][]string{{"a", "b"}},
		PersistentVolumeClaims: map[string]map[string]string{"web-new-a": {"data": "/again", "shared": "/shared"}},
	}
	if d := cmp.Diff(want, p.Deployment); d != "" {
		t.Error(d)
	}

	// What a run has left stopped stands in for pods that are not there, and for no others.
	stopped := &params.WorkloadParams{
		Name: "other", Pods: []string{"web-old-z"}, Containers: [][]string{{"a"}}, PersistentVolumeClaims: map[string]map[string]string{"web-old-z": {"data": "/data"}},
	}

	if p, err = params.New(t.Context(), c, params.Request{Target: target("deployment", "web"), Stopped: stopped}); err != nil || !cmp.Equal(p.Deployment, want) {
		t.Errorf("with pods: %+v, %v", p.Deployment, err)
	}

	c, _ = cluster(t, deployment("2"), replicaSet("web-new", "2"), pod("web-new-a", "web-new", corev1.PodPending, podSpec("data", "shared")))
	if p, err = params.New(t.Context(), c, params.Request{Target: target("deployment", "web"), Stopped: stopped}); err != nil {
		t.Fatal(err)
	}

	stopped.Name, stopped.Namespace = "web", "demo"
	if d := cmp.Diff((*params.DeploymentParams)(stopped), p.Deployment); d != "" {
		t.Error(d)
	}

	c, _ = cluster(t, deployment("3"), replicaSet("web-new", "2"))
	if _, err := params.New(t.Context(), c, params.Request{Target: target("Deployment", "web")}); err == nil ||
		!strings.Contains(err.Error(), `Deployment "demo/web": it has no ReplicaSet of its revision "3"`) {
		t.Errorf("error %v", err)
	}
}

func TestNewDeploymentConfig(t *testing.T) {
	t.Parallel()

	dc := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig",
		"metadata": map[string]any{"name": "web", "namespace": "demo", "uid": "dc"},
		"spec":     map[string]any{"selector": map[string]any{"app": "web"}},
		"status":   map[string]any{"latestVersion": int64(4)},
	}}
	controller := func(name, version string) *corev1.ReplicationController {
		m := owned(meta(name, name), "dc")
		m.Annotations = map[string]string{"openshift.io/deployment-config.latest-version": version}

		return &corev1.ReplicationController{ObjectMeta: m}
	}

	c, _ := cluster(t, dc, controller("web-3", "3"), controller("web-4", "4"),
		pod("web-3-a", "web-3", corev1.PodRunning, podSpec("data", "shared")),
		pod("web-4-a", "web-4", corev1.PodRunning, podSpec("data", "shared")))

	p, err := params.New(t.Context(), c, params.Request{Target: target("deploymentconfig", "web")})
	if err != nil {
		t.Fatal(err)
	}

	if p.DeploymentConfig == nil || fmt.Sprint(p.DeploymentConfig.Pods) != "[web-4-a]" {
		t.Errorf("DeploymentConfig %+v", p.DeploymentConfig)
	}
}

func TestNewOtherTargets(t *testing.T) {
	t.Parallel()

	custom := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Deployment", "metadata": map[string]any{"name": "c", "namespace": "demo"},
	}}
	objects := append(claims("data"), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo"}},
		&corev1.Secret{ObjectMeta: meta("creds", ""), Data: map[string][]byte{"a": []byte("b")}}, custom)
	c, _ := cluster(t, objects...)

	for name, tc := range map[string]struct {
		target blueprint.ObjectReference
		check  func(*params.TemplateParams) bool
		fails  string
	}{
		"pvc": {target: target("pvc", "data"), check: func(p *params.TemplateParams) bool {
			return *p.PVC == params.PVCParams{Name: "data", Namespace: "demo"}
		}},
		"long pvc": {target: target("PersistentVolumeClaim", "data"), check: func(p *params.TemplateParams) bool { return p.PVC != nil }},
		"namespace": {target: target("Namespace", "demo"), check: func(p *params.TemplateParams) bool {
			return p.Namespace.Name == "demo" && p.Namespace.Namespace == "demo"
		}},
		"namespace, name only": {
			target: blueprint.ObjectReference{Kind: "namespace", Name: "demo"},
			check:  func(p *params.TemplateParams) bool { return p.Namespace.Name == "demo" },
		},
		"secret": {
			target: blueprint.ObjectReference{APIVersion: "v1", Resource: "secrets", Name: "creds", Namespace: "demo"},
			check: func(p *params.TemplateParams) bool {
				v, _, _ := unstructured.NestedString(p.Object, "data", "a")

				return v == "Yg=="
			},
		},
		"custom kind of a known name": {
			target: blueprint.ObjectReference{Group: "example.com", APIVersion: "v1", Resource: "deployments", Kind: "Deployment", Name: "c", Namespace: "demo"},
			check:  func(p *params.TemplateParams) bool { return p.Deployment == nil && p.Object != nil },
		},
		"group in the version": {
			target: blueprint.ObjectReference{APIVersion: "example.com/v1", Resource: "deployments", Name: "c", Namespace: "demo"},
			check:  func(p *params.TemplateParams) bool { return p.Object != nil },
		},
		"none":        {check: func(p *params.TemplateParams) bool { return p.Object == nil }},
		"no resource": {target: target("Widget", "w"), fails: `a target of this kind needs apiVersion (such as "v1") and resource (such as "secrets")`},
		"absent":      {target: target("pvc", "nope"), fails: `reading pvc "demo/nope" (the target): there is none of that name`},
		"no name":     {target: target("pvc", ""), fails: "its name is empty"},
	} {
		p, err := params.New(t.Context(), c, params.Request{Target: tc.target})

		switch {
		case tc.fails != "":
			if err == nil || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%s: error %v, want %q", name, err, tc.fails)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case !tc.check(p):
			t.Errorf("%s: parameters %+v", name, p)
		}
	}
}

func forbid(kube *fake.Clientset, verb, resource string) {
	kube.PrependReactor(verb, resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "x", errors.New("no"))
	})
}

func TestNewReferences(t *testing.T) {
	t.Parallel()

	c, kube := cluster(t, &corev1.Secret{ObjectMeta: meta("creds", "")}, &corev1.ConfigMap{ObjectMeta: meta("loc", "")})
	req := params.Request{
		Namespace:  "demo",
		Secrets:    map[string]blueprint.ObjectReference{"s": {Name: "creds"}},
		ConfigMaps: map[string]blueprint.ObjectReference{"c": {Name: "loc", Namespace: "demo"}},
	}

	p, err := params.New(t.Context(), c, req)
	if err != nil || p.Secrets["s"].Name != "creds" || p.ConfigMaps["c"].Name != "loc" {
		t.Fatalf("%+v, %v", p, err)
	}

	forbid(kube, "get", "secrets")

	if _, err := params.New(t.Context(), c, req); err == nil || !strings.Contains(err.Error(), `reading Secret "demo/creds" (Secrets.s)`) ||
		!apierrors.IsForbidden(err) {
		t.Errorf("error %v", err)
	}

	req.Tolerant = true

	p, err = params.New(t.Context(), c, req)

	var unreadable *params.Unreadable
	if !errors.As(err, &unreadable) || unreadable.Errors["Secrets.s"] == nil || p == nil || p.ConfigMaps["c"].Name != "loc" {
		t.Errorf("tolerant: %+v, %v", p, err)
	}
}

func TestFetchObjects(t *testing.T) {
	t.Parallel()

	c, _ := cluster(t, &corev1.Secret{ObjectMeta: meta("creds", "")}, &corev1.ConfigMap{ObjectMeta: meta("loc", "")})

	phase, err := params.FetchObjects(t.Context(), c, map[string]blueprint.ObjectReference{
		"s": {Kind: "secret", Name: "creds", Namespace: "demo"}, "c": {Kind: "ConfigMap", Name: "loc"}, "o": {Kind: "Pod", Name: "p"},
	}, "demo")
	if err != nil || len(phase.Secrets) != 1 || len(phase.ConfigMaps) != 1 || phase.Output != nil {
		t.Fatalf("%+v, %v", phase, err)
	}

	for want, ref := range map[string]blueprint.ObjectReference{
		`reading Secret "demo/nope" (objects.s): there is none of that name`: {Kind: "Secret", Name: "nope"},
		"its name is empty": {Kind: "ConfigMap"},
	} {
		if _, err := params.FetchObjects(t.Context(), c, map[string]blueprint.ObjectReference{"s": ref}, "demo"); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestVolumes(t *testing.T) {
	t.Parallel()

	shown := func(volumes []params.VolumeClaim) string {
		var out []string

		for _, v := range volumes {
			known := "+"
			if v.Claim == nil {
				known = "-"
			}

			out = append(out, fmt.Sprintf("%s%s@%s:%s:%s", known, v.Name, v.Pod, v.Container, v.MountPath))
		}

		return strings.Join(out, " ")
	}

	all := append(claims("data-web-0", "data-web-1", "data-web-10", "data-webber-0", "data-web-x", "shared", "unused"),
		statefulSet(), deployment("1"), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo"}})
	running := append(all[:len(all):len(all)],
		pod("web-0", "sts", corev1.PodRunning, podSpec("data-web-0", "shared")),
		pod("a-job", "job", corev1.PodSucceeded, podSpec("data-web-0", "shared")),
		pod("a-starting", "x", corev1.PodPending, podSpec("data-web-0", "other")))

	for name, tc := range map[string]struct {
		objects []runtime.Object
		target  blueprint.ObjectReference
		forbid  [][2]string
		want    string
		fails   string
	}{
		"scaled to zero": {
			objects: all, target: target("StatefulSet", "web"),
			want: "+data-web-0@:a:/data +data-web-1@:a:/data +data-web-10@:a:/data +shared@:b:/shared",
		},
		"running": {
			objects: running, target: target("StatefulSet", "web"),
			want: "+data-web-0@web-0:a:/data +data-web-1@:a:/data +data-web-10@:a:/data +shared@web-0:b:/shared",
		},
		"deployment": {objects: all, target: target("Deployment", "web"), want: "-data@:a:/data +shared@:b:/shared"},
		"claim":      {objects: running, target: target("pvc", "shared"), want: "+shared@web-0:b:/shared"},
		"namespace": {
			objects: running, target: target("Namespace", "demo"),
			want: "+data-web-0@web-0:a:/data +data-web-1@:: +data-web-10@:: +data-web-x@:: +data-webber-0@:: +shared@web-0:b:/shared +unused@::",
		},
		"pod": {
			objects: running, target: blueprint.ObjectReference{APIVersion: "v1", Resource: "pods", Kind: "Pod", Name: "web-0", Namespace: "demo"},
			want: "+data-web-0@web-0:a:/data +shared@web-0:b:/shared",
		},
		"no pods may be listed": {
			objects: running, target: target("pvc", "shared"), forbid: [][2]string{{"list", "pods"}}, want: "+shared@::",
		},
		"no claims may be listed": {
			objects: running, target: target("Deployment", "web"), forbid: [][2]string{{"list", "persistentvolumeclaims"}},
			want: "-data@:a:/data +shared@web-0:b:/shared",
		},
		"no claims may be listed in the namespace": {
			objects: running, target: target("Namespace", "demo"), forbid: [][2]string{{"list", "persistentvolumeclaims"}}, fails: "forbidden",
		},
		"absent": {objects: all, target: target("StatefulSet", "nope"), fails: `StatefulSet "demo/nope"`},
		"no volumes": {
			objects: []runtime.Object{&corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: meta("c", "")}},
			target:  blueprint.ObjectReference{APIVersion: "v1", Resource: "configmaps", Name: "c", Namespace: "demo"}, want: "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c, kube := cluster(t, tc.objects...)
			for _, f := range tc.forbid {
				forbid(kube, f[0], f[1])
			}

			got, err := params.Volumes(t.Context(), c, tc.target, "demo")

			switch {
			case tc.fails != "":
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("error %v, want %q", err, tc.fails)
				}
			case err != nil:
				t.Error(err)
			case shown(got) != tc.want:
				t.Errorf("got  %s\nwant %s", shown(got), tc.want)
			}
		})
	}
}
