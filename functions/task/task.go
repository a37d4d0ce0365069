// Package task holds the functions that run commands of the blueprint's in a pod of their own: KubeTask, PrepareData and
// MultiContainerRun.
package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/output"
)

// run starts the pod, or adopts the one that an earlier runner had started, and gives the outputs that its container wrote. The pod
// is gone afterwards, except when the runner has to leave: then the successor adopts it. The outputs are given beside an
// error, too.
func run(ctx context.Context, run *functions.Run, o kube.PodOptions) (map[string]any, error) {
	if err := withKando(run, &o); err != nil {
		return nil, err
	}

	pod, err := start(ctx, run, o)
	if err != nil {
		return nil, err
	}

	defer func() {
		if functions.Leaving(ctx) {
			return
		}

		if err := pod.Delete(ctx); err != nil {
			run.Journal.Warn(err.Error())
		}
	}()

	run.Follow(pod)

	log := func(container string) func(string) {
		return func(line string) { run.Journal.Log(pod.Name+"/"+container, line) }
	}
	parser := &output.Parser{Log: log(cmp.Or(o.Main, kube.ContainerName))}
	pod.Logs = map[string]io.Writer{}

	for _, c := range o.Beside {
		pod.Beside = append(pod.Beside, c.Name)
	}

	for _, c := range slices.Concat(o.Before, o.Beside) {
		pod.Logs[c.Name] = &output.Parser{Log: log(c.Name)}
	}

	err = pod.Run(ctx, parser)
	if err == nil {
		err = parser.Close()
	}

	var invalid *output.InvalidError
	if errors.As(err, &invalid) {
		ref := pod.Ref()
		err = &kube.Error{Reason: kube.ReasonOutput, Message: fmt.Sprintf("pod %q wrote an invalid output", pod.Name), Pod: &ref, Err: err}
	}

	outputs := parser.Outputs()
	if outputs == nil {
		outputs = map[string]any{}
	}

	return outputs, err
}

// start starts the pod on the first attempt and only adopts it on a later one, so that no command runs twice.
func start(ctx context.Context, run *functions.Run, o kube.PodOptions) (*kube.Pod, error) {
	if run.Attempt <= 1 {
		return run.StartPod(ctx, o)
	}

	pod, err := run.Kube.Adopt(ctx, o.Namespace, o.Name, o.Labels)
	if err != nil {
		return nil, err
	}

	if pod == nil {
		return nil, &kube.Error{
			Reason: kube.ReasonInterrupted,
			Message: fmt.Sprintf("the runner was lost in this phase and pod %q in namespace %q is gone: whether its command ran is not known, and it is not run twice",
				o.Name, o.Namespace),
			Hint: "look at the application, then start the action again",
		}
	}

	run.Journal.Event(fmt.Sprintf("adopted pod %s of the runner before", pod.Name))

	return pod, nil
}

// given refuses empty values of required arguments: a template that rendered to nothing.
func given(image string, command []string) error {
	if image == "" {
		return fmt.Errorf("reading argument %q: it is empty", "image")
	}

	if len(command) == 0 || command[0] == "" {
		return fmt.Errorf("reading argument %q: it is empty", "command")
	}

	return nil
}
