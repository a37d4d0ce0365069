package rds

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/dump"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

const (
	// program is where the container finds the runner's program.
	program = "/kanister/runner"
	// user has no rights and is nobody in particular; PostgreSQL's programs do not mind.
	user = 65532
)

// work does a request in a pod with PostgreSQL's programs: in the cluster, not in the runner, whose image has none.
func (s *session) work(ctx context.Context, a arguments, request dump.Request) (dump.Result, error) {
	options, err := s.pod(a, request)
	if err != nil {
		return dump.Result{}, err
	}

	ctx, cancel := context.WithTimeoutCause(ctx, s.Left(), &record.Failure{
		Reason: "Timeout", Message: fmt.Sprintf("moving the databases: the phase took longer than %s", s.Limit), Hint: "give it more time with the argument timeout",
	})
	defer cancel()

	pod, err := s.run.StartPod(ctx, options)
	if err != nil {
		return dump.Result{}, err
	}

	defer func() {
		if functions.Leaving(ctx) {
			return // the successor adopts it
		}

		if err := pod.DeleteAndWait(ctx, time.Minute); err != nil {
			s.run.Journal.Warn(err.Error())
		}
	}()

	s.run.Follow(pod)

	sink := &events{run: s.run, source: pod.Name + "/" + kube.ContainerName, op: request.Op}
	err = pod.Run(ctx, sink)

	ref := pod.Ref()

	switch {
	case ctx.Err() != nil:
		return dump.Result{}, context.Cause(ctx)
	case sink.last != nil && sink.last.Error != nil:
		e := sink.last.Error

		return dump.Result{}, &record.Failure{Message: e.Message, Reason: e.Reason, Hint: e.Hint, Pod: &ref}
	case err != nil:
		var failed *kube.Error
		if errors.As(err, &failed) {
			failed.LastLogs = slices.DeleteFunc(failed.LastLogs, func(line string) bool {
				_, isEvent := dump.Parse([]byte(line))

				return isEvent
			})
		}

		return dump.Result{}, err
	case sink.last == nil:
		return dump.Result{}, &kube.Error{Reason: kube.ReasonOutput, Message: fmt.Sprintf("pod %q ended without a result", pod.Name), Pod: &ref}
	}

	return *sink.last.Result, nil
}

func (s *session) pod(a arguments, request dump.Request) (kube.PodOptions, error) {
	if s.run.Params == nil || s.run.Params.Profile == nil {
		return kube.PodOptions{}, &record.Failure{Reason: "BadProfile", Message: "finding the dump: the run has no profile", Hint: "name a profile with --profile"}
	}

	if s.run.Params.Profile.Location.Type == blueprint.LocationFilestore {
		return kube.PodOptions{}, &record.Failure{
			Reason: "BadProfile", Message: "storing a dump: the profile's location is a volume", Hint: "use a profile of an object store for dumps of RDS",
		}
	}

	o, err := s.run.PodOptions(a.Namespace, a.PodOverride, a.PodLabels, a.PodAnnotations)
	if err != nil {
		return o, err
	}

	request.Profile = record.ProfileOf(s.run.Params.Profile)

	text, err := json.Marshal(request)
	if err != nil {
		return o, fmt.Errorf("writing the request of the pod: %w", err)
	}

	o.SecretFiles, o.SecretDir = map[string][]byte{dump.RequestFile: text}, dump.RequestDir
	o.Image = cmp.Or(a.Image, spec.RDSImage)
	o.Command = []string{program, "dump", path.Join(dump.RequestDir, dump.RequestFile)}
	o.NoToken, o.Restricted = true, true
	o.Env = []corev1.EnvVar{{Name: "HOME", Value: "/tmp"}, {Name: "TMPDIR", Value: "/tmp"}}
	o.PodSecurity = &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](user), RunAsGroup: ptr.To[int64](user), FSGroup: ptr.To[int64](user), RunAsNonRoot: ptr.To(true)}

	o.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	o.Mounts = []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}}
	o.Program = &kube.Program{
		Image: s.run.Input.RunnerImage, PullPolicy: corev1.PullPolicy(s.run.Input.ImagePullPolicy), Path: program,
		For: func(c corev1.Container) bool { return c.Name == kube.ContainerName },
	}

	return o, nil
}

// events reads what the pod writes.
type events struct {
	run    *functions.Run
	source string
	op     string
	rest   []byte
	last   *dump.Event
}

// Write implements io.Writer.
func (s *events) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)

	for {
		line, rest, found := bytes.Cut(s.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}

		s.line(line)
		s.rest = append([]byte(nil), rest...)
	}
}

func (s *events) line(line []byte) {
	e, ok := dump.Parse(line)

	switch {
	case !ok && len(bytes.TrimSpace(line)) > 0:
		s.run.Journal.Log(s.source, string(line))
	case e.Progress != nil:
		s.run.Journal.Progress(progressOf(s.op, *e.Progress))
	case e.Last():
		s.last = &e
	}
}

func progressOf(op string, p dump.Progress) record.Progress {
	verb := "dumping"
	if op == dump.OpRestore {
		verb = "restoring"
	}

	shown := record.Progress{Message: verb + " databases", BytesDone: p.Bytes, BytesTotal: p.Total}

	if p.Database != "" {
		shown.Message = fmt.Sprintf("%s database %s", verb, p.Database)
	}

	if p.Of > 1 {
		shown.Message += fmt.Sprintf(" (%d of %d)", p.Number, p.Of)
	}

	if p.Total > 0 {
		percent := int(min(p.Bytes*100/p.Total, 100))
		shown.Percent = &percent
	}

	return shown
}
