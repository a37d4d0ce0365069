package action

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/release"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// parallel runs are planned and created at a time.
const parallel = 8

// attempt is what became of one target before its run began.
type attempt struct {
	target target.Target
	// by are the options of an ActionSet's action; nil: those of the command line.
	by      *Options
	plan    *plan.Plan
	objects *pack.Objects
	// denied is what the user may not read, and left a gap in the plan: good enough to say which permissions are missing.
	denied error
	err    error
}

// Run plans all targets, checks, creates and follows. With several targets those that cannot be started do not hold back the
// others, unless it is for want of permission: then nothing is started. Errors carry their exit code.
func (o *Options) Run(ctx context.Context) error {
	targets, denied, err := o.targets(ctx)
	if err != nil {
		return err
	}

	attempts := make([]*attempt, len(targets))
	for i, t := range targets {
		attempts[i] = &attempt{target: t, denied: denied}
	}

	_, err = o.execute(ctx, attempts)

	return err
}

// Single is Run for one target that is not looked up, after Complete and Validate. The result is that of following; it is
// zero when err says that nothing was started.
func (o *Options) Single(ctx context.Context, ref blueprint.ObjectReference) (follow.Result, error) {
	results, err := o.execute(ctx, []*attempt{{target: target.Target{Ref: ref}}})
	if len(results) == 0 {
		return follow.Result{}, err
	}

	return results[0], err
}

// prepare plans, checks and packs; nothing is created. Errors of single attempts stay with them.
func (o *Options) prepare(ctx context.Context, attempts []*attempt) error {
	o.each(attempts, func(a *attempt) {
		by := o
		if a.by != nil {
			by = a.by
		}

		a.err = by.plan(ctx, a)
	})

	if ctx.Err() != nil {
		return exit.New(exit.Interrupted, errors.New("interrupted; nothing was created"), "")
	}

	if err := o.permitted(ctx, attempts); err != nil {
		return err
	}

	o.each(attempts, func(a *attempt) {
		a.objects, a.err = pack.Pack(a.plan, pack.Options{
			Created: o.Now(), Version: release.Version, TTL: o.TTL, Standalone: o.DryRun != dryRunNone,
		})
	})

	return nil
}

// execute is all that happens to targets that are known.
func (o *Options) execute(ctx context.Context, attempts []*attempt) ([]follow.Result, error) {
	if err := o.prepare(ctx, attempts); err != nil {
		return nil, err
	}

	if o.DryRun != dryRunNone {
		return nil, o.dryRun(ctx, attempts)
	}

	return o.start(ctx, attempts)
}

// start creates what can be created and follows it.
func (o *Options) start(ctx context.Context, attempts []*attempt) ([]follow.Result, error) {
	o.each(attempts, func(a *attempt) {
		if a.err = o.conflict(ctx, a.plan); a.err == nil {
			a.err = create(ctx, o.client, a.objects, func(ctx context.Context) error { return o.conflict(ctx, a.plan) })
		}
	})

	failed := o.tell(attempts)
	started := going(attempts)

	if len(started) == 0 {
		return nil, failed
	}

	refs := make([]follow.Ref, 0, len(started))

	for _, a := range started {
		refs = append(refs, follow.Ref{Namespace: a.plan.Namespace(), Name: a.plan.Run()})

		if o.Output == "name" {
			fmt.Fprintf(o.Out, "run/%s\n", a.plan.Run())
		}
	}

	if o.Detach {
		return nil, errors.Join(failed, o.detached(ctx, refs, started))
	}

	results, err := o.follow(ctx, started, refs)

	return results, o.finish(ctx, started, results, errors.Join(o.overall(failed, err), err), exit.Of(err))
}

// follow follows the runs and gives up those that cannot start. One that starts just then is followed again.
func (o *Options) follow(ctx context.Context, started []*attempt, refs []follow.Ref) ([]follow.Result, error) {
	results, err := ui.Follow(ctx, o.following(started), refs...)

	for i, result := range results {
		begun, gaveUp := o.giveUp(ctx, result)
		if gaveUp != nil {
			err = errors.Join(err, gaveUp)
		}

		if !begun {
			continue
		}

		again, _ := ui.Follow(ctx, o.following(nil), result.Ref) // the outcome of all is told below
		results[i] = again[0]
		err = ui.Outcome(results)
	}

	return results, err
}

