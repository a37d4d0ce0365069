// Package action holds the four doors to a run: backup, restore, delete and run ACTION. They share one Options: a plan per
// target, checked, packed, created and followed.
package action

import (
	"io"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/release"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/source"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// EnvRunnerImage is the environment variable that sets the default of --runner-image.
const EnvRunnerImage = "KUBECTL_KANISTER_RUNNER_IMAGE"

// Names of the actions that have a door of their own.
const (
	Backup  = "backup"
	Restore = "restore"
	Delete  = "delete"
)

// Dry-run modes, as kubectl's.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

// Options of an action on targets. The upper part is what flags and arguments set, the lower what Complete makes of it.
type Options struct {
	genericiooptions.IOStreams

	Getter genericclioptions.RESTClientGetter
	// Action is the blueprint's action; run takes it from its first argument.
	Action string

	Target      target.Request
	Blueprint   string
	Profile     string
	ProfileFile string
	Server      string
	From        string
	Artifacts   []string
	Options     []string
	ConfigMaps  []string
	Secrets     []string
	Grants      []string
	Quiesce     string

	Name         string
	Timeout      time.Duration
	Deadline     time.Duration
	StartTimeout time.Duration
	TTL          time.Duration
	Detach       bool
	// Parallel starts all actions of ActionSets at once.
	Parallel        bool
	DryRun          string
	Output          string
	RunnerImage     string
	ImagePullPolicy string
	ServiceAccount  string
	PodOverride     string
	PodLabels       map[string]string
	PodAnnotations  map[string]string
	UI              ui.Flags
	// Mode beats the flag of UI if it is set.
	Mode ui.Mode

	// Now and Suffix are injected by tests.
	Now    func() time.Time
	Suffix func() string

	namespace string
	enforced  bool
	client    kubernetes.Interface
	dynamic   dynamic.Interface
	sources   *source.Resolver
	artifacts map[string]blueprint.Artifact
	options   map[string]string
	configs   map[string]blueprint.ObjectReference
	secrets   map[string]blueprint.ObjectReference
	override  map[string]any
	grants    []plan.Grant
	// home is the namespace of an ActionSet, named the blueprint that its action names; empty without one.
	home, named string
}

// NewOptions are the defaults. environ is os.LookupEnv.
func NewOptions(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams, action string, environ func(string) (string, bool)) *Options {
	image := release.RunnerImage
	if set, ok := environ(EnvRunnerImage); ok && set != "" {
		image = set
	}

	return &Options{
		IOStreams: streams, Getter: getter, Action: action, DryRun: dryRunNone, RunnerImage: image,
		Deadline: 24 * time.Hour, StartTimeout: 2 * time.Minute, TTL: 24 * time.Hour,
	}
}

// AddFlags adds the flags of the action verbs. restoring verbs take their artifacts from a finished run.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.Target.Selector, "selector", "l", o.Target.Selector, "Label selector: one run for each matching object of the named TYPE")
	fs.StringArrayVarP(&o.Target.Filenames, "filename", "f", o.Target.Filenames, "Manifest whose objects are the targets; they are looked up in the cluster")
	fs.StringVarP(&o.Blueprint, "blueprint", "b", o.Blueprint,
		"Blueprint: FILE.yaml, - (stdin), builtin/NAME, configmap/NAME, blueprint/NAME (custom resource), or NAME: the first of these. "+
			"Default: that of --from, the target's annotation "+target.AnnotationBlueprint+", else builtin/"+source.DefaultBlueprint)
	fs.StringVarP(&o.Profile, "profile", "p", o.Profile, "Profile [NAMESPACE/]NAME that says where data goes. Default: that of --from, else the namespace's default profile")
	fs.StringVar(&o.ProfileFile, "profile-file", o.ProfileFile, "Profile manifest (kind: Profile and its Secret, or a profile Secret)")
	fs.StringVar(&o.Server, "repository-server", o.Server,
		"Kopia repository server that functions named …UsingKopiaServer work through: FILE.yaml (kind: RepositoryServer) or [NAMESPACE/]NAME of a custom resource. "+
			"Default: the run serves the profile's repository itself")
	fs.StringVar(&o.From, "from", o.From, "Finished run that artifacts, blueprint, profile and target are taken from: RUN, latest, actionset/NAME or a file")
	fs.StringArrayVar(&o.Artifacts, "artifact", o.Artifacts, "Input artifact value NAME.KEY=VALUE; beats --from. Repeatable")
	fs.StringArrayVar(&o.Options, "option", o.Options, "Option of the blueprint KEY=VALUE. Repeatable")
	fs.StringArrayVar(&o.ConfigMaps, "config-map", o.ConfigMaps, "ConfigMap that the blueprint calls REF: REF=[NAMESPACE/]NAME. Repeatable")
	fs.StringArrayVar(&o.Secrets, "secret", o.Secrets, "Secret that the blueprint calls REF: REF=[NAMESPACE/]NAME. Repeatable")

	fs.StringVar(&o.Name, "name", o.Name, "Name of the run, for a single target. Default: ACTION-TARGET-xxxxx")
	fs.DurationVar(&o.Timeout, "timeout", o.Timeout, "How long to wait for the run; it goes on afterwards (exit code 5). 0: until it has ended")
	fs.DurationVar(&o.Deadline, "deadline", o.Deadline, "How long the run may take; then it fails, with deferPhase and undo")
	fs.DurationVar(&o.StartTimeout, "start-timeout", o.StartTimeout, "How long the runner pod may take to start before the run is given up")
	fs.DurationVar(&o.TTL, "ttl", o.TTL, "How long the finished Job is kept, for its logs; 0: for ever. The run record stays")
	fs.BoolVar(&o.Detach, "detach", o.Detach, "Start the run and return")
	fs.StringVar(&o.DryRun, "dry-run", o.DryRun, `"client": print what would be created; "server": let the API server check it too. Applying the output of -o yaml does the same run`)
	fs.Lookup("dry-run").NoOptDefVal = dryRunClient
	fs.StringVarP(&o.Output, "output", "o", o.Output, "json|yaml: the finished run record (with --dry-run the objects) on stdout; name: run/NAME")

	fs.StringVar(&o.RunnerImage, "runner-image", o.RunnerImage, "Image of the runner; environment "+EnvRunnerImage)
	fs.StringVar(&o.ImagePullPolicy, "image-pull-policy", o.ImagePullPolicy, "Pull policy of the runner image: Always, IfNotPresent or Never")
	fs.StringVar(&o.ServiceAccount, "service-account", o.ServiceAccount, "Existing ServiceAccount to run as; no Role is made then")
	fs.StringArrayVar(&o.Grants, "grant", o.Grants,
		"Permission that the run gets besides those that its functions are known to need: VERBS:RESOURCE[.GROUP][/SUBRESOURCE][=NAME][@NAMESPACE], "+
			"e.g. get,patch:deployments.apps=web; an empty NAMESPACE is the whole cluster. For functions of one's own. Repeatable")
	fs.StringVar(&o.PodOverride, "pod-override", o.PodOverride, "File with a pod spec fragment that is merged into the pods of the blueprint's phases")
	fs.StringToStringVar(&o.PodLabels, "pod-label", o.PodLabels, "Label KEY=VALUE on all pods of the run")
	fs.StringToStringVar(&o.PodAnnotations, "pod-annotation", o.PodAnnotations, "Annotation KEY=VALUE on all pods of the run")
	o.UI.AddFlags(fs)
}

// AddQuiesce adds --quiesce, which only a backup has.
func (o *Options) AddQuiesce(fs *pflag.FlagSet) {
	fs.StringVar(&o.Quiesce, "quiesce", o.Quiesce,
		"scale-down: stop the workload while its volumes are read, for drivers without snapshots; it comes back whatever happens")
}

// AddActionSet adds what only `run` has, which also takes ActionSets.
func (o *Options) AddActionSet(fs *pflag.FlagSet) {
	fs.BoolVar(&o.Parallel, "parallel", o.Parallel, "Run the actions of ActionSets all at once, as upstream does. Default: one after another, up to the first that fails")
	fs.Lookup("filename").Usage = "Without ACTION: manifest with ActionSets to run. With ACTION: manifest whose objects are the targets"
}

// talk is where everything goes that -o did not ask for.
func (o *Options) talk() io.Writer { return o.ErrOut }
