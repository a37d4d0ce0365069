package runs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
)

// kubelet serves the log of one container as a kubelet does: whole lines from the second of sinceTime on, timestamps of
// nanoseconds, several lines with the same one. Streams break at any byte.
type kubelet struct {
	lines   []string
	breaks  func(n int) int // how many of n bytes a stream gives before it breaks; negative: all
	clean   bool            // a broken stream ends without an error, as through a proxy
	streams int
}

func newKubelet(n int) *kubelet {
	k := &kubelet{}
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

	for i := range n {
		at := begin.Add(time.Duration(i/3) * 400 * time.Millisecond) // three lines each with the same timestamp
		k.lines = append(k.lines, fmt.Sprintf("%s line %d\n", at.Format(time.RFC3339Nano), i))
	}

	return k
}

func (k *kubelet) open(_ context.Context, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	k.streams++

	var text strings.Builder

	for _, line := range k.lines {
		stamp, _, _ := strings.Cut(line, " ")

		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			return nil, err
		}

		if options.SinceTime == nil || !at.Before(options.SinceTime.Time) {
			text.WriteString(line)
		}
	}

	all := text.String()
	if cut := k.breaks(len(all)); cut >= 0 && cut < len(all) && options.Follow {
		end := io.ErrUnexpectedEOF
		if k.clean {
			end = io.EOF
		}

		return io.NopCloser(io.MultiReader(strings.NewReader(all[:cut]), failing{end})), nil
	}

	return io.NopCloser(strings.NewReader(all)), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (k *kubelet) want() string {
	var out strings.Builder

	for _, line := range k.lines {
		_, text, _ := strings.Cut(line, " ")
		out.WriteString(text)
	}

	return out.String()
}

func TestTailLosesAndDoublesNothing(t *testing.T) {
	for _, clean := range []bool{false, true} {
		for seed := range uint64(50) {
			synctest.Test(t, func(t *testing.T) {
				k := newKubelet(40)
				k.clean = clean
				random := rand.New(rand.NewPCG(seed, 1))
				k.breaks = func(n int) int { return random.IntN(n + 1) }

				var out bytes.Buffer

				tailing := &tail{open: k.open, clock: clock.RealClock{}, what: "pod x", out: phaseFilter(&out, "")}
				if err := tailing.follow(t.Context(), func() bool { return k.streams >= 6 }); err != nil {
					t.Fatal(err)
				}

				if out.String() != k.want() {
					t.Fatalf("seed %d, clean %v: after %d streams\n%s", seed, clean, k.streams, out.String())
				}
			})
		}
	}
}

func TestTailEnds(t *testing.T) {
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "x")
	denied := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("no"))

	for name, test := range map[string]struct {
		err  error
		want bool
	}{"pod gone": {gone, false}, "not permitted": {denied, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tailing := &tail{
					open:  func(context.Context, *corev1.PodLogOptions) (io.ReadCloser, error) { return nil, test.err },
					clock: clock.RealClock{}, what: "pod x", out: func(string) error { return nil },
				}
				if err := tailing.follow(t.Context(), func() bool { return false }); (err != nil) != test.want {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestPhaseFilter(t *testing.T) {
	var out bytes.Buffer

	write := phaseFilter(&out, "copy")
	for _, line := range []string{
		"2026-11-23T12:00:00.000Z run x: action",
		"2026-11-23T12:00:00.000Z [snapshot] begins",
		"2026-11-23T12:00:00.000Z [copy] begins",
		"2026-11-23T12:00:00.000Z [copy demo/pod] worker",
		"  and its second line",
		"2026-11-23T12:00:00.000Z ! [copy] warning",
		"2026-11-23T12:00:00.000Z [copyAll] another phase",
		"its second line",
	} {
		if err := write(line); err != nil {
			t.Fatal(err)
		}
	}

	if got := strings.Count(out.String(), "\n"); got != 4 || strings.Contains(out.String(), "another") {
		t.Errorf("%d lines:\n%s", got, out.String())
	}
}
