package profile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// fileOptions are the options of `profile create file`.
type fileOptions struct {
	createOptions

	Claim        string
	Size         string
	StorageClass string
	AccessMode   string
}

func newCmdCreateFile(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &fileOptions{createOptions: createOptions{IOStreams: streams, Getter: getter, Environ: os.LookupEnv}}
	cmd := &cobra.Command{
		Use:     "file [NAME] --claim CLAIM [--size SIZE]",
		Aliases: []string{"filestore", "pvc"},
		Short:   "Create a profile for a volume in the cluster",
		Long: `Create a profile for a volume in the cluster. The name is the claim's unless one is given. A claim that does not exist is
created, which needs --size.

A volume is lost with its cluster: use it to try things, as a first stage, or with a volume that lies elsewhere (NFS). The
claim lies in the namespace of the applications that use it.`,
		Example: `  # A new volume of the default storage class
  kubectl kanister profile create file --claim backups --size 5Gi
  # An existing claim, below a path
  kubectl kanister profile create file nfs --claim nfs-share --prefix cluster-a`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Complete(args); err != nil {
				return err
			}

			if err := o.Validate(); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}

	fs := cmd.Flags()
	fs.StringVar(&o.Claim, "claim", "", "PersistentVolumeClaim (required)")
	fs.StringVar(&o.Size, "size", "", "Size of the claim if it is to be created, e.g. 5Gi")
	fs.StringVar(&o.StorageClass, "storage-class", "", "Storage class of the claim if it is to be created; default: the cluster's")
	fs.StringVar(&o.AccessMode, "access-mode", string(corev1.ReadWriteOnce), "Access mode of the claim if it is to be created")
	o.createOptions.addFlags(fs)

	return cmd
}

// Complete makes the clients.
func (o *fileOptions) Complete(args []string) error {
	var err error

	o.Name = o.Claim
	if len(args) > 0 {
		o.Name = args[0]
	}

	o.Session, err = session.New(o.Getter)

	return err
}

var accessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadWriteMany, corev1.ReadWriteOncePod}

// Validate refuses what cannot be meant.
func (o *fileOptions) Validate() error {
	if o.Claim == "" {
		return exit.New(exit.Usage, errors.New("flag --claim: it is missing"), "kubectl get pvc; a claim that does not exist is created with --size")
	}

	if o.Size != "" {
		size, err := resource.ParseQuantity(o.Size)
		if err == nil && size.Sign() <= 0 {
			err = errors.New("it must be more than nothing")
		}

		if err != nil {
			return exit.New(exit.Usage, fmt.Errorf("flag --size: %q: %w", o.Size, err), "for example --size 5Gi")
		}
	}

	for _, mode := range accessModes {
		if o.AccessMode == string(mode) {
			return nil
		}
	}

	return exit.New(exit.Usage, fmt.Errorf("flag --access-mode: %q is none of ReadWriteOnce, ReadWriteMany, ReadWriteOncePod", o.AccessMode), "")
}

// Run creates claim and profile.
func (o *fileOptions) Run(ctx context.Context) error {
	if err := o.checkName(); err != nil {
		return err
	}

	if err := o.claim(ctx); err != nil {
		return err
	}

	return o.store(ctx, &params.Profile{Location: blueprint.Location{
		Type: blueprint.LocationFilestore, ClaimName: o.Claim, Prefix: strings.Trim(o.Prefix, "/"),
	}})
}

// claim makes sure that the claim is there.
func (o *fileOptions) claim(ctx context.Context) error {
	claims := o.Session.Kubernetes.CoreV1().PersistentVolumeClaims(o.Session.Namespace)

	existing, err := claims.Get(ctx, o.Claim, metav1.GetOptions{})
	if err == nil {
		return o.exists(ctx, existing)
	}

	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading claim %q: %w", o.Claim, err)
	}

	if o.Size == "" {
		return exit.New(exit.Usage, fmt.Errorf("looking for claim %q: there is none in namespace %q", o.Claim, o.Session.Namespace), "create it by giving --size, for example --size 5Gi")
	}

	if o.DryRun {
		fmt.Fprintf(o.ErrOut, "persistentvolumeclaim/%s would be created\n", o.Claim)

		return nil
	}

	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: o.Claim, Labels: map[string]string{"app.kubernetes.io/managed-by": "kubectl-kanister", record.LabelLocation: "true"}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.PersistentVolumeAccessMode(o.AccessMode)},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(o.Size)}},
		},
	}
	if o.StorageClass != "" {
		claim.Spec.StorageClassName = &o.StorageClass
	}

	if _, err := claims.Create(ctx, claim, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating claim %q: %w", o.Claim, err)
	}

	fmt.Fprintf(o.ErrOut, "persistentvolumeclaim/%s created, %s\n", o.Claim, o.Size)

	return nil
}

// exists says what of the flags does not apply to a claim that is there already, and labels it.
func (o *fileOptions) exists(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.DeletionTimestamp != nil {
		return exit.New(exit.Usage, fmt.Errorf("using claim %q: it is being deleted", o.Claim), "name another one with --claim")
	}

	if mode := claim.Spec.VolumeMode; mode != nil && *mode == corev1.PersistentVolumeBlock {
		return exit.New(exit.Usage, fmt.Errorf("using claim %q: it is a block volume; a filesystem is needed", o.Claim), "name another one with --claim")
	}

	fmt.Fprintf(o.ErrOut, "persistentvolumeclaim/%s exists and is used as it is\n", o.Claim)

	if o.Size != "" {
		asked := resource.MustParse(o.Size)
		if has := claim.Spec.Resources.Requests[corev1.ResourceStorage]; asked.Cmp(has) > 0 {
			fmt.Fprintf(o.ErrOut, "warning: persistentvolumeclaim/%s has %s, less than the %s asked for\n", o.Claim, has.String(), asked.String())
		}
	}

	if !o.DryRun && claim.Labels[record.LabelLocation] != "true" {
		return o.mark(ctx)
	}

	return nil
}

// mark labels the claim as one that holds backups. Who may not is told what to ask for.
func (o *fileOptions) mark(ctx context.Context) error {
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:"true"}}}`, record.LabelLocation)
	_, err := o.Session.Kubernetes.CoreV1().PersistentVolumeClaims(o.Session.Namespace).Patch(ctx, o.Claim, types.MergePatchType, []byte(patch), metav1.PatchOptions{})

	switch {
	case apierrors.IsForbidden(err):
		fmt.Fprintf(o.ErrOut, "warning: you may not label persistentvolumeclaim/%[1]s: until somebody does, a backup of the whole namespace has it, and a restore of that "+
			"takes back the backups in it: kubectl label pvc %[1]s -n %[2]s %[3]s=true\n", o.Claim, o.Session.Namespace, record.LabelLocation)
	case err != nil:
		return fmt.Errorf("labelling claim %q: %w", o.Claim, err)
	}

	return nil
}
