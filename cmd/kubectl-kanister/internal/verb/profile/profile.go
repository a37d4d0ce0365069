// Package profile holds the commands on profiles, the places where backups go: create, get, check, delete. A profile is a
// labelled Secret.
package profile

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// NewCmd is `profile`.
func NewCmd(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "profile COMMAND",
		Aliases: []string{"profiles"},
		Short:   "Create, list, check and delete profiles: the places where backups go",
		Long: `Create, list, check and delete profiles: the places where backups go.

A profile is a Secret in the namespace of the applications that use it, labelled ` + record.LabelProfile + `=true. The first
one of a namespace becomes its default.`,
		Example: `  kubectl kanister profile create s3 offsite --bucket backups --region eu-central-1
  kubectl kanister profile check offsite
  kubectl kanister profile get`,
	}

	create := &cobra.Command{
		Use:   "create KIND",
		Short: "Create a profile: a bucket in S3 or GCS, a container in Azure, or a volume",
		Example: `  # A bucket; the keys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
  kubectl kanister profile create s3 offsite --bucket backups --region eu-central-1
  # A bucket of Google's
  kubectl kanister profile create gcs offsite --bucket backups --service-key key.json
  # A volume in the cluster
  kubectl kanister profile create file --claim backups --size 5Gi`,
	}
	create.AddCommand(newCmdCreateS3(getter, streams), newCmdCreateGCS(getter, streams), newCmdCreateAzure(getter, streams), newCmdCreateFile(getter, streams))

	get := NewCmdGet(getter, streams)
	get.Use = "get [NAME...] [-A] [-o FORMAT]"
	get.Aliases = []string{"list", "ls"}

	cmd.AddCommand(create, get, newCmdCheck(getter, streams), newCmdDelete(getter, streams))

	return cmd
}

// place is a stored profile.
type place struct {
	*params.Profile
	secret *corev1.Secret
	// broken says why it cannot be used.
	broken error
}

func (p place) isDefault() bool {
	return p.secret.Annotations[record.AnnotationDefaultProfile] == "true"
}

func placeOf(secret *corev1.Secret) place {
	profile, err := params.ProfileFromSecret(secret)
	if err != nil {
		profile = &params.Profile{Name: secret.Name}
	}

	return place{Profile: profile, secret: secret, broken: err}
}

func list(ctx context.Context, s *session.Session, namespace string) ([]place, error) {
	secrets, err := s.Kubernetes.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{LabelSelector: record.LabelProfile + "=true"})
	if err != nil {
		return nil, fmt.Errorf("listing profiles: %w", err)
	}

	var places []place
	for i := range secrets.Items {
		places = append(places, placeOf(&secrets.Items[i]))
	}

	return places, nil
}

func get(ctx context.Context, s *session.Session, name string) (place, error) {
	secret, err := s.Kubernetes.CoreV1().Secrets(s.Namespace).Get(ctx, name, metav1.GetOptions{})

	switch {
	case apierrors.IsNotFound(err):
		return place{}, exit.New(exit.Usage, fmt.Errorf("looking for profile %q: there is none in namespace %q", name, s.Namespace),
			"kubectl kanister profile get"+s.Commands.Suffix(s.Namespace))
	case err != nil:
		return place{}, fmt.Errorf("reading profile %q: %w", name, err)
	case secret.Labels[record.LabelProfile] != "true":
		return place{}, exit.New(exit.Usage, fmt.Errorf("looking for profile %q: the Secret of this name has no label %s=true", name, record.LabelProfile), "")
	}

	return placeOf(secret), nil
}

// makeDefault moves the mark of the default profile to name. The new one is marked first: in between two are marked, which is
// told, never none.
func makeDefault(ctx context.Context, s *session.Session, name string, places []place) error {
	var errs []error

	for _, p := range places {
		if p.secret.Name == name || !p.isDefault() {
			continue
		}

		secret := p.secret.DeepCopy()
		delete(secret.Annotations, record.AnnotationDefaultProfile)

		if _, err := s.Kubernetes.CoreV1().Secrets(secret.Namespace).Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
			errs = append(errs, fmt.Errorf("taking the mark of the default from profile %q: %w", secret.Name, err))
		}
	}

	return errors.Join(errs...)
}
