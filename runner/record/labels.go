package record

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// maxLabel is Kubernetes' limit on a label value.
const maxLabel = 63

var (
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
	notInLabel = regexp.MustCompile(`[^-A-Za-z0-9_.]+`)
)

// LabelValue is text as a label value: itself where that is one, else what can be kept of it and eight characters of its
// hash, so that two long names with the same beginning stay apart.
func LabelValue(text string) string {
	if labelValue.MatchString(text) {
		return text
	}

	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:4])
	kept := notInLabel.ReplaceAllString(text, "-")

	if room := maxLabel - len(hash) - 1; len(kept) > room {
		kept = kept[:room]
	}

	kept = strings.Trim(kept, "-_.")
	if kept == "" {
		return hash
	}

	return kept + "-" + hash
}
