package runs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// GetOptions are the options of `get runs` and `get backups`.
type GetOptions struct {
	genericiooptions.IOStreams
	*ui.Output

	Getter   genericclioptions.RESTClientGetter
	Session  *session.Session
	Clock    clock.PassiveClock
	Backups  bool
	Names    []string
	All      bool
	Selector string
	Sort     string
}

// sorts are the values of --sort.
var sorts = []string{"created", "name", "state", "target", "size", "duration"}

// NewCmdGetRuns is `get runs`.
func NewCmdGetRuns(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &GetOptions{IOStreams: streams, Output: ui.NewOutput(), Getter: getter, Clock: clock.RealClock{}}
	cmd := &cobra.Command{
		Use:     "runs [NAME...] [-l SELECTOR] [-A] [-o FORMAT]",
		Aliases: []string{"run"},
		Short:   "List runs",
		Long: `List runs: what was asked, how far it is or how it ended. The newest is last.

A run can be selected by its labels: ` + record.LabelAction + `, ` + record.LabelTargetKind + `, ` + record.LabelTargetName + `,
` + record.LabelBlueprint + `, ` + record.LabelState + `.`,
		Example: `  # Runs of this namespace
  kubectl kanister get runs
  # What failed, in all namespaces, with the reasons
  kubectl kanister get runs -A -l kanister.io/state=failed -o wide
  # The states, for a script
  kubectl kanister get runs -o jsonpath='{range .items[*]}{.metadata.name}{"\t"}{.state}{"\n"}{end}'`,
		ValidArgsFunction: complete.Runs(getter, nil),
		RunE:              o.runE,
	}
	o.addFlags(cmd)

	return cmd
}

// NewCmdGetBackups is `get backups`.
func NewCmdGetBackups(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &GetOptions{IOStreams: streams, Output: ui.NewOutput(), Getter: getter, Clock: clock.RealClock{}, Backups: true}
	cmd := &cobra.Command{
		Use:     "backups [NAME...] [-l SELECTOR] [-A] [-o FORMAT]",
		Aliases: []string{"backup"},
		Short:   "List backups: complete runs of the action backup",
		Long: `List backups: the complete runs of the action backup. The newest is last.

RESTORABLE is yes when the blueprint that made the backup has an action restore, no when it has none, deleted when a run
of the action delete has removed the data since. SIZE is what the phases reported; "-" if they reported nothing.`,
		Example: `  # Backups of this namespace
  kubectl kanister get backups
  # Those of one application, the largest last
  kubectl kanister get backups -l kanister.io/target-name=postgres --sort size
  # The name of the newest, for a script
  kubectl kanister get backups -o name | tail -n 1`,
		ValidArgsFunction: complete.Runs(getter, complete.Filter{record.LabelAction: "backup", record.LabelState: string(record.Complete)}),
		RunE:              o.runE,
	}
	o.addFlags(cmd)

	return cmd
}

func (o *GetOptions) addFlags(cmd *cobra.Command) {
	o.AddFlags(cmd)
	cmd.Flags().BoolVarP(&o.All, "all-namespaces", "A", false, "List across all namespaces")
	cmd.Flags().StringVarP(&o.Selector, "selector", "l", "", "Label selector, e.g. "+record.LabelTargetName+"=postgres")
	cmd.Flags().StringVar(&o.Sort, "sort", sorts[0], "Sort by "+strings.Join(sorts, ", "))
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(sorts, cobra.ShellCompDirectiveNoFileComp)) // only fails without the flag
}

func (o *GetOptions) runE(cmd *cobra.Command, args []string) error {
	if err := o.Complete(args); err != nil {
		return err
	}

	if err := o.Validate(); err != nil {
		return err
	}

	return o.Run(cmd.Context())
}

// Complete takes over the arguments and makes the clients.
func (o *GetOptions) Complete(args []string) error {
	var err error

	o.Names = args
	o.Session, err = session.New(o.Getter)

	return err
}

// Validate refuses what cannot be meant.
func (o *GetOptions) Validate() error {
	if err := o.Output.Validate(); err != nil {
		return err
	}

	if !slices.Contains(sorts, o.Sort) {
		return exit.New(exit.Usage, fmt.Errorf("flag --sort: %q is none of %s", o.Sort, strings.Join(sorts, ", ")), "")
	}

	if _, err := labels.Parse(o.Selector); err != nil {
		return exit.New(exit.Usage, fmt.Errorf("flag --selector: %w", err), "")
	}

	if len(o.Names) > 0 && (o.All || o.Selector != "") {
		return exit.New(exit.Usage, errors.New("names cannot be combined with --all-namespaces or --selector"), "")
	}

	return nil
}

// Run lists and prints.
func (o *GetOptions) Run(ctx context.Context) error {
	runs, deleted, err := o.find(ctx)
	if err != nil {
		return err
	}

	o.sort(runs)

	kind := "Run"
	if o.Backups {
		kind = "Backup"
	}

	if table, _ := o.Table(); table {
		if len(runs) == 0 {
			where := fmt.Sprintf(" in namespace %q", o.Session.Namespace)
			if o.All {
				where = ""
			}

			_, err := fmt.Fprintf(o.ErrOut, "No %ss found%s.\n", strings.ToLower(kind), where)

			return err
		}

		if o.Backups {
			return o.PrintTable(o.Out, backupTable(runs, deleted, o.All, o.Clock.Now()))
		}

		return o.PrintTable(o.Out, runTable(runs, o.All, o.Clock.Now()))
	}

	items := make([]map[string]any, 0, len(runs))

	for _, run := range runs {
		object, err := run.object(kind)
		if err != nil {
			return err
		}

		if o.Backups {
			object["restorable"] = run.restorable(deleted)
		}

		items = append(items, object)
	}

	return o.PrintList(o.Out, items)
}

