package plan

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/toolimage"
)

// New computes the Plan. It creates nothing, and asks the cluster at most, by Request.Resources, what it serves. Errors are the
// user's (exit code Usage).
func New(ctx context.Context, request Request) (*Plan, error) {
	action, err := FindAction(request.Blueprint, request.Action)
	if err != nil {
		return nil, err
	}

	if request.Profile == nil && NeedsProfile(action, request.RepositoryServer != nil) {
		return nil, exit.New(exit.Usage, fmt.Errorf("planning %s: action %q of blueprint %q needs a profile, and none is given",
			request.Action, request.Action, request.Blueprint.Name), "kubectl kanister profile create --help")
	}

	name := cmp.Or(request.Name, RunName(request.Action, request.Target, request.Suffix))
	if err := CheckName(name); err != nil {
		return nil, exit.New(exit.Usage, err, "")
	}

	request.Params = ownPhases(request.Params)
	b := &builder{request: request, plan: &Plan{Input: input(request, name), ServiceAccount: request.ServiceAccount, Reads: request.Reads}}
	b.plan.BlueprintDigest = digest(request.Blueprint.Actions)
	b.plan.Digest = digest(withoutSecrets(b.plan.Input))
	b.grant(runnerGrants(name, request.Namespace)...)
	b.grant(targetGrants(request.Target)...)
	b.grant(request.Grants...)

	if request.Standalone {
		b.grant(adoptionGrants(name, request.Namespace)...)
	}

	b.grant(referenceGrants(request.Secrets, "secrets", "--secret", request.Namespace)...)
	b.grant(referenceGrants(request.ConfigMaps, "configmaps", "--config-map", request.Namespace)...)
	b.image(request.RunnerImage)

	for i := range action.Phases {
		phase, err := b.phase(ctx, &action.Phases[i])
		if err != nil {
			return nil, err
		}

		b.plan.Phases = append(b.plan.Phases, phase)
	}

	if action.DeferPhase != nil {
		phase, err := b.phase(ctx, action.DeferPhase)
		if err != nil {
			return nil, err
		}

		b.plan.Defer = &phase
	}

	b.plan.Grants = Merge(b.plan.Grants)
	b.warnings()

	return b.plan, nil
}

// FindAction looks the action up by its key and names those that exist when it is not there.
func FindAction(bp *blueprint.Blueprint, name string) (*blueprint.Action, error) {
	if action := bp.Actions[name]; action != nil {
		return action, nil
	}

	return nil, exit.New(exit.Usage, fmt.Errorf("planning %s: blueprint %q has no action %q; it has %s",
		name, bp.Name, name, strings.Join(quoted(sortedKeys(bp.Actions)), ", ")), "")
}

// NeedsProfile tells whether the action cannot run without a profile: a function demands one, or a template reads .Profile.
// A template that asks `if .Profile` first is content without. With a server, functions that need the one or the other are, too.
func NeedsProfile(action *blueprint.Action, server bool) bool {
	phases := slices.Clone(action.Phases)
	if action.DeferPhase != nil {
		phases = append(phases, *action.DeferPhase)
	}

	for i := range phases {
		if function, known := spec.Lookup(phases[i].Func); known && (function.WantsProfile(phases[i].Args) || function.NeedsServer && !server) {
			return true
		}

		if text := mentions(phases[i]); strings.Contains(text, ".Profile") && !strings.Contains(text, "if .Profile") {
			return true
		}
	}

	text := mentions(action.OutputArtifacts)

	return strings.Contains(text, ".Profile") && !strings.Contains(text, "if .Profile")
}

// UsesServer tells whether the action works through a repository server, if there is one.
func UsesServer(action *blueprint.Action) bool {
	phases := slices.Clone(action.Phases)
	if action.DeferPhase != nil {
		phases = append(phases, *action.DeferPhase)
	}

	return Mentions(action, ".RepositoryServer") || slices.ContainsFunc(phases, func(phase blueprint.Phase) bool {
		function, known := spec.Lookup(phase.Func)

		return known && function.NeedsServer
	})
}

// UsesFamily tells whether a phase of the action calls a function of the family.
func UsesFamily(action *blueprint.Action, family string) bool {
	return slices.ContainsFunc(action.Phases, func(phase blueprint.Phase) bool {
		function, known := spec.Lookup(phase.Func)

		return known && function.Family == family
	})
}

// Mentions tells whether any template of the action contains text.
func Mentions(action *blueprint.Action, text string) bool {
	return strings.Contains(mentions(action), text)
}

func mentions(value any) string {
	raw, err := json.Marshal(value)
	if err != nil { // came from YAML: cannot happen
		return ""
	}

	return string(raw)
}

type builder struct {
	request Request
	plan    *Plan
}

func (b *builder) grant(grants ...Grant) { b.plan.Grants = append(b.plan.Grants, grants...) }

func (b *builder) image(image string) {
	if image != "" && !slices.Contains(b.plan.Images, image) {
		b.plan.Images = append(b.plan.Images, image)
	}
}

func (b *builder) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(b.plan.Warnings, text) {
		b.plan.Warnings = append(b.plan.Warnings, text)
	}
}

