package plan

import (
	"crypto/rand"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// MaxName is the longest name of a run: the Job controller appends a dash and five characters to it, and the whole must be
// a DNS label because it becomes the pod's hostname and a label value.
const MaxName = 57

const suffixLetters = "bcdfghjklmnpqrstvwxz2456789" // as Kubernetes' generated names: no words, no look-alikes

// NewSuffix is five random characters for Request.Suffix.
func NewSuffix() string {
	raw := make([]byte, 5)
	_, _ = rand.Read(raw) // never fails (documented); the program is ended instead

	for i, b := range raw {
		raw[i] = suffixLetters[int(b)%len(suffixLetters)]
	}

	return string(raw)
}

// RunName is the name of a run of action on target: `<action>-<target>-<suffix>`, a DNS label of at most MaxName characters
// whatever the two are made of. The suffix is always kept whole.
func RunName(action string, target blueprint.ObjectReference, suffix string) string {
	base := label(action)
	if name := label(target.Name); name != "" {
		base += "-" + name
	}

	base = strings.TrimLeft(base, "-")
	if base == "" {
		base = "run"
	}

	if base[0] >= '0' && base[0] <= '9' {
		base = "run-" + base
	}

	room := MaxName - len(suffix) - 1
	if room < 1 {
		return suffix
	}

	if len(base) > room {
		base = base[:room]
	}

	return strings.TrimRight(base, "-") + "-" + suffix
}

// CheckName tells whether the user's own name for a run can be used.
func CheckName(name string) error {
	if problems := validation.IsDNS1035Label(name); len(problems) > 0 {
		return fmt.Errorf("naming the run %q: %s", name, problems[0])
	}

	if len(name) > MaxName {
		return fmt.Errorf("naming the run %q: %d characters, at most %d are possible", name, len(name), MaxName)
	}

	return nil
}

// label keeps what a DNS label may have, in lower case; anything else becomes a single dash.
func label(text string) string {
	var (
		out  strings.Builder
		dash bool
	)

	for _, r := range strings.ToLower(text) {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			if dash && out.Len() > 0 {
				out.WriteByte('-')
			}

			dash = false

			out.WriteRune(r)

			continue
		}

		dash = true
	}

	return out.String()
}