// find reads the runs, and for backups which of them were deleted since.
func (o *GetOptions) find(ctx context.Context) (runs []Run, deleted deletions, err error) {
	namespace := o.Session.Namespace
	if o.All {
		namespace = metav1.NamespaceAll
	}

	if len(o.Names) > 0 {
		refs, err := o.Session.Refs(o.Names)
		if err != nil {
			return nil, nil, err
		}

		for _, ref := range refs {
			run, err := get(ctx, o.Session, ref)
			if err != nil {
				return nil, nil, err
			}

			runs = append(runs, run)
		}
	} else {
		selector := o.Selector
		if o.Backups {
			selector = join(selector, record.LabelAction+"=backup")
		}

		if runs, err = list(ctx, o.Session.Kubernetes, namespace, selector); err != nil {
			return nil, nil, err
		}
	}

	if !o.Backups {
		return runs, nil, nil
	}

	runs = slices.DeleteFunc(runs, func(r Run) bool { return r.State != record.Complete })

	deletions, err := list(ctx, o.Session.Kubernetes, namespace, record.LabelAction+"=delete")
	if err != nil {
		return nil, nil, err
	}

	return runs, deletedBackups(deletions), nil
}

func join(selector, more string) string {
	if selector == "" {
		return more
	}

	return selector + "," + more
}

// deletions say when a complete run of the action delete has last begun to remove the data of a run (namespace/name).
type deletions map[string]time.Time

func deletedBackups(runs []Run) deletions {
	deleted := deletions{}

	for _, run := range runs {
		of := run.Namespace + "/" + run.From
		if run.State == record.Complete && run.From != "" && run.Created.After(deleted[of]) {
			deleted[of] = run.Created
		}
	}

	return deleted
}

// of tells whether run's data was removed: by a deletion that is younger than it. An older one had another run of that name.
func (d deletions) of(run Run) bool { return d[run.Namespace+"/"+run.Run].After(run.Created) }

func (o *GetOptions) sort(runs []Run) {
	now := o.Clock.Now()

	slices.SortStableFunc(runs, func(a, b Run) int {
		var order int

		switch o.Sort {
		case "name":
			order = strings.Compare(a.Namespace+"/"+a.Run, b.Namespace+"/"+b.Run)
		case "state":
			order = strings.Compare(string(a.State), string(b.State))
		case "target":
			order = strings.Compare(ui.TargetName(a.Record), ui.TargetName(b.Record))
		case "size":
			order = compare(a.sums().BytesDone, b.sums().BytesDone)
		case "duration":
			x, _ := a.duration(now)
			y, _ := b.duration(now)
			order = compare(x, y)
		}

		if order == 0 {
			order = a.Created.Compare(b.Created)
		}

		if order == 0 {
			order = strings.Compare(a.Run, b.Run)
		}

		return order
	})
}

func compare[N ~int64](a, b N) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func runTable(runs []Run, namespaces bool, now time.Time) *metav1.Table {
	columns := []string{"NAME", "ACTION", "TARGET", "STATE", "PHASE", "DURATION", "AGE", "|", "BLUEPRINT", "PROFILE", "FROM", "WARNINGS", "CAUSE"}
	table := &metav1.Table{}

	for _, r := range runs {
		took := "-"
		if d, known := r.duration(now); known {
			took = ui.Duration(d)
		}

		row := ui.Row(r.Run, orDash(r.Action), orDash(ui.TargetName(r.Record)), orDash(string(r.State)), r.at(), took, age(r.Created, now),
			orDash(r.Blueprint.Name), orDash(r.Profile), orDash(r.From), len(r.Warnings), orDash(record.Shorten(ui.Clean(r.cause()), 120, "…")))
		if namespaces {
			row.Cells = append([]any{r.Namespace}, row.Cells...)
		}

		table.Rows = append(table.Rows, row)
	}

	if namespaces {
		columns = append([]string{"NAMESPACE"}, columns...)
	}

	table.ColumnDefinitions = ui.Columns(columns...)

	return table
}

func backupTable(runs []Run, deleted deletions, namespaces bool, now time.Time) *metav1.Table {
	columns := []string{"NAME", "TARGET", "SIZE", "PROFILE", "RESTORABLE", "AGE", "|", "NEW", "FILES", "DURATION", "BLUEPRINT", "WARNINGS"}
	table := &metav1.Table{}

	for _, r := range runs {
		sum := r.sums()
		size, fresh, files, took := "-", "-", "-", "-"

		if sum.BytesDone > 0 {
			size = ui.Bytes(sum.BytesDone)
		}

		if sum.BytesNew > 0 {
			fresh = ui.Bytes(sum.BytesNew)
		}

		if sum.FilesDone > 0 {
			files = fmt.Sprint(sum.FilesDone)
		}

		if d, known := r.duration(now); known {
			took = ui.Duration(d)
		}

		row := ui.Row(r.Run, orDash(ui.TargetName(r.Record)), size, orDash(r.Profile), r.restorable(deleted), age(r.Created, now),
			fresh, files, took, orDash(r.Blueprint.Name), len(r.Warnings))
		if namespaces {
			row.Cells = append([]any{r.Namespace}, row.Cells...)
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

func age(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}

	return duration.HumanDuration(now.Sub(t))
}
