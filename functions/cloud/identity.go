package cloud

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
)

// TagKey is the tag of what a run makes in AWS. Its value begins with TagOf the phase.
const TagKey = "kanister.io/run"

// longestTag is AWS's bound on a tag's value.
const longestTag = 256

// TagOf names the running phase for people: "namespace/run/phase".
func TagOf(run *functions.Run) string { return run.Namespace + "/" + run.Name + "/" + run.Phase }

// MarkOf is a value of TagKey by which a repeated phase knows what it has made: TagOf and ten characters of Digest, because another run,
// later or in another cluster, may have the same name.
func MarkOf(run *functions.Run) string {
	mark := "/" + Digest(run)[:10]
	name := TagOf(run)

	return strings.ToValidUTF8(name[:min(len(name), longestTag-len(mark))], "") + mark
}

// Digest is 64 hexadecimal digits that differ between runs, also of the same name, and phases, but not when a phase is repeated.
func Digest(run *functions.Run) string {
	unique := TagOf(run)
	if run.Owner != nil {
		unique += string(run.Owner.Reference.UID)
	}

	sum := sha256.Sum256([]byte(unique))

	return hex.EncodeToString(sum[:])
}
