// Package params turns live objects into the template parameters that blueprints render with (COMPAT §2.1, §2.7).
package params

import (
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	corev1 "k8s.io/api/core/v1"
)

// TemplateParams is the root of every blueprint template. Field names are the contract: blueprints spell them.
// Exactly the field that matches the target's kind is set; the others stay nil, so that `if .Deployment` works.
type TemplateParams struct {
	StatefulSet      *StatefulSetParams
	DeploymentConfig *DeploymentConfigParams
	Deployment       *DeploymentParams
	PVC              *PVCParams
	Namespace        *NamespaceParams
	RepositoryServer *RepositoryServer
	ArtifactsIn      map[string]blueprint.Artifact
	ConfigMaps       map[string]corev1.ConfigMap
	Secrets          map[string]corev1.Secret
	// Time is when the action started: UTC, RFC 3339 with nanoseconds, a string.
	Time           string
	Profile        *Profile
	Options        map[string]string
	Object         map[string]any
	CurrentPhase   *Phase
	Phases         map[string]*Phase
	DeferPhase     *Phase
	PodOverride    map[string]any
	PodAnnotations map[string]string
	PodLabels      map[string]string
}

// WorkloadParams is what the three workload kinds share: running pods in name order, their containers in parallel to Pods,
// and pod name -> (PVC name -> mount path).
type WorkloadParams struct {
	Name                   string
	Namespace              string
	Pods                   []string
	Containers             [][]string
	PersistentVolumeClaims map[string]map[string]string
}

// DeploymentParams is .Deployment.
type DeploymentParams WorkloadParams

// StatefulSetParams is .StatefulSet.
type StatefulSetParams WorkloadParams

// DeploymentConfigParams is .DeploymentConfig (OpenShift).
type DeploymentConfigParams WorkloadParams

// Workload is .Deployment, .StatefulSet or .DeploymentConfig, whichever is set, or nil.
func (p *TemplateParams) Workload() *WorkloadParams {
	switch {
	case p == nil:
		return nil
	case p.Deployment != nil:
		return (*WorkloadParams)(p.Deployment)
	case p.StatefulSet != nil:
		return (*WorkloadParams)(p.StatefulSet)
	default:
		return (*WorkloadParams)(p.DeploymentConfig)
	}
}

// PVCParams is .PVC.
type PVCParams struct {
	Name      string
	Namespace string
}

// NamespaceParams is .Namespace; both names are equal.
type NamespaceParams struct {
	Name      string
	Namespace string
}

// Phase is what templates see of a phase: .Phases.<name> or .DeferPhase.
type Phase struct {
	Secrets    map[string]corev1.Secret
	ConfigMaps map[string]corev1.ConfigMap
	Output     map[string]any
}

// Profile is a resolved profile. Its JSON is upstream's (COMPAT §1.6): no tags on purpose. The members that upstream's
// kando does not know are ignored by it; RepositoryPassword never appears in JSON made by templates.
type Profile struct {
	Location      blueprint.Location
	Credential    Credential
	SkipSSLVerify bool
	// CABundle is PEM, trusted in addition to the system's roots. Ours.
	CABundle string `json:",omitempty"`
	// RepositoryPassword encrypts kopia repositories when a blueprint gives no encryptionKey. Ours; empty for upstream
	// profiles, where COMPAT §0.5's public constant is used with a warning.
	RepositoryPassword string `json:"-"`
	// Name is the profile's name, for messages.
	Name string `json:"-"`
}

// Credential is the resolved credential of a Profile.
type Credential struct {
	Type              blueprint.CredentialType
	KeyPair           *KeyPair
	Secret            *corev1.Secret
	KopiaServerSecret *KopiaServerSecret
}

// KeyPair is an access key and its secret.
type KeyPair struct {
	ID     string
	Secret string
}

// KopiaServerSecret is the resolved access to a kopia repository server; Cert is PEM.
type KopiaServerSecret struct {
	Username       string
	Hostname       string
	Password       string
	Cert           string
	ConnectOptions map[string]int
}

// RepositoryServer is .RepositoryServer (COMPAT §1.7).
type RepositoryServer struct {
	Name            string
	Namespace       string
	ServerInfo      ServerInfo
	Username        string
	Credentials     RepositoryServerCredentials
	Address         string
	ContentCacheMB  int
	MetadataCacheMB int
}

// ServerInfo names the pod and the Service of a repository server.
type ServerInfo struct {
	PodName     string `json:"podName,omitempty"`
	ServiceName string `json:"serviceName,omitempty"`
}

// RepositoryServerCredentials are the Secrets of a repository server.
type RepositoryServerCredentials struct {
	ServerTLS        corev1.Secret
	ServerUserAccess corev1.Secret
}
