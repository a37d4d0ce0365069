package profile

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// azureOptions are the options of `profile create azure`.
type azureOptions struct {
	bucketOptions

	Account      string
	Key, KeyFile string
	StorageEnv   string
	PodIdentity  bool
}

func newCmdCreateAzure(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &azureOptions{bucketOptions: newBucketOptions(getter, streams)}
	cmd := &cobra.Command{
		Use:   "azure [NAME] --bucket CONTAINER --storage-account ACCOUNT --storage-key-file FILE",
		Short: "Create a profile for a container in Azure's blob storage",
		Long: `Create a profile for a container in Azure's blob storage. The name is the container's unless one is given.

Account and key are also taken from the environment: AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_KEY. A key on the command line is
seen by everybody on this machine and stays in the shell's history: prefer the others. With --pod-identity there is none:
the pods' workload identity is used.

A password for the repository in which the data is encrypted is generated and shown once.`,
		Example: `  # The key from the environment
  kubectl kanister profile create azure offsite --bucket backups --storage-account corpbackups
  # Another cloud of Azure's, and workload identity
  kubectl kanister profile create azure gov --bucket backups --storage-account corpbackups --storage-env AZUREUSGOVERNMENT --pod-identity`,
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
	o.addFlags(fs, "Container (required)", "URL of another server with this API, [ACCOUNT.]HOST; empty for Azure's")
	fs.StringVarP(&o.Region, "region", "r", "", "Region; kept in the profile for blueprints")
	fs.StringVarP(&o.Account, "storage-account", "a", "", "Storage account")
	// kanctl's -s is kubectl's: --server.
	fs.StringVar(&o.Key, "storage-key", "", "Key of the account; better --storage-key-file or the environment")
	fs.StringVar(&o.KeyFile, "storage-key-file", "", "File with the key of the account, - for standard input")
	fs.StringVar(&o.StorageEnv, "storage-env", "", "Azure's cloud: AZUREPUBLICCLOUD (default), AZUREUSGOVERNMENT or AZURECHINACLOUD")
	fs.BoolVar(&o.PodIdentity, "pod-identity", false, "Use no key but the workload identity of the pods")

	return cmd
}

// Complete makes the clients, reads files and environment.
func (o *azureOptions) Complete(args []string) error {
	var err error
	if o.Session, err = session.New(o.Getter); err != nil {
		return err
	}

	o.name(args)

	if o.Key, err = o.oneOf("storage-key", o.Key, o.KeyFile); err != nil {
		return err
	}

	if o.Account == "" {
		o.Account, _ = o.Environ("AZURE_STORAGE_ACCOUNT")
	}

	if o.Key == "" && !o.PodIdentity {
		o.Key, _ = o.Environ("AZURE_STORAGE_KEY")
	}

	return nil
}

// Validate refuses what cannot be meant.
func (o *azureOptions) Validate() error {
	if err := o.checkBucket(); err != nil {
		return err
	}

	switch {
	case o.Account == "":
		return wrong("", "flag --storage-account: it is missing, and AZURE_STORAGE_ACCOUNT is not set")
	case o.PodIdentity && o.Key != "":
		return wrong("", "flag --pod-identity: it uses no key, but one is given")
	case !o.PodIdentity && o.Key == "":
		return wrong("give --storage-key-file FILE, or --pod-identity", "flag --storage-key: it is missing, and AZURE_STORAGE_KEY is not set")
	}

	if _, known := params.AzureDomains[strings.ToUpper(o.StorageEnv)]; !known {
		return wrong("one of "+strings.Join(slices.Sorted(maps.Keys(params.AzureDomains))[1:], ", "), "flag --storage-env: %q is no cloud of Azure's", o.StorageEnv)
	}

	if _, err := base64.StdEncoding.DecodeString(o.Key); err != nil {
		return wrong("copy it from the account's access keys", "flag --storage-key: it is not base64, as keys of storage accounts are")
	}

	return o.checkEndpoint("endpoint", o.Endpoint, "for example https://blob.core.windows.net", "data and object names cross")
}

// Run creates the profile.
func (o *azureOptions) Run(ctx context.Context) error {
	profile, err := o.profile(blueprint.LocationAzure)
	if err != nil {
		return err
	}

	profile.Credential = params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: o.Account, Secret: o.Key}}

	if o.StorageEnv != "" || o.PodIdentity {
		data := map[string][]byte{"azure_storage_account_id": []byte(o.Account)}
		if o.PodIdentity {
			data["azure_federated_identity"] = []byte("true")
		}

		for key, value := range map[string]string{"azure_storage_key": o.Key, "azure_storage_environment": o.StorageEnv} {
			if value != "" {
				data[key] = []byte(value)
			}
		}

		profile.Credential = params.Credential{Type: blueprint.CredentialSecret, Secret: &corev1.Secret{Type: params.SecretTypeAzure, Data: data}}
	}

	return o.store(ctx, profile)
}
