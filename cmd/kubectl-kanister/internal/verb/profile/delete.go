package profile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// deleteOptions are the options of `profile delete`.
type deleteOptions struct {
	genericiooptions.IOStreams

	Getter  genericclioptions.RESTClientGetter
	Session *session.Session
	Names   []string
	Force   bool
}

func newCmdDelete(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &deleteOptions{IOStreams: streams, Getter: getter}
	cmd := &cobra.Command{
		Use:     "delete NAME... [--force]",
		Aliases: []string{"rm"},
		Short:   "Delete profiles; backed up data stays",
		Long: `Delete profiles. The data in their locations stays, and so does a volume. While backups use a profile it is deleted only
with --force: without the keys and the repository password in it they cannot be restored.`,
		Example: `  kubectl kanister profile delete offsite`,
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: complete.Profiles(getter),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error

			o.Names = args
			if o.Session, err = session.New(o.Getter); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.Force, "force", false, "Delete it although backups use it")

	return cmd
}

// Run deletes the profiles.
func (o *deleteOptions) Run(ctx context.Context) error {
	var errs []error

	for _, name := range o.Names {
		errs = append(errs, o.delete(ctx, name))
	}

	return errors.Join(errs...)
}

func (o *deleteOptions) delete(ctx context.Context, name string) error {
	p, err := get(ctx, o.Session, name)
	if err != nil {
		return err
	}

	users, err := o.users(ctx, name)

	switch {
	case apierrors.IsForbidden(err) && !o.Force:
		return exit.New(exit.NotPermitted, fmt.Errorf("deleting profile %q: whether backups use it cannot be seen: %w", name, err), "--force deletes it nevertheless")
	case err != nil && !o.Force:
		return fmt.Errorf("deleting profile %q: %w", name, err)
	case len(users) > 0 && !o.Force:
		return exit.New(exit.Usage, fmt.Errorf("deleting profile %q: it is used by %s", name, shown(users)),
			"delete the backups first (kubectl kanister delete --from RUN), or add --force: then they cannot be restored any more")
	}

	if err := o.Session.Kubernetes.CoreV1().Secrets(p.secret.Namespace).Delete(ctx, name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &p.secret.UID},
	}); err != nil {
		return fmt.Errorf("deleting profile %q: %w", name, err)
	}

	text := fmt.Sprintf("profile/%s deleted; the data in %s stays", name, p.where())
	if p.Location.Type == blueprint.LocationFilestore {
		text += ", and so does the claim"
	}

	if len(users) > 0 {
		text += fmt.Sprintf("; %d backups cannot be restored without a profile of this name: %s", len(users), shown(users))
	}

	if p.isDefault() {
		text += "; namespace " + o.Session.Namespace + " has no default profile now"
	}

	_, err = fmt.Fprintln(o.ErrOut, text)

	return err
}

// users are the runs that need the profile: backups that can be restored, and runs that go on.
func (o *deleteOptions) users(ctx context.Context, name string) ([]string, error) {
	records, err := o.Session.Kubernetes.CoreV1().ConfigMaps(o.Session.Namespace).List(ctx, metav1.ListOptions{LabelSelector: record.LabelRecord + "=true"})
	if err != nil {
		return nil, err
	}

	deleted := map[string]bool{}

	var used []string

	for i := range records.Items {
		r, err := follow.Decode(&records.Items[i])
		if err != nil {
			continue // such a run cannot be restored anyway
		}

		if r.Action == "delete" && r.State == record.Complete && r.From != "" {
			deleted[r.From] = true
		}

		backup := r.Action == "backup" && r.State == record.Complete
		if r.Profile == name && (backup || !r.State.Finished()) {
			used = append(used, r.Run)
		}
	}

	var left []string

	for _, run := range used {
		if !deleted[run] {
			left = append(left, run)
		}
	}

	return left, nil
}

// shown lists names, not too many.
func shown(names []string) string {
	const most = 10

	if len(names) <= most {
		return strings.Join(names, ", ")
	}

	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
