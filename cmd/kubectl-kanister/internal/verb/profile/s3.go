package profile

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// s3Options are the options of `profile create s3`.
type s3Options struct {
	bucketOptions

	AccessKey, AccessKeyFile string
	SecretKey, SecretKeyFile string
	SessionToken             string
	Role, STSEndpoint        string
	PodIdentity              bool
}

func newCmdCreateS3(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &s3Options{bucketOptions: newBucketOptions(getter, streams)}
	cmd := &cobra.Command{
		Use:     "s3 [NAME] --bucket BUCKET [--region REGION | --endpoint URL]",
		Aliases: []string{"s3compliant", "s3-compliant"},
		Short:   "Create a profile for a bucket in S3 or an S3-compatible store",
		Long: `Create a profile for a bucket in S3 or an S3-compatible store. The name is the bucket's unless one is given.

The keys are taken from --access-key and --secret-key, from files, from standard input, or from the environment:
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION. A key on the command line is seen by everybody on this machine and
stays in the shell's history: prefer the others.

A password for the repository in which the data is encrypted is generated and shown once.`,
		Example: `  # AWS, keys from the environment
  kubectl kanister profile create s3 offsite --bucket backups --region eu-central-1
  # Another store, with a certificate authority of its own; the secret key comes from a password manager
  pass show s3/secret | kubectl kanister profile create s3 lab --bucket backups --endpoint https://s3.lab:9000 \
    --ca-bundle ca.crt --access-key AKIALAB --secret-key-file -
  # The identity of the pods (IRSA, pod identity), with a role to assume
  kubectl kanister profile create s3 cloud --bucket backups --region eu-central-1 --pod-identity --role arn:aws:iam::123456789012:role/backup`,
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
	o.addFlags(fs, "Bucket (required)", "URL of an S3-compatible store; empty for AWS")
	fs.StringVarP(&o.Region, "region", "r", "", "Region; default: the environment variable AWS_REGION, for other stores than AWS us-east-1")
	fs.StringVarP(&o.AccessKey, "access-key", "a", "", "Access key id")
	fs.StringVar(&o.AccessKeyFile, "access-key-file", "", "File with the access key id, - for standard input")
	// kanctl's -s is kubectl's: --server.
	fs.StringVar(&o.SecretKey, "secret-key", "", "Secret access key; better --secret-key-file or the environment")
	fs.StringVar(&o.SecretKeyFile, "secret-key-file", "", "File with the secret access key, - for standard input")
	fs.StringVarP(&o.Role, "role", "R", "", "ARN of a role to assume")
	fs.StringVar(&o.STSEndpoint, "sts-endpoint", "", "URL of the STS that gives out the role's or the pods' credentials; default: AWS's in the region")
	fs.BoolVar(&o.PodIdentity, "pod-identity", false, "Use no keys but the identity of the pods")

	return cmd
}

// Complete makes the clients, reads files and environment.
func (o *s3Options) Complete(args []string) error {
	var err error
	if o.Session, err = session.New(o.Getter); err != nil {
		return err
	}

	o.name(args)

	if o.AccessKey, err = o.oneOf("access-key", o.AccessKey, o.AccessKeyFile); err != nil {
		return err
	}

	if o.SecretKey, err = o.oneOf("secret-key", o.SecretKey, o.SecretKeyFile); err != nil {
		return err
	}

	if !o.PodIdentity && o.AccessKey == "" && o.SecretKey == "" {
		o.AccessKey, _ = o.Environ("AWS_ACCESS_KEY_ID")
		o.SecretKey, _ = o.Environ("AWS_SECRET_ACCESS_KEY")
		o.SessionToken, _ = o.Environ("AWS_SESSION_TOKEN")
	}

	if o.Region == "" {
		for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
			if region, set := o.Environ(name); set && o.Region == "" {
				o.Region = region
			}
		}
	}

	if o.Region == "" && o.Endpoint != "" {
		o.Region = "us-east-1"
	}

	return nil
}

// Validate refuses what cannot be meant.
func (o *s3Options) Validate() error {
	if err := o.checkBucket(); err != nil {
		return err
	}

	switch {
	case o.Region == "":
		return wrong("for another store than AWS, give its URL with --endpoint", "flag --region: it is missing, and AWS_REGION is not set")
	case o.PodIdentity && (o.AccessKey != "" || o.SecretKey != ""):
		return wrong("", "flag --pod-identity: it uses no keys, but keys are given")
	case !o.PodIdentity && o.AccessKey == "" && o.SecretKey == "":
		return wrong("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, give --access-key and --secret-key-file, or --pod-identity", "flags --access-key and --secret-key: they are missing")
	case !o.PodIdentity && o.AccessKey == "":
		return wrong("", "flag --access-key: it is missing, a secret key is given")
	case !o.PodIdentity && o.SecretKey == "":
		return wrong("give --secret-key-file FILE, or - for standard input", "flag --secret-key: it is missing, an access key is given")
	}

	if o.STSEndpoint != "" && o.Role == "" && !o.PodIdentity {
		return wrong("", "flag --sts-endpoint: it is asked for credentials of a --role or of --pod-identity, and neither is given")
	}

	if err := o.checkEndpoint("sts-endpoint", o.STSEndpoint, "for example https://sts.example.com", "temporary keys cross"); err != nil {
		return err
	}

	return o.checkEndpoint("endpoint", o.Endpoint, "for example https://s3.example.com:9000", "keys and object names cross")
}

// Run creates the profile.
func (o *s3Options) Run(ctx context.Context) error {
	profile, err := o.profile(blueprint.LocationS3)
	if err != nil {
		return err
	}

	profile.Credential = o.credential()

	if o.SessionToken != "" {
		fmt.Fprintln(o.ErrOut, "warning: the keys of the environment are temporary (AWS_SESSION_TOKEN): the profile works until they expire")
	}

	return o.store(ctx, profile)
}

// credential is a key pair where that is all; a role, a session token or no keys at all need upstream's typed Secret.
func (o *s3Options) credential() params.Credential {
	if o.Role == "" && o.SessionToken == "" && !o.PodIdentity {
		return params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: o.AccessKey, Secret: o.SecretKey}}
	}

	data := map[string][]byte{}

	for key, value := range map[string]string{
		"aws_access_key_id": o.AccessKey, "aws_secret_access_key": o.SecretKey, "aws_session_token": o.SessionToken, "role": o.Role,
		"aws_sts_endpoint": o.STSEndpoint,
	} {
		if value != "" {
			data[key] = []byte(value)
		}
	}

	return params.Credential{Type: blueprint.CredentialSecret, Secret: &corev1.Secret{Type: params.SecretTypeAWS, Data: data}}
}
