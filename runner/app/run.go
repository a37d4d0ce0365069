package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/engine"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Environment of the runner's container, from the downward API; package pack of the plugin writes it.
const (
	envPod       = "POD_NAME"
	envPodUID    = "POD_UID"
	envNamespace = "POD_NAMESPACE"
	envNode      = "NODE_NAME"
	envJob       = "JOB_NAME"
	envJobUID    = "JOB_UID"
	// envAdopt is "true" when the objects of the run were applied by hand: nobody has made the Job their owner.
	envAdopt = "KANISTER_ADOPT"
)

// Runner executes one run in a pod.
type Runner struct {
	// Input is the path of the run's input.
	Input string
	// Termination is where the verdict goes; the kubelet reads it.
	Termination string
	Getenv      func(string) string
	Config      func() (*rest.Config, error)
	Functions   *functions.Registry
	Clock       clock.WithTicker
	Out         io.Writer
}

// InCluster is the Runner of a pod; its log goes to out.
func InCluster(out io.Writer) *Runner {
	return &Runner{
		Input: filepath.Join(record.InputMountPath, record.InputKey), Termination: "/dev/termination-log",
		Getenv: os.Getenv, Config: rest.InClusterConfig, Functions: functions.Default, Clock: clock.RealClock{}, Out: out,
	}
}

// Run executes the run, or what is left of it, and returns the exit code.
func (r *Runner) Run(ctx context.Context) int {
	redactor := &record.Redactor{}
	log := newLogger(r.Out, r.Clock, redactor)

	in, err := r.input()
	if err != nil {
		log.Error("reading the input of the run: " + err.Error())
		r.terminate(redactor, record.Verdict{State: record.Failed, Run: "unknown", Error: &record.Failure{Message: err.Error()}})

		return ExitUsage
	}

	learn(redactor, in)

	finished, err := r.execute(ctx, in, redactor, log)

	switch {
	case err == nil:
		r.terminate(redactor, record.VerdictOf(finished))

		if finished.State == record.Complete {
			return ExitComplete
		}

		return ExitFailed
	case errors.Is(err, engine.ErrInterrupted):
		log.Error(err.Error())

		return ExitInterrupted
	case errors.Is(err, record.ErrNotFound):
		failure := deleted(in.Run, err)
		log.Error(failure.Message + "; " + failure.Hint)
		r.terminate(redactor, record.Verdict{State: record.Failed, Run: in.Run, Error: failure})

		return ExitFailed
	default:
		log.Error(err.Error())
		r.terminate(redactor, record.Verdict{State: record.Running, Run: in.Run, Error: &record.Failure{Message: err.Error()}})

		return ExitCrashed
	}
}

// deleted is why a run ends whose record is not there. Beginning it again would do everything twice, or on top of what an earlier runner
// has left half done.
func deleted(run string, err error) *record.Failure {
	return &record.Failure{
		Message: fmt.Sprintf("%v: the run record %q was deleted while no runner was alive, so what the run has done before is not known and nothing is brought back", err, run),
		Reason:  record.ReasonDeleted,
		Hint:    "see whether a workload is still scaled down (kubectl get deployments,statefulsets), then start a new run",
	}
}

func (r *Runner) input() (*record.Input, error) {
	raw, err := os.ReadFile(r.Input)
	if err != nil {
		return nil, err
	}

	in, err := record.DecodeInput(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Input, err)
	}

	// The Secret could be mounted into a pod elsewhere by a slip of the hand; the record would then be another's.
	if namespace := r.Getenv(envNamespace); namespace != "" && namespace != in.Namespace {
		return nil, fmt.Errorf("%s: it is for namespace %q, this pod is in %q", r.Input, in.Namespace, namespace)
	}

	return in, nil
}

// execute wires the engine to the cluster.
func (r *Runner) execute(ctx context.Context, in *record.Input, redactor *record.Redactor, log *logger) (*record.Record, error) {
	config, err := r.Config()
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}

	config = rest.CopyConfig(config)
	config.UserAgent = "kubectl-kanister-runner/" + Version
	config.WarningHandler = warnings{log}

	client, err := kube.NewClient(config)
	if err != nil {
		return nil, err
	}

	owner := r.owner(in)
	if owner == nil {
		log.Error(fmt.Sprintf("%s or %s is not set: worker pods will have no owner and are cleaned up by the runner alone", envJob, envJobUID))
	}

	if r.Getenv(envAdopt) == "true" && owner != nil {
		adopt(ctx, client.Dynamic, owner, in.Run, log)
	}

	if pod := r.pod(); pod.UID != "" && in.ServiceAccount == in.Run { // an account of the user's stays anyway
		if err := keepRights(ctx, client, in.Namespace, in.Run, pod); err != nil {
			log.Error(err.Error() + "; if the Job is deleted while the run goes on, nothing can be brought back")
		}
	}

	place := newPlace(in)
	defer place.Close()

	cluster := params.Cluster{Kubernetes: client.Clientset, Dynamic: client.Dynamic}

	e := &engine.Engine{
		Input: in, Pod: r.Getenv(envPod), Lookup: r.Functions.Lookup, Clock: r.Clock, Redactor: redactor, Log: log.Line,
		Store: record.NewConfigMap(client.Clientset.CoreV1(), in.Namespace, in.Run, place.Spill(), r.Clock),
		Kube:  client, Owner: owner, Node: r.Getenv(envNode),
		Params: func(ctx context.Context, now time.Time) (*params.TemplateParams, error) {
			if err := place.fetchArtifacts(ctx, in); err != nil {
				return nil, err
			}

			var p *params.TemplateParams

			err := client.Retry(ctx, func(ctx context.Context) (err error) {
				p, err = params.New(ctx, cluster, in.ParamsRequest(now))

				return err
			})

			return p, err
		},
		Objects: func(ctx context.Context, references map[string]blueprint.ObjectReference) (*params.Phase, error) {
			var p *params.Phase

			err := client.Retry(ctx, func(ctx context.Context) (err error) {
				p, err = params.FetchObjects(ctx, cluster, references, in.Namespace)

				return err
			})

			return p, err
		},
		Abandon: func(ctx context.Context, pods []record.PodRef) error { return abandon(ctx, client, in.Run, pods) },
		Publish: place.Publish(), Withdraw: place.Withdraw(),
	}

	if owner != nil {
		e.Orphaned = func(ctx context.Context) string { return orphaned(ctx, client, owner, log) }
	}

	return e.Run(ctx)
}

// owner is the Job that this pod belongs to.
func (r *Runner) owner(in *record.Input) *kube.Owner {
	name, uid := r.Getenv(envJob), r.Getenv(envJobUID)
	if name == "" || uid == "" {
		return nil
	}

	return &kube.Owner{
		Namespace: in.Namespace,
		Reference: metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: name, UID: types.UID(uid)},
	}
}

// pod is this pod, as an owner; without a UID outside of one.
func (r *Runner) pod() metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: r.Getenv(envPod), UID: types.UID(r.Getenv(envPodUID))}
}

// terminate leaves the verdict for the kubelet. Outside a pod there is nobody to read it.
func (r *Runner) terminate(redactor *record.Redactor, v record.Verdict) {
	v.Error = redactor.Failure(v.Error)

	_ = os.WriteFile(r.Termination, []byte(v.Message()), 0o644) // the kubelet reads it
}
