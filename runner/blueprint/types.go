// Package blueprint holds upstream Kanister's YAML shapes (Blueprint, Profile, ActionSet, RepositoryServer), their strict
// loading and their validation. The shapes are those of COMPAT §1; what is ours in addition is said so at the field.
package blueprint

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// APIVersion is the group and version of every upstream kind in this package.
const APIVersion = "cr.kanister.io/v1alpha1"

// Blueprint is a set of named actions on an application (COMPAT §1.1). There is no spec: actions sit at the top level.
type Blueprint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Actions map[string]*Action `json:"actions"`

	// Source says where the parts stand in the file they were loaded from, for findings. It does not travel.
	Source *Source `json:"-"`
}

// Action is an ordered list of phases. It is chosen by its key in Blueprint.Actions; Name, Kind, and the three name
// lists are documentation only, as upstream (COMPAT §0.7).
type Action struct {
	Name               string              `json:"name,omitempty"`
	Kind               string              `json:"kind,omitempty"`
	Type               string              `json:"type,omitempty"` // old spelling of Kind
	ConfigMapNames     []string            `json:"configMapNames,omitempty"`
	SecretNames        []string            `json:"secretNames,omitempty"`
	InputArtifactNames []string            `json:"inputArtifactNames,omitempty"`
	OutputArtifacts    map[string]Artifact `json:"outputArtifacts,omitempty"`
	Phases             []Phase             `json:"phases"`
	DeferPhase         *Phase              `json:"deferPhase,omitempty"`
}

// Phase runs one Kanister Function.
type Phase struct {
	Func    string                     `json:"func"`
	Name    string                     `json:"name"`
	Objects map[string]ObjectReference `json:"objects,omitempty"`
	Args    map[string]any             `json:"args,omitempty"`
}

// Artifact is what a backup action leaves for restore and delete.
type Artifact struct {
	KeyValue      map[string]string `json:"keyValue,omitempty"`
	KopiaSnapshot string            `json:"kopiaSnapshot,omitempty"`
}

// ObjectReference names one Kubernetes object (COMPAT §1.2). APIVersion is the version alone ("v1"), without the group.
type ObjectReference struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Group      string `json:"group,omitempty"`
	Resource   string `json:"resource,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Name       string `json:"name,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
}

// Profile is a location with its credential (COMPAT §1.5).
type Profile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Location      Location   `json:"location"`
	Credential    Credential `json:"credential"`
	SkipSSLVerify bool       `json:"skipSSLVerify,omitempty"`
}

// LocationType says which kind of store a Location is.
type LocationType string

// Location types: upstream's four, and filestore (a PVC), which upstream knows for RepositoryServers only.
const (
	LocationS3        LocationType = "s3Compliant"
	LocationGCS       LocationType = "gcs"
	LocationAzure     LocationType = "azure"
	LocationKopia     LocationType = "kopia"
	LocationFilestore LocationType = "filestore"
)

// Location is where data goes. The JSON names are upstream's, because `toJson .Profile` hands them to kando (COMPAT §1.6).
type Location struct {
	Type     LocationType `json:"type"`
	Bucket   string       `json:"bucket"`
	Endpoint string       `json:"endpoint"`
	Prefix   string       `json:"prefix"`
	Region   string       `json:"region"`
	// ClaimName is the PersistentVolumeClaim of a filestore location, in the namespace of the run. Ours.
	ClaimName string `json:"claimName,omitempty"`
}

// CredentialType says which member of a Credential is set.
type CredentialType string

// Credential types of COMPAT §1.5. CredentialNone is for locations that need none (filestore) or use the pod's own identity.
const (
	CredentialKeyPair CredentialType = "keyPair"
	CredentialSecret  CredentialType = "secret"
	CredentialKopia   CredentialType = "kopia"
	CredentialNone    CredentialType = ""
)

// Credential refers to the Secret that holds the keys of a Location.
type Credential struct {
	Type              CredentialType     `json:"type,omitempty"`
	KeyPair           *KeyPair           `json:"keyPair,omitempty"`
	Secret            *ObjectReference   `json:"secret,omitempty"`
	KopiaServerSecret *KopiaServerSecret `json:"kopiaServerSecret,omitempty"`
}

// KeyPair names two keys of a Secret.
type KeyPair struct {
	IDField     string          `json:"idField"`
	SecretField string          `json:"secretField"`
	Secret      ObjectReference `json:"secret"`
}

// KopiaServerSecret describes access to a kopia repository server.
type KopiaServerSecret struct {
	Username       string          `json:"username,omitempty"`
	Hostname       string          `json:"hostname,omitempty"`
	UserPassphrase *KopiaSecretRef `json:"userPassphrase,omitempty"`
	TLSCert        *KopiaSecretRef `json:"tlsCert,omitempty"`
	ConnectOptions map[string]int  `json:"connectOptions,omitempty"`
}

