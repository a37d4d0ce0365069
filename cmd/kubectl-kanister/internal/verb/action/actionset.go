package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// labelJob is passed from an ActionSet to the pods of its actions, as upstream does (COMPAT §4.0.1).
const labelJob = "kanister.io/JobID"

// RunActionSets is Run for the actions of the ActionSets in the files of -f: each action is one run. All are planned and checked
// before the first begins. They run one after another, and the first that does not come to a good end is the last; with --parallel
// they run all at once, and none holds back the others. Errors carry their exit code.
func (o *Options) RunActionSets(ctx context.Context) error {
	sets, err := o.sources.ActionSets(o.Target.Filenames)
	if err != nil {
		return err
	}

	var attempts []*attempt

	for _, set := range sets {
		for i := range set.Spec.Actions {
			a, err := o.actionOf(set, &set.Spec.Actions[i])
			if err != nil {
				return fmt.Errorf("reading action %d (%s) of ActionSet %q: %w", i+1, set.Spec.Actions[i].Name, set.Name+set.GenerateName, err)
			}

			attempts = append(attempts, a)
		}
	}

	switch {
	case o.Name != "" && len(attempts) > 1:
		return exit.New(exit.Usage, fmt.Errorf("naming the run %q: %d actions, a name is for one", o.Name, len(attempts)), "")
	case o.Detach && len(attempts) > 1 && !o.Parallel:
		return exit.New(exit.Usage, fmt.Errorf("detaching from %d actions: one after another needs somebody who waits", len(attempts)),
			"add --parallel, or give each action a file of its own")
	case o.Parallel || len(attempts) == 1 || o.DryRun != dryRunNone:
		_, err := o.execute(ctx, attempts)

		return err
	default:
		return o.sequence(ctx, attempts)
	}
}

// actionOf is the attempt for one action: the command line's flags over what the ActionSet says.
func (o *Options) actionOf(set *blueprint.ActionSet, spec *blueprint.ActionSpec) (*attempt, error) {
	if o.enforced && set.Namespace != "" && set.Namespace != o.namespace {
		return nil, exit.New(exit.Usage, fmt.Errorf("the ActionSet is in namespace %q, and --namespace=%s is given", set.Namespace, o.namespace), "leave --namespace out")
	}

	home := cmp.Or(set.Namespace, o.namespace)

	t, err := target.Reference(o.Getter, spec.Object, home)
	if err != nil {
		return nil, err
	}

	own := *o
	own.Action, own.home, own.namespace = spec.Name, home, t.Namespace(home)
	own.named = spec.Blueprint

	if spec.Profile != nil && spec.Profile.Name != "" && o.Profile == "" && o.ProfileFile == "" {
		own.Profile = cmp.Or(spec.Profile.Namespace, home) + "/" + spec.Profile.Name
	}

	if spec.RepositoryServer != nil && spec.RepositoryServer.Name != "" && o.Server == "" {
		own.Server = cmp.Or(spec.RepositoryServer.Namespace, home) + "/" + spec.RepositoryServer.Name
	}

	own.artifacts = overlaid(spec.Artifacts, o.artifacts)
	own.options = over(spec.Options, o.options)
	own.configs = over(spec.ConfigMaps, o.configs)
	own.secrets = over(spec.Secrets, o.secrets)
	own.PodLabels = over(spec.PodLabels, o.PodLabels)
	own.PodAnnotations = over(spec.PodAnnotations, o.PodAnnotations)

	if job := set.Labels[labelJob]; job != "" && own.PodLabels[labelJob] == "" {
		own.PodLabels[labelJob] = job
	}

	if own.override == nil {
		own.override = spec.PodOverride
	}

	return &attempt{target: t, by: &own}, nil
}

// over is a copy of low with high over it.
func over[V any](low, high map[string]V) map[string]V {
	all := make(map[string]V, len(low)+len(high))
	maps.Copy(all, low)
	maps.Copy(all, high)

	return all
}

// sequence runs the attempts one after another and stops at the first that does not come to a good end.
func (o *Options) sequence(ctx context.Context, attempts []*attempt) error {
	if err := o.prepare(ctx, attempts); err != nil {
		return err
	}

	if failed := o.tell(attempts); failed != nil {
		return exit.New(codeOf(failed, exit.SomeFailed, exit.Usage), fmt.Errorf("%w\nnothing was started: the actions of an ActionSet depend on one another", failed), exit.HintOf(failed))
	}

	var (
		refs []follow.Ref
		err  error
		end  = o.Now().Add(o.Timeout)
		step = *o
	)

	step.Output = map[bool]string{true: o.Output}[o.Output == "name"] // the records follow when all have ended

	for i, a := range attempts {
		if o.Timeout > 0 {
			step.Timeout = max(end.Sub(o.Now()), time.Second)
		}

		fmt.Fprintf(o.talk(), "action %d of %d: %s %s\n", i+1, len(attempts), a.by.Action, a.target)

		var results []follow.Result

		results, err = step.start(ctx, attempts[i:i+1])
		for _, result := range results {
			refs = append(refs, result.Ref)
		}

		if err != nil {
			err = stopped(err, attempts, i)

			break
		}
	}

	if exit.Of(err) == exit.Interrupted {
		return err
	}

	return errors.Join(err, o.printRecords(context.WithoutCancel(ctx), refs))
}

// stopped is the error for a sequence whose action at is the last that was tried: with those that were not started. Its code is
// that of the failure itself if nothing was done before it.
func stopped(err error, attempts []*attempt, at int) error {
	code := exit.Of(err)
	if at > 0 && code != exit.Interrupted && code != exit.StillRunning {
		code = exit.SomeFailed
	}

	var left []string

	for i, a := range attempts[at+1:] {
		left = append(left, fmt.Sprintf("%d (%s %s)", at+2+i, a.by.Action, a.target))
	}

	if len(left) == 0 {
		var said *exit.Error
		if errors.As(err, &said) && said.Reported {
			return exit.Reported(code, err)
		}

		return exit.New(code, err, exit.HintOf(err))
	}

	return exit.New(code, fmt.Errorf("action %d did not come to a good end, and these were not started: %s: %w", at+1, strings.Join(left, ", "), err), exit.HintOf(err))
}

// codeOf is the code of err, with one put in place of another.
func codeOf(err error, from, to exit.Code) exit.Code {
	if code := exit.Of(err); code != from {
		return code
	}

	return to
}
