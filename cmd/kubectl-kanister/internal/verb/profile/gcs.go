package profile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// gcsOptions are the options of `profile create gcs`.
type gcsOptions struct {
	bucketOptions

	Project     string
	KeyFile     string
	PodIdentity bool

	key string
}

func newCmdCreateGCS(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &gcsOptions{bucketOptions: newBucketOptions(getter, streams)}
	cmd := &cobra.Command{
		Use:     "gcs [NAME] --bucket BUCKET --service-key FILE",
		Aliases: []string{"gcp", "google"},
		Short:   "Create a profile for a bucket in Google Cloud Storage",
		Long: `Create a profile for a bucket in Google Cloud Storage. The name is the bucket's unless one is given.

The key of a service account is a JSON file; without --service-key it is the one that the environment variable
GOOGLE_APPLICATION_CREDENTIALS names. With --pod-identity there is none: the pods' own identity is used.

A password for the repository in which the data is encrypted is generated and shown once.`,
		Example: `  # A service account's key
  kubectl kanister profile create gcs offsite --bucket backups --service-key key.json
  # Workload identity of the run's ServiceAccount
  kubectl kanister profile create gcs cloud --bucket backups --pod-identity`,
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
	o.addFlags(fs, "Bucket (required)", "URL of another server with this API; empty for Google's. Without TLS it gets no credentials")
	fs.StringVarP(&o.Region, "region", "r", "", "Region; kept in the profile for blueprints")
	fs.StringVarP(&o.Project, "project-id", "a", "", "Project; default: that of the key")
	// kanctl's -s is kubectl's: --server.
	fs.StringVar(&o.KeyFile, "service-key", "", "File with the JSON key of a service account, - for standard input")
	fs.BoolVar(&o.PodIdentity, "pod-identity", false, "Use no key but the identity of the pods")

	return cmd
}

// Complete makes the clients and reads the key.
func (o *gcsOptions) Complete(args []string) error {
	var err error
	if o.Session, err = session.New(o.Getter); err != nil {
		return err
	}

	o.name(args)

	if o.KeyFile == "" && !o.PodIdentity {
		o.KeyFile, _ = o.Environ("GOOGLE_APPLICATION_CREDENTIALS")
	}

	if o.KeyFile == "" {
		return nil
	}

	if o.key, err = o.readSecret("service-key", o.KeyFile); err != nil {
		return err
	}

	var key struct {
		Type    string `json:"type"`
		Project string `json:"project_id"`
		Email   string `json:"client_email"`
	}

	err = json.Unmarshal([]byte(o.key), &key)
	if err == nil && (key.Type != "service_account" || key.Email == "") {
		err = errors.New(`its type is not "service_account", or it has no client_email`)
	}

	if err != nil {
		return exit.New(exit.Usage, fmt.Errorf("flag --service-key: %q is not the key of a service account: %w", o.KeyFile, err),
			"make one with: gcloud iam service-accounts keys create key.json --iam-account ACCOUNT")
	}

	if o.Project == "" {
		o.Project = key.Project
	}

	return nil
}

// Validate refuses what cannot be meant.
func (o *gcsOptions) Validate() error {
	if err := o.checkBucket(); err != nil {
		return err
	}

	switch {
	case o.PodIdentity && o.key != "":
		return wrong("", "flag --pod-identity: it uses no key, but one is given")
	case !o.PodIdentity && o.key == "":
		return wrong("give --service-key FILE, or --pod-identity", "flag --service-key: it is missing, and GOOGLE_APPLICATION_CREDENTIALS is not set")
	case o.Project == "" && !o.PodIdentity:
		return wrong("", "flag --project-id: it is missing, and the key names none")
	default:
		return o.checkEndpoint("endpoint", o.Endpoint, "for example https://storage.googleapis.com", "data and object names cross")
	}
}

// Run creates the profile.
func (o *gcsOptions) Run(ctx context.Context) error {
	profile, err := o.profile(blueprint.LocationGCS)
	if err != nil {
		return err
	}

	profile.Credential = params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: o.Project, Secret: o.key}}
	if o.PodIdentity {
		profile.Credential = params.Credential{Type: blueprint.CredentialNone}
	}

	return o.store(ctx, profile)
}
