package record

import (
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// Where the input Secret is mounted in the runner pod, and the key that holds the Input as JSON.
const (
	InputMountPath = "/etc/kanister/run"
	InputKey       = "input.json"
	// LocationMountPath is where the claim of a filestore profile is mounted, in the runner pod and in worker pods alike.
	LocationMountPath = "/var/lib/kanister/location"
)

// Input is all that the runner is told; it travels as a Secret, because a resolved profile holds credentials.
type Input struct {
	SchemaVersion   string                    `json:"schemaVersion"`
	Run             string                    `json:"run"`
	Namespace       string                    `json:"namespace"`
	Action          string                    `json:"action"`
	Blueprint       blueprint.Blueprint       `json:"blueprint"`
	BlueprintSource string                    `json:"blueprintSource,omitempty"`
	Target          blueprint.ObjectReference `json:"target"`
	Profile         *Profile                  `json:"profile,omitempty"`
	// RepositoryServer is resolved as well; for the functions of the kopia server family.
	RepositoryServer *params.RepositoryServer             `json:"repositoryServer,omitempty"`
	ServerWord       string                               `json:"serverWord,omitempty"` // Record.Server
	Artifacts        map[string]blueprint.Artifact        `json:"artifacts,omitempty"`
	Options          map[string]string                    `json:"options,omitempty"`
	ConfigMaps       map[string]blueprint.ObjectReference `json:"configMaps,omitempty"`
	Secrets          map[string]blueprint.ObjectReference `json:"secrets,omitempty"`

	// Stopped is the target as a run found it that left it without pods, on half restored data. It stands in while it has none.
	Stopped *params.WorkloadParams `json:"stopped,omitempty"`

	PodOverride    map[string]any    `json:"podOverride,omitempty"`
	PodLabels      map[string]string `json:"podLabels,omitempty"`
	PodAnnotations map[string]string `json:"podAnnotations,omitempty"`

	// RunnerImage is the image of worker pods that move data; the runner's own.
	RunnerImage     string `json:"runnerImage"`
	ImagePullPolicy string `json:"imagePullPolicy,omitempty"`
	ServiceAccount  string `json:"serviceAccount,omitempty"`
	// TimeoutSeconds bounds the phases of the run, counted from its start and over restarts of the runner; deferPhase and undo
	// have bounds of their own after it. 0 means the Job's own deadline only.
	TimeoutSeconds int64  `json:"timeoutSeconds,omitempty"`
	From           string `json:"from,omitempty"`
}

// Profile is params.Profile as it travels in the Input: nothing of it is left out.
type Profile struct {
	Name string `json:"name"`
	// Namespace that it was found in; "" if it came from a file.
	Namespace          string             `json:"namespace,omitempty"`
	Location           blueprint.Location `json:"location"`
	Credential         params.Credential  `json:"credential"`
	SkipSSLVerify      bool               `json:"skipSSLVerify,omitempty"`
	CABundle           string             `json:"caBundle,omitempty"`
	RepositoryPassword string             `json:"repositoryPassword,omitempty"`
}

// Reference names the profile as --profile does, for a run in a namespace: NAME, or NAMESPACE/NAME of one elsewhere.
func (p *Profile) Reference(namespace string) string {
	if p.Namespace == "" || p.Namespace == namespace {
		return p.Name
	}

	return p.Namespace + "/" + p.Name
}

// Params gives the profile as templates and functions see it. A nil profile gives nil.
func (p *Profile) Params() *params.Profile {
	if p == nil {
		return nil
	}

	return &params.Profile{
		Name: p.Name, Location: p.Location, Credential: p.Credential, SkipSSLVerify: p.SkipSSLVerify,
		CABundle: p.CABundle, RepositoryPassword: p.RepositoryPassword,
	}
}