// KopiaSecretRef is one key of a Secret.
type KopiaSecretRef struct {
	Key    string           `json:"key"`
	Secret *ObjectReference `json:"secret"`
}

// RepositoryServer describes a kopia repository server (COMPAT §1.7; upstream removed the kind after 0.119).
type RepositoryServer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   RepositoryServerSpec   `json:"spec"`
	Status RepositoryServerStatus `json:"status,omitempty"`
}

// RepositoryServerSpec is what the user says of a repository server.
type RepositoryServerSpec struct {
	Storage    RepositoryServerStorage `json:"storage"`
	Repository Repository              `json:"repository"`
	Server     Server                  `json:"server"`
}

// RepositoryServerStorage names the Secrets with the location (type secrets.kanister.io/storage-location) and its credentials.
type RepositoryServerStorage struct {
	SecretRef           SecretReference `json:"secretRef"`
	CredentialSecretRef SecretReference `json:"credentialSecretRef,omitempty"`
}

// Repository is the kopia repository behind the server. RootPath is joined to the location's prefix, if it has one.
type Repository struct {
	RootPath          string                  `json:"rootPath"`
	Username          string                  `json:"username,omitempty"`
	Hostname          string                  `json:"hostname,omitempty"`
	PasswordSecretRef SecretReference         `json:"passwordSecretRef"`
	CacheSizeSettings CacheSizeSettings       `json:"cacheSizeSettings,omitempty"`
	Configuration     RepositoryConfiguration `json:"configuration,omitempty"`
}

// CacheSizeSettings are cache sizes in MB.
type CacheSizeSettings struct {
	Metadata *int `json:"metadata,omitempty"`
	Content  *int `json:"content,omitempty"`
}

// RepositoryConfiguration are paths within the server's pod.
type RepositoryConfiguration struct {
	CacheDirectory string `json:"cacheDirectory,omitempty"`
	LogDirectory   string `json:"logDirectory,omitempty"`
	ConfigFilePath string `json:"configFilePath,omitempty"`
}

// Server is how clients reach the repository server.
type Server struct {
	UserAccess     UserAccess      `json:"userAccess"`
	AdminSecretRef SecretReference `json:"adminSecretRef"`
	TLSSecretRef   SecretReference `json:"tlsSecretRef"`
	// Address is where clients reach the server: https://host:port. Ours, for servers that no controller has started; default: the
	// Service of the status.
	Address string `json:"address,omitempty"`
}

// UserAccess names the Secret whose keys are hostnames and whose values are the passwords of Username there.
type UserAccess struct {
	UserAccessSecretRef SecretReference `json:"userAccessSecretRef"`
	Username            string          `json:"username"`
}

// SecretReference names a Secret.
type SecretReference struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// RepositoryServerStatus is as much of upstream's status as a client of the server needs.
type RepositoryServerStatus struct {
	ServerInfo ServerInfo `json:"serverInfo,omitempty"`
	Progress   string     `json:"progress,omitempty"`
}

// ServerInfo names the pod and the Service of a repository server.
type ServerInfo struct {
	PodName     string `json:"podName,omitempty"`
	ServiceName string `json:"serviceName,omitempty"`
}

// ActionSet asks for one or more actions (COMPAT §1.3). Status is read only to restore from finished upstream ActionSets.
type ActionSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   *ActionSetSpec   `json:"spec"`
	Status *ActionSetStatus `json:"status,omitempty"`
}

// ActionSetSpec is the list of requested actions.
type ActionSetSpec struct {
	Actions []ActionSpec `json:"actions"`
}

// ActionSpec is one requested action on one object.
type ActionSpec struct {
	Name             string                     `json:"name"`
	Blueprint        string                     `json:"blueprint,omitempty"`
	Object           ObjectReference            `json:"object"`
	Artifacts        map[string]Artifact        `json:"artifacts,omitempty"`
	ConfigMaps       map[string]ObjectReference `json:"configMaps,omitempty"`
	Secrets          map[string]ObjectReference `json:"secrets,omitempty"`
	Profile          *ObjectReference           `json:"profile,omitempty"`
	RepositoryServer *ObjectReference           `json:"repositoryServer,omitempty"`
	PodOverride      map[string]any             `json:"podOverride,omitempty"`
	Options          map[string]string          `json:"options,omitempty"`
	PreferredVersion string                     `json:"preferredVersion,omitempty"`
	PodLabels        map[string]string          `json:"podLabels,omitempty"`
	PodAnnotations   map[string]string          `json:"podAnnotations,omitempty"`
}

// ActionSetStatus is as much of upstream's status as a restore needs.
type ActionSetStatus struct {
	State   string         `json:"state,omitempty"`
	Actions []ActionStatus `json:"actions,omitempty"`
}

// ActionStatus is the state of one action of a finished ActionSet.
type ActionStatus struct {
	Name      string              `json:"name"`
	Object    ObjectReference     `json:"object"`
	Blueprint string              `json:"blueprint"`
	Artifacts map[string]Artifact `json:"artifacts,omitempty"`
}
