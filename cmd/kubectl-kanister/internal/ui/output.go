package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
)

// Output is -o with kubectl's formats, besides tables: "" and wide.
type Output struct {
	flags     *genericclioptions.PrintFlags
	format    string
	noHeaders bool
}

// NewOutput makes an Output.
func NewOutput() *Output {
	o := &Output{flags: genericclioptions.NewPrintFlags("")}
	o.flags.OutputFormat = &o.format

	return o
}

// AddFlags declares -o, --template, --no-headers and their companions.
func (o *Output) AddFlags(cmd *cobra.Command) {
	o.flags.JSONYamlPrintFlags.AddFlags(cmd)
	o.flags.TemplatePrinterFlags.AddFlags(cmd)

	cmd.Flags().StringVarP(&o.format, "output", "o", "", "Output format: "+strings.Join(o.formats(), ", "))
	cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "Print the table without its head")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(o.formats(), cobra.ShellCompDirectiveNoFileComp)) // only fails without the flag
}

func (o *Output) formats() []string { return append([]string{"wide"}, o.flags.AllowedFormats()...) }

// Table tells whether a table is wanted, and whether a wide one.
func (o *Output) Table() (table, wide bool) {
	return o.format == "" || o.format == "wide", o.format == "wide"
}

// Validate refuses unknown formats before anything is asked of the cluster.
func (o *Output) Validate() error {
	if table, _ := o.Table(); table {
		return nil
	}

	if _, err := o.flags.ToPrinter(); err != nil {
		return exit.New(exit.Usage, fmt.Errorf("flag --output: %w", err), "")
	}

	return nil
}

// PrintTable prints a table; its rows need no objects.
func (o *Output) PrintTable(out io.Writer, table *metav1.Table) error {
	_, wide := o.Table()
	printer := printers.NewTablePrinter(printers.PrintOptions{NoHeaders: o.noHeaders, Wide: wide})

	return printer.PrintObj(table, out)
}

// PrintList prints objects in the format that was asked for. For json and yaml it is always a List, whatever their number.
func (o *Output) PrintList(out io.Writer, items []map[string]any) error {
	printer, err := o.flags.ToPrinter()
	if err != nil {
		return exit.New(exit.Usage, fmt.Errorf("flag --output: %w", err), "")
	}

	list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}}}
	for _, item := range items {
		list.Items = append(list.Items, unstructured.Unstructured{Object: item})
	}

	if list.Items == nil {
		list.Items = []unstructured.Unstructured{}
	}

	if o.format == "name" && len(items) == 0 {
		return nil
	}

	return printer.PrintObj(list, out)
}

// Columns are table columns by their names; those after the word "|" are shown with -o wide only.
func Columns(names ...string) []metav1.TableColumnDefinition {
	var (
		columns  []metav1.TableColumnDefinition
		priority int32
	)

	for _, name := range names {
		if name == "|" {
			priority = 1

			continue
		}

		columns = append(columns, metav1.TableColumnDefinition{Name: name, Type: "string", Priority: priority})
	}

	return columns
}

// Row is a table row.
func Row(cells ...any) metav1.TableRow { return metav1.TableRow{Cells: cells} }
