package profile

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// getOptions are the options of `get profiles` and `profile get`.
type getOptions struct {
	genericiooptions.IOStreams
	*ui.Output

	Getter  genericclioptions.RESTClientGetter
	Session *session.Session
	Clock   clock.PassiveClock
	Names   []string
	All     bool
}

// NewCmdGet is `get profiles`.
func NewCmdGet(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &getOptions{IOStreams: streams, Output: ui.NewOutput(), Getter: getter, Clock: clock.RealClock{}}
	cmd := &cobra.Command{
		Use:     "profiles [NAME...] [-A] [-o FORMAT]",
		Aliases: []string{"profile"},
		Short:   "List profiles: the places where backups go",
		Long: `List profiles: the places where backups go. No format prints anything secret; the whole profile is the Secret of its
name.`,
		Example: `  # Profiles of this namespace
  kubectl kanister get profiles
  # The default one's name
  kubectl kanister get profiles -o jsonpath='{.items[?(@.default==true)].metadata.name}'`,
		ValidArgsFunction: complete.Profiles(getter),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error

			o.Names = args
			if o.Session, err = session.New(o.Getter); err != nil {
				return err
			}

			if err := o.Output.Validate(); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	o.AddFlags(cmd)
	cmd.Flags().BoolVarP(&o.All, "all-namespaces", "A", false, "List across all namespaces")

	return cmd
}

// Run lists and prints.
func (o *getOptions) Run(ctx context.Context) error {
	places, err := o.find(ctx)
	if err != nil {
		return err
	}

	if table, _ := o.Table(); table {
		if len(places) == 0 {
			where := fmt.Sprintf(" in namespace %q", o.Session.Namespace)
			if o.All {
				where = ""
			}

			_, err := fmt.Fprintf(o.ErrOut, "No profiles found%s.\nhint: kubectl kanister profile create --help\n", where)

			return err
		}

		return o.PrintTable(o.Out, tabular(places, o.All, o.Clock.Now()))
	}

	var items []map[string]any
	for _, p := range places {
		items = append(items, p.object())
	}

	return o.PrintList(o.Out, items)
}

func (o *getOptions) find(ctx context.Context) ([]place, error) {
	if len(o.Names) == 0 {
		namespace := o.Session.Namespace
		if o.All {
			namespace = metav1.NamespaceAll
		}

		return list(ctx, o.Session, namespace)
	}

	var places []place

	for _, name := range o.Names {
		p, err := get(ctx, o.Session, name)
		if err != nil {
			return nil, err
		}

		places = append(places, p)
	}

	return places, nil
}

// object is a profile as -o json prints it: nothing secret.
func (p place) object() map[string]any {
	location := map[string]any{}

	for key, value := range map[string]string{
		"type": string(p.Location.Type), "bucket": p.Location.Bucket, "endpoint": p.Location.Endpoint, "prefix": p.Location.Prefix,
		"region": p.Location.Region, "claimName": p.Location.ClaimName,
	} {
		if value != "" {
			location[key] = value
		}
	}

	object := map[string]any{
		"apiVersion": "kanister.io/v1", "kind": "Profile",
		"metadata": map[string]any{
			"name": p.secret.Name, "namespace": p.secret.Namespace,
			"creationTimestamp": p.secret.CreationTimestamp.UTC().Format(time.RFC3339),
		},
		"location": location, "credentialType": string(p.Credential.Type), "default": p.isDefault(),
		"skipSSLVerify": p.SkipSSLVerify, "caBundle": p.CABundle != "", "repositoryPassword": p.RepositoryPassword != "",
	}

	if p.broken != nil {
		object["fault"] = p.broken.Error()
	}

	return object
}

// where is the location in one word: "s3://bucket/prefix", "pvc/claim/prefix".
func (p place) where() string {
	var text string

	switch p.Location.Type {
	case blueprint.LocationS3:
		text = "s3://" + p.Location.Bucket
	case blueprint.LocationGCS:
		text = "gs://" + p.Location.Bucket
	case blueprint.LocationAzure:
		text = "azure://" + p.Location.Bucket
	case blueprint.LocationKopia:
		text = "kopia:" + p.Location.Endpoint
	case blueprint.LocationFilestore:
		text = "pvc/" + p.Location.ClaimName
	default:
		return "-"
	}

	if p.Location.Prefix != "" {
		text += "/" + p.Location.Prefix
	}

	return text
}

func tabular(places []place, namespaces bool, now time.Time) *metav1.Table {
	columns := []string{"NAME", "LOCATION", "DEFAULT", "VALID", "AGE", "|", "ENDPOINT", "REGION", "TLS", "FAULT"}
	table := &metav1.Table{}

	for _, p := range places {
		standard, valid, fault, tls := "", "yes", "-", "verified"
		if p.isDefault() {
			standard = "*"
		}

		if p.broken != nil {
			valid, fault = "no", p.broken.Error()
		}

		switch {
		case p.Location.Type == blueprint.LocationFilestore || p.broken != nil:
			tls = "-"
		case p.SkipSSLVerify:
			tls = "not verified"
		case p.CABundle != "":
			tls = "own CA"
		}

		age := duration.HumanDuration(now.Sub(p.secret.CreationTimestamp.Time))
		row := ui.Row(p.secret.Name, p.where(), standard, valid, age, orDash(p.Location.Endpoint), orDash(p.Location.Region), tls, fault)

		if namespaces {
			row.Cells = append([]any{p.secret.Namespace}, row.Cells...)
		}

		table.Rows = append(table.Rows, row)
	}

	if namespaces {
		columns = append([]string{"NAMESPACE"}, columns...)
	}

	table.ColumnDefinitions = ui.Columns(columns...)

	return table
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}

	return text
}