// phase renders what can be rendered and resolves what the function's spec says of it.
func (b *builder) phase(ctx context.Context, phase *blueprint.Phase) (Phase, error) {
	p := Phase{Name: phase.Name, Func: phase.Func, Args: phase.Args}

	function, known := spec.Lookup(phase.Func)

	var err error

	p.Rendered, p.Unknown, err = partial(renderable(function, phase.Args), b.request.Params)
	if err != nil {
		return p, exit.New(exit.Usage, fmt.Errorf("planning phase %q: %w", phase.Name, err), "")
	}

	if !known { // a third party's function in a runner of its own
		b.unknown(phase)

		return p, b.objects(phase)
	}

	args, unknown := canonical(function, p)

	resolve := resolver{
		run: b.plan.Run(), runNamespace: b.request.Namespace, target: b.request.Target, phase: phase.Name, args: args, unknown: unknown, warn: b.warn,
	}
	resolve.objects = b.documents(ctx, function, phase, resolve)

	for _, rule := range function.Rules {
		b.grant(resolve.grants(rule)...)

		for _, name := range resolve.workers(rule) {
			if !slices.Contains(b.plan.MadeUp, name) {
				b.plan.MadeUp = append(b.plan.MadeUp, name)
			}
		}
	}

	p.Effects = effects(function, args, unknown, resolve.words(function))
	b.foresee(function, phase, resolve)

	for _, arg := range function.Args {
		if image, _ := args[arg.Name].(string); arg.Name == "image" || strings.HasSuffix(arg.Name, "Image") {
			b.image(image)

			if command := commandFor(phase, arg.Name); image != b.request.RunnerImage && toolimage.Needs(image, command...) {
				p.Effects = append(p.Effects, fmt.Sprintf("give the container with image %s the runner image's kando, at %s", image, toolimage.Kando))
			}
		}
	}

	return p, b.objects(phase)
}

// commandFor is the command that runs in the image of an argument: command for image, initCommand for initImage. Of values that only
// the run finds out the templates are enough: kando is no secret.
func commandFor(phase *blueprint.Phase, image string) []string {
	name := strings.TrimSuffix(strings.TrimSuffix(image, "image"), "Image")
	if name == "" {
		name = "command"
	} else {
		name += "Command"
	}

	return []string{fmt.Sprint(phase.Args[name])}
}

// unknown says of a function of the runner image's own what cannot be said of it.
func (b *builder) unknown(phase *blueprint.Phase) {
	b.warn("phase %q: function %q is not built in: the runner image has to have it, and what it does is not known here", phase.Name, phase.Func)

	if b.request.ServiceAccount == "" && len(b.request.Grants) == 0 {
		b.warn("phase %q: the run gets no permissions for function %q; if it needs some, name them with --grant, or use --service-account", phase.Name, phase.Func)
	}
}

// objects grants the reading of the phase's objects. Their templates render before the first phase (COMPAT §2.4), so what
// cannot be rendered now is for want of rights to read the target.
func (b *builder) objects(phase *blueprint.Phase) error {
	if len(phase.Objects) == 0 {
		return nil
	}

	var raw map[string]any

	if err := json.Unmarshal([]byte(mentions(phase.Objects)), &raw); err != nil {
		return fmt.Errorf("planning phase %q: reading its objects: %w", phase.Name, err)
	}

	rendered, unknown, err := partial(raw, b.request.Params)
	if err != nil {
		return exit.New(exit.Usage, fmt.Errorf("planning phase %q: objects: %w", phase.Name, err), "")
	}

	for _, name := range unknown {
		b.warn("phase %q: the name of object %q cannot be worked out here: the run may not be permitted to read it", phase.Name, name)
	}

	objects := map[string]blueprint.ObjectReference{}
	if err := json.Unmarshal([]byte(mentions(rendered)), &objects); err != nil {
		return exit.New(exit.Usage, fmt.Errorf("planning phase %q: objects: %w", phase.Name, err), "")
	}

	b.grant(objectGrants(objects, cmp.Or(phase.Name, "defer"), b.request.Namespace)...)

	return nil
}

// canonical spells the arguments as the spec does, so that rules and effects find them under any accepted alias.
func canonical(function spec.Function, p Phase) (args map[string]any, unknown map[string]bool) {
	args, unknown = map[string]any{}, map[string]bool{}

	for name, value := range p.Rendered {
		if arg, ok := function.Arg(name); ok {
			args[arg.Name] = value
		}
	}

	for _, name := range p.Unknown {
		if arg, ok := function.Arg(name); ok {
			unknown[arg.Name] = true
		}
	}

	return args, unknown
}

func input(request Request, name string) record.Input {
	return record.Input{
		SchemaVersion: record.SchemaVersion, Run: name, Namespace: request.Namespace, Action: request.Action,
		Blueprint: *request.Blueprint, BlueprintSource: request.Source, Target: request.Target, Profile: request.Profile,
		RepositoryServer: request.RepositoryServer, ServerWord: request.ServerWord, Artifacts: request.Artifacts, Options: request.Options, ConfigMaps: request.ConfigMaps, Secrets: request.Secrets,
		Stopped: request.Stopped, PodOverride: request.PodOverride, PodLabels: request.PodLabels, PodAnnotations: request.PodAnnotations,
		RunnerImage: request.RunnerImage, ImagePullPolicy: request.ImagePullPolicy,
		ServiceAccount: cmp.Or(request.ServiceAccount, name),
		TimeoutSeconds: int64(request.Timeout.Seconds()), From: request.From,
	}
}

// withoutSecrets is what makes two runs the same request: no credentials, no run name.
func withoutSecrets(in record.Input) record.Input {
	in.Run, in.ServiceAccount, in.Stopped = "", "", nil

	if in.Profile != nil {
		in.Profile = &record.Profile{Name: in.Profile.Name, Namespace: in.Profile.Namespace, Location: in.Profile.Location, SkipSSLVerify: in.Profile.SkipSSLVerify}
	}

	if s := in.RepositoryServer; s != nil {
		in.RepositoryServer = &params.RepositoryServer{Name: s.Name, Namespace: s.Namespace, Username: s.Username, Address: s.Address}
	}

	return in
}

func digest(value any) string {
	sum := sha256.Sum256([]byte(mentions(value)))

	return hex.EncodeToString(sum[:])
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = fmt.Sprintf("%q", name)
	}

	return out
}
