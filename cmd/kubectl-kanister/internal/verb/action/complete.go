package action

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/release"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/source"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Complete parses what flags and arguments hold and makes the clients. It asks nothing of the cluster.
func (o *Options) Complete(_ *cobra.Command, args []string) error {
	o.Target.Args = args

	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the clock is injected here
	}

	if o.Suffix == nil {
		o.Suffix = plan.NewSuffix
	}

	if err := o.parse(); err != nil {
		return exit.New(exit.Usage, err, "")
	}

	var err error

	if o.namespace, o.enforced, err = o.Getter.ToRawKubeConfigLoader().Namespace(); err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}

	if o.client == nil {
		config, err := o.Getter.ToRESTConfig()
		if err != nil {
			return fmt.Errorf("reading the kubeconfig: %w", err)
		}

		if err := o.connect(config); err != nil {
			return err
		}
	}

	if o.sources == nil {
		o.sources = source.New(o.client, o.dynamic, o.In)
		o.sources.CustomRunner = o.RunnerImage != release.RunnerImage
	}

	if o.Mode == "" {
		o.Mode, err = o.UI.Mode(o.IOStreams)
	}

	return exit.New(exit.Usage, err, "")
}

func (o *Options) connect(config *rest.Config) error {
	config = rest.CopyConfig(config)
	if config.QPS == 0 {
		config.QPS, config.Burst = -1, -1 // the API server's own fairness does that
	}

	var err error

	if o.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("making the cluster client: %w", err)
	}

	if o.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("making the cluster client: %w", err)
	}

	return nil
}

func (o *Options) parse() error {
	var err error

	if o.options, err = pairs("--option", "KEY=VALUE", o.Options); err != nil {
		return err
	}

	if o.Quiesce != "" {
		o.options["quiesce"] = o.Quiesce
	}

	if o.configs, err = references("--config-map", "ConfigMap", o.ConfigMaps); err != nil {
		return err
	}

	if o.secrets, err = references("--secret", "Secret", o.Secrets); err != nil {
		return err
	}

	if o.artifacts, err = artifacts(o.Artifacts); err != nil {
		return err
	}

	if o.grants, err = grants(o.Grants); err != nil {
		return err
	}

	if o.PodOverride != "" {
		raw, err := os.ReadFile(o.PodOverride)
		if err != nil {
			return fmt.Errorf("reading --pod-override: %w", err)
		}

		if err := yaml.Unmarshal(raw, &o.override); err != nil {
			return fmt.Errorf("reading --pod-override %q: %w", o.PodOverride, err)
		}
	}

	return nil
}

// Validate checks what can be checked without the cluster.
func (o *Options) Validate() error {
	var problems []error

	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	oneOf := func(flag, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			add("--%s=%q: want one of %s", flag, value, strings.Join(allowed, ", "))
		}
	}

	oneOf("dry-run", o.DryRun, dryRunNone, dryRunClient, dryRunServer)

	if o.Output != "" {
		oneOf("output", o.Output, "json", "yaml", "name")
	}

	if o.Mode == ui.JSON && o.Output != "" {
		add("--progress=json and --output=%s: both write to stdout, give one of them", o.Output)
	}

	if o.Quiesce != "" {
		oneOf("quiesce", o.Quiesce, "scale-down")
	}

	if o.ImagePullPolicy != "" {
		oneOf("image-pull-policy", o.ImagePullPolicy, "Always", "IfNotPresent", "Never")
	}

	if o.Profile != "" && o.ProfileFile != "" {
		add("--profile and --profile-file: give one of them")
	}

	if o.RunnerImage == "" {
		add("--runner-image: it is empty")
	}

	for flag, duration := range map[string]time.Duration{"timeout": o.Timeout, "start-timeout": o.StartTimeout, "ttl": o.TTL} {
		if duration < 0 {
			add("--%s=%s: it is negative", flag, duration)
		}
	}

	if o.Deadline < time.Second {
		add("--deadline=%s: want at least 1s", o.Deadline)
	}

	if o.Name != "" {
		if err := plan.CheckName(o.Name); err != nil {
			problems = append(problems, err)
		}
	}

	if o.ServiceAccount != "" {
		for _, problem := range validation.ValidateServiceAccountName(o.ServiceAccount, false) {
			add("--service-account=%q: %s", o.ServiceAccount, problem)
		}
	}

	if o.ServiceAccount != "" && len(o.Grants) > 0 {
		add("--grant and --service-account: give one of them; an existing ServiceAccount has the permissions it has")
	}

	if err := metavalidation.ValidateLabels(o.PodLabels, field.NewPath("--pod-label")).ToAggregate(); err != nil {
		problems = append(problems, err)
	}

	for key := range o.PodAnnotations {
		for _, problem := range utilvalidation.IsQualifiedName(strings.ToLower(key)) {
			add("--pod-annotation %q: %s", key, problem)
		}
	}

	if o.Action == "" && o.Target.Selector != "" {
		add("--selector: without an ACTION, -f names ActionSets, and these name their targets")
	}

	if o.Action != "" && o.Parallel {
		add("--parallel: it is for ActionSets (-f without an ACTION); several targets always run at once")
	}

	if o.Target.Empty() && o.From == "" {
		add("no target: name one as kubectl does (deploy/foo, sts/foo, pvc/foo, ns/foo, TYPE -l SELECTOR)%s", map[bool]string{true: ", or give --from"}[o.Action != Backup])
	}

	return exit.New(exit.Usage, errors.Join(problems...), "")
}

// pairs reads what stands on both sides of an equals sign; form is what the flag wants, for the error.
func pairs(flag, form string, words []string) (map[string]string, error) {
	parsed := map[string]string{}

	for _, word := range words {
		key, value, found := strings.Cut(word, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("reading %s %q: want %s", flag, word, form)
		}

		if _, twice := parsed[key]; twice {
			return nil, fmt.Errorf("reading %s: %q is given twice", flag, key)
		}

		parsed[key] = value
	}

	return parsed, nil
}

func references(flag, kind string, words []string) (map[string]blueprint.ObjectReference, error) {
	named, err := pairs(flag, "REF=[NAMESPACE/]NAME", words)
	if err != nil {
		return nil, err
	}

	parsed := map[string]blueprint.ObjectReference{}

	for key, value := range named {
		reference := blueprint.ObjectReference{APIVersion: "v1", Kind: kind, Name: value}
		if namespace, name, found := strings.Cut(value, "/"); found {
			reference.Namespace, reference.Name = namespace, name
		}

		if reference.Name == "" || strings.Contains(reference.Name, "/") {
			return nil, fmt.Errorf("reading %s %q: want REF=[NAMESPACE/]NAME", flag, key+"="+value)
		}

		parsed[key] = reference
	}

	return parsed, nil
}

// artifacts parses NAME.KEY=VALUE. The name ends at the first dot.
func artifacts(words []string) (map[string]blueprint.Artifact, error) {
	named, err := pairs("--artifact", "NAME.KEY=VALUE", words)
	if err != nil {
		return nil, err
	}

	parsed := map[string]blueprint.Artifact{}

	for path, value := range named {
		name, key, found := strings.Cut(path, ".")
		if !found || name == "" || key == "" {
			return nil, fmt.Errorf("reading --artifact %q: want NAME.KEY=VALUE", path+"="+value)
		}

		artifact := parsed[name]
		if artifact.KeyValue == nil {
			artifact.KeyValue = map[string]string{}
		}

		artifact.KeyValue[key] = value
		parsed[name] = artifact
	}

	return parsed, nil
}