// overall is the error for the targets that could not be started, with the code of the whole: some have failed, whatever
// became of the others, unless we were interrupted or the others go on.
func (o *Options) overall(failed, followed error) error {
	if failed == nil {
		return nil
	}

	switch code := exit.Of(followed); code {
	case exit.Interrupted, exit.StillRunning:
		return exit.New(code, failed, exit.HintOf(failed))
	case exit.RunFailed:
		return exit.New(exit.RunFailed, failed, exit.HintOf(failed)) // none came to a good end
	default:
		return failed
	}
}

// following are the options for the cockpit.
func (o *Options) following(started []*attempt) ui.Options {
	options := ui.Options{
		Client: o.client, Streams: o.IOStreams, Mode: o.Mode, Timeout: o.Timeout, StartTimeout: o.StartTimeout, Commands: ui.CommandsOf(o.Getter),
	}

	for _, a := range started {
		for _, warning := range a.plan.Warnings {
			if len(started) > 1 {
				warning = a.target.String() + ": " + warning
			}

			options.Warnings = append(options.Warnings, warning)
		}
	}

	return options
}

// detached says how to come back.
func (o *Options) detached(ctx context.Context, refs []follow.Ref, started []*attempt) error {
	commands := ui.CommandsOf(o.Getter)

	for i, ref := range refs {
		for _, warning := range started[i].plan.Warnings {
			fmt.Fprintf(o.talk(), "warning: %s\n", warning)
		}

		fmt.Fprintf(o.talk(), "run/%s started; follow it: %s, cancel it: %s\n", ref.Name, commands.For("logs -f", ref), commands.For("cancel", ref))
	}

	return o.printRecords(ctx, refs)
}

// finish tidies up after following: removes what the Jobs do not own, prints what -o asked for.
func (o *Options) finish(ctx context.Context, started []*attempt, results []follow.Result, err error, code exit.Code) error {
	var refs []follow.Ref

	for i, result := range results {
		refs = append(refs, result.Ref)

		if ended := result.Err == nil || isStartError(result.Err); ended {
			back, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)

			if left := removeElsewhere(back, o.client, started[i].objects); left != nil {
				fmt.Fprintf(o.talk(), "warning: permissions of run/%s outside its namespace are left behind: %v\n", result.Ref.Name, left)
			}

			cancel()
		}
	}

	if code != exit.Interrupted {
		if printed := o.printRecords(context.WithoutCancel(ctx), refs); printed != nil {
			err = errors.Join(err, printed)
		}
	}

	return err
}

func isStartError(err error) bool {
	var cannot *follow.CannotStartError

	return errors.As(err, &cannot)
}

// each runs work for the attempts that have not failed, a few at a time, and waits for all.
func (o *Options) each(attempts []*attempt, work func(*attempt)) {
	var group errgroup.Group

	group.SetLimit(parallel)

	for _, a := range going(attempts) {
		group.Go(func() error {
			work(a)

			return nil
		})
	}

	_ = group.Wait() // errors stay with their attempts
}

func going(attempts []*attempt) []*attempt {
	var good []*attempt

	for _, a := range attempts {
		if a.err == nil {
			good = append(good, a)
		}
	}

	return good
}

// tell gives the error for the attempts that came to nothing: that of a single target as it is, otherwise one line each.
func (o *Options) tell(attempts []*attempt) error {
	var (
		lines []error
		last  error
	)

	for _, a := range attempts {
		if a.err != nil {
			last = a.err
			lines = append(lines, fmt.Errorf("%s: %w", a.target, a.err))
		}
	}

	switch {
	case len(lines) == 0:
		return nil
	case len(attempts) == 1:
		return last
	case len(lines) == len(attempts):
		return exit.New(exit.Of(last), errors.Join(lines...), exit.HintOf(last))
	default:
		return exit.New(exit.SomeFailed, errors.Join(lines...), exit.HintOf(last))
	}
}
