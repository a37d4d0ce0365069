package binaries

// Kubernetes is a program of Kubernetes, by the name of its folder below cmd: "kubelet", "kubectl".
func Kubernetes(name string) Program {
	const module = "k8s.io/kubernetes"
	return Program{
		Name: name, Module: module, Dir: "cluster/build/kubernetes", Package: module + "/cmd/" + name,
		LDFlags: "-X k8s.io/component-base/version.gitVersion=VERSION -X k8s.io/client-go/pkg/version.gitVersion=VERSION",
	}
}
