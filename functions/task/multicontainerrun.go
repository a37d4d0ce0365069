package task

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// MultiContainerRun runs two commands side by side in a new pod (COMPAT §4.20).
type MultiContainerRun struct{ spec.Function }

var _ = functions.Register(MultiContainerRun{spec.Must("MultiContainerRun")})

// Names in the pod, as upstream has them: podOverride addresses them.
const (
	containerInit       = "init"
	containerOutput     = "output"
	containerBackground = "background"
	sharedVolume        = "shared"
)

type multiContainerRunArgs struct {
	Namespace             string            `mapstructure:"namespace"`
	BackgroundImage       string            `mapstructure:"backgroundImage"`
	BackgroundCommand     []string          `mapstructure:"backgroundCommand"`
	OutputImage           string            `mapstructure:"outputImage"`
	OutputCommand         []string          `mapstructure:"outputCommand"`
	InitImage             string            `mapstructure:"initImage"`
	InitCommand           []string          `mapstructure:"initCommand"`
	SharedVolumeMedium    string            `mapstructure:"sharedVolumeMedium"`
	SharedVolumeSizeLimit string            `mapstructure:"sharedVolumeSizeLimit"`
	SharedVolumeDir       string            `mapstructure:"sharedVolumeDir"`
	PodOverride           map[string]any    `mapstructure:"podOverride"`
	PodLabels             map[string]string `mapstructure:"podLabels"`
	PodAnnotations        map[string]string `mapstructure:"podAnnotations"`
}

func (a multiContainerRunArgs) check() error {
	for _, image := range []struct{ name, value string }{{"backgroundImage", a.BackgroundImage}, {"outputImage", a.OutputImage}} {
		if image.value == "" {
			return fmt.Errorf("reading argument %q: it is empty", image.name)
		}
	}

	for _, command := range []struct {
		name  string
		value []string
	}{{"backgroundCommand", a.BackgroundCommand}, {"outputCommand", a.OutputCommand}} {
		if len(command.value) == 0 || command.value[0] == "" {
			return fmt.Errorf("reading argument %q: it is empty", command.name)
		}
	}

	if a.InitImage == "" && len(a.InitCommand) > 0 {
		return errors.New(`reading argument "initCommand": there is no "initImage" that it could run in`)
	}

	if !strings.HasPrefix(a.SharedVolumeDir, "/") {
		return fmt.Errorf("reading argument %q: the path %q is not absolute", "sharedVolumeDir", a.SharedVolumeDir)
	}

	return nil
}

// shared is the volume that all containers have.
func (a multiContainerRunArgs) shared() (corev1.Volume, corev1.VolumeMount, error) {
	source := &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMedium(a.SharedVolumeMedium)}

	if a.SharedVolumeSizeLimit != "" {
		limit, err := resource.ParseQuantity(a.SharedVolumeSizeLimit)
		if err != nil || limit.Sign() <= 0 {
			return corev1.Volume{}, corev1.VolumeMount{}, fmt.Errorf("reading argument %q: %q is no quantity greater than zero, such as 1Gi", "sharedVolumeSizeLimit", a.SharedVolumeSizeLimit)
		}

		source.SizeLimit = &limit
	}

	return corev1.Volume{Name: sharedVolume, VolumeSource: corev1.VolumeSource{EmptyDir: source}},
		corev1.VolumeMount{Name: sharedVolume, MountPath: a.SharedVolumeDir}, nil
}

// Exec implements functions.Func.
func (f MultiContainerRun) Exec(ctx context.Context, r *functions.Run, args map[string]any) (map[string]any, error) {
	a := multiContainerRunArgs{SharedVolumeDir: "/tmp/"}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := a.check(); err != nil {
		return nil, err
	}

	volume, mount, err := a.shared()
	if err != nil {
		return nil, err
	}

	options, err := spread(r, a.InitImage != "").PodOptions(a.Namespace, a.PodOverride, a.PodLabels, a.PodAnnotations)
	if err != nil {
		return nil, err
	}

	mounts := []corev1.VolumeMount{mount}
	options.Main, options.Image, options.Command = containerOutput, a.OutputImage, a.OutputCommand
	options.Volumes, options.Mounts = []corev1.Volume{volume}, mounts
	options.Beside = []corev1.Container{{Name: containerBackground, Image: a.BackgroundImage, Command: a.BackgroundCommand, VolumeMounts: mounts}}

	if a.InitImage != "" {
		options.Before = []corev1.Container{{Name: containerInit, Image: a.InitImage, Command: a.InitCommand, VolumeMounts: mounts}}
	}

	outputs, err := run(ctx, r, options)
	if err != nil {
		return nil, err
	}

	return outputs, nil
}

// spread gives the run with its podOverride for the container named "container" copied to the containers of this pod that the
// podOverride does not name itself (COMPAT §4.20).
func spread(r *functions.Run, withInit bool) *functions.Run {
	if r.Input == nil {
		return r
	}

	containers, _ := r.Input.PodOverride["containers"].([]any)

	var (
		common map[string]any
		rest   []any
	)

	for _, element := range containers {
		if c, ok := element.(map[string]any); ok && c["name"] == kube.ContainerName {
			common = c
		} else {
			rest = append(rest, element)
		}
	}

	if common == nil {
		return r
	}

	override := maps.Clone(r.Input.PodOverride)
	override["containers"] = add(rest, common, containerOutput, containerBackground)

	if withInit {
		inits, _ := override["initContainers"].([]any)
		override["initContainers"] = add(inits, common, containerInit)
	}

	copied, input := *r, *r.Input
	input.PodOverride = override
	copied.Input = &input

	return &copied
}

// add appends common under each of names that list does not have.
func add(list []any, common map[string]any, names ...string) []any {
	named := map[any]bool{}

	for _, element := range list {
		if c, ok := element.(map[string]any); ok {
			named[c["name"]] = true
		}
	}

	out := append([]any(nil), list...)

	for _, name := range names {
		if !named[name] {
			c := maps.Clone(common)
			c["name"] = name
			out = append(out, c)
		}
	}

	return out
}
