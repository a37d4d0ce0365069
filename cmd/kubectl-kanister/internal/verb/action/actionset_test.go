package action

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// TestStopped: the code of a sequence that was not carried through.
func TestStopped(t *testing.T) {
	one := func(action string) *attempt {
		return &attempt{target: target.Target{Ref: blueprint.ObjectReference{Kind: "deployment", Name: "a"}}, by: &Options{Action: action}}
	}
	attempts := []*attempt{one("x"), one("y"), one("z")}

	for name, tc := range map[string]struct {
		code exit.Code
		at   int
		want exit.Code
		text string
	}{
		"the first":         {exit.RunFailed, 0, exit.RunFailed, "action 1 did not come to a good end, and these were not started: 2 (y deployment/a), 3 (z deployment/a): no"},
		"one in the middle": {exit.RunFailed, 1, exit.SomeFailed, "action 2 did not come to a good end, and these were not started: 3 (z deployment/a): no"},
		"the last":          {exit.RunFailed, 2, exit.SomeFailed, "no"},
		"still running":     {exit.StillRunning, 1, exit.StillRunning, "action 2 did not come to a good end, and these were not started: 3 (z deployment/a): no"},
		"detached":          {exit.Interrupted, 2, exit.Interrupted, "no"},
		"not created":       {exit.Usage, 1, exit.SomeFailed, "action 2 did not come to a good end, and these were not started: 3 (z deployment/a): no"},
	} {
		t.Run(name, func(t *testing.T) {
			err := stopped(exit.New(tc.code, errors.New("no"), "hint"), attempts, tc.at)
			if exit.Of(err) != tc.want || err.Error() != tc.text || exit.HintOf(err) != "hint" {
				t.Errorf("%q, code %d, hint %q; want %q, code %d", err, exit.Of(err), exit.HintOf(err), tc.text, tc.want)
			}
		})
	}
}

func TestOverlaid(t *testing.T) {
	low := map[string]blueprint.Artifact{"a": {KeyValue: map[string]string{"k": "1", "l": "2"}, KopiaSnapshot: "s"}, "b": {KopiaSnapshot: "t"}}
	got := overlaid(low, map[string]blueprint.Artifact{"a": {KeyValue: map[string]string{"k": "3"}}, "b": {KopiaSnapshot: "u"}, "c": {}})
	want := map[string]blueprint.Artifact{
		"a": {KeyValue: map[string]string{"k": "3", "l": "2"}, KopiaSnapshot: "s"},
		"b": {KeyValue: map[string]string{}, KopiaSnapshot: "u"}, "c": {KeyValue: map[string]string{}},
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	if low["a"].KeyValue["k"] != "1" {
		t.Error("what was given is changed")
	}
}
