package location

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// journal keeps what a function says.
type journal struct {
	functions.Journal

	events, warnings []string
}

func (j *journal) Event(m string)           { j.events = append(j.events, m) }
func (j *journal) Warn(m string)            { j.warnings = append(j.warnings, m) }
func (j *journal) Progress(record.Progress) {}

func TestLocationDelete(t *testing.T) {
	server := locationtest.Versitygw(t)
	server.Bucket(t, "backups")

	for _, prefix := range []string{"", "team/a"} {
		profile := server.Profile("backups", prefix)

		store, err := location.Open(t.Context(), profile)
		if err != nil {
			t.Fatal(err)
		}

		for _, c := range []struct {
			artifact, deleted string
			left              []string
			err, warning      string
		}{
			{artifact: "dump/1", deleted: "1", left: []string{"dump/10", "repo/p1", "repo/q/1", "repository/x"}},
			{artifact: "backups/repo", deleted: "2", left: []string{"dump/1", "dump/10", "repository/x"}},
			{artifact: "/repo/", deleted: "2", left: []string{"dump/1", "dump/10", "repository/x"}},
			{artifact: "s3://backups/dump", deleted: "2", left: []string{"repo/p1", "repo/q/1", "repository/x"}},
			{artifact: "s3://backups/" + prefix + "/repo", deleted: "2", left: []string{"dump/1", "dump/10", "repository/x"}},
			{artifact: "absent", deleted: "0", warning: "no artifact"},
			{artifact: "", err: "everything"},
			{artifact: "backups", err: "everything"},
			{artifact: "s3://backups/", err: "everything"},
			{artifact: "s3://other/dump", err: `"other"`},
		} {
			t.Run(prefix+" "+c.artifact, func(t *testing.T) {
				all := []string{"dump/1", "dump/10", "repo/p1", "repo/q/1", "repository/x"}
				for _, key := range all {
					if _, err := store.Put(t.Context(), key, strings.NewReader(key)); err != nil {
						t.Fatal(err)
					}
				}

				j := &journal{}
				run := &functions.Run{Params: &params.TemplateParams{Profile: profile}, Journal: j}
				outputs, err := LocationDelete{spec.Must("LocationDelete")}.Exec(t.Context(), run, map[string]any{"artifact": c.artifact})

				if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && (err != nil || outputs["deleted"] != c.deleted) {
					t.Errorf("outputs %v, error %v", outputs, err)
				}

				if !strings.Contains(strings.Join(j.warnings, "\n"), c.warning) || c.warning == "" && len(j.warnings) > 0 {
					t.Errorf("warnings %q", j.warnings)
				}

				if c.left == nil {
					c.left = all
				}

				var left []string

				if err := store.List(t.Context(), "", func(o location.Object) error {
					left = append(left, o.Key)

					return nil
				}); err != nil {
					t.Fatal(err)
				}

				// The prefixed store's objects are seen by the bare one, too.
				left = slices.DeleteFunc(left, func(key string) bool { return strings.HasPrefix(key, "team/") })

				slices.Sort(left)

				if !slices.Equal(left, c.left) {
					t.Errorf("left %q, want %q", left, c.left)
				}
			})
		}
	}
}

func TestLocationCheck(t *testing.T) {
	server := locationtest.Versitygw(t)
	server.Bucket(t, "backups")

	check := func(bucket string) (map[string]any, error) {
		run := &functions.Run{Params: &params.TemplateParams{Profile: server.Profile(bucket, "")}, Journal: &journal{}}

		return LocationCheck{spec.Must("LocationCheck")}.Exec(t.Context(), run, nil)
	}

	outputs, err := check("backups")
	if steps, _ := outputs["steps"].([]any); err != nil || len(steps) != 4 || outputs["ok"] != true {
		t.Errorf("outputs %v, error %v", outputs, err)
	}

	outputs, err = check("absent")

	var failed *record.Failure
	if !errors.As(err, &failed) || failed.Reason != "NoBucket" || failed.Hint == "" || outputs["ok"] != false {
		t.Errorf("outputs %v, error %#v", outputs, err)
	}

	run := &functions.Run{Params: &params.TemplateParams{}, Journal: &journal{}}
	if _, err := (LocationDelete{spec.Must("LocationDelete")}).Exec(context.Background(), run, map[string]any{"artifact": "x"}); !errors.As(err, &failed) || failed.Reason != "BadProfile" {
		t.Errorf("without profile: %v", err)
	}
}
