package blueprint_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// The table of fields that validation knows must be that of the real parameters: a field too few would be a false error.
func TestMembersAreThoseOfTheParameters(t *testing.T) {
	t.Parallel()

	for path, want := range blueprint.Members {
		at := reflect.TypeFor[params.TemplateParams]()

		for name := range strings.SplitSeq(path, ".") {
			if name == "" {
				continue
			}

			for at.Kind() == reflect.Pointer {
				at = at.Elem()
			}

			if name == "*" {
				at = at.Elem()

				continue
			}

			field, ok := at.FieldByName(name)
			if !ok {
				t.Fatalf("there is no %s", path)
			}

			at = field.Type
		}

		for at.Kind() == reflect.Pointer {
			at = at.Elem()
		}

		var got []string
		for _, f := range reflect.VisibleFields(at) {
			if f.IsExported() {
				got = append(got, f.Name)
			}
		}

		slices.Sort(got)

		if !slices.Equal(got, want) {
			t.Errorf("%q has the fields %v, the table says %v", path, got, want)
		}
	}
}
