package wait

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

// WaitV2 waits by conditions that are Go templates over the object (COMPAT §4.27).
type WaitV2 struct{ spec.Function }

var _ = functions.Register(WaitV2{spec.Must("WaitV2")})

// Exec implements functions.Func.
func (f WaitV2) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	return nil, exec(ctx, run, fmt.Sprint(args["timeout"]), args["conditions"], compileGoTemplate)
}

// compileGoTemplate makes a condition ready that means what `kubectl get -o go-template` prints.
func compileGoTemplate(text string) (evaluation, error) {
	printer, err := printers.NewGoTemplatePrinter([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("it does not parse: %w", plain(err))
	}

	printer.AllowMissingKeys(true)

	return func(u *unstructured.Unstructured) (string, error) {
		var out bytes.Buffer
		if err := printer.PrintObj(u, &out); err != nil {
			return "", plain(err)
		}

		return out.String(), nil
	}, nil
}

// engineError is an error of the template engine without what it says of its own names.
type engineError struct{ error }

func (e engineError) Error() string {
	text := e.error.Error()
	if _, cause, found := strings.Cut(text, ": template: output:"); found {
		text = "template: output:" + cause
	}

	return strings.TrimPrefix(text, "template: output:")
}

func (e engineError) Unwrap() error { return e.error }

func plain(err error) error { return engineError{err} }
