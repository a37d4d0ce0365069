package record

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxName keeps names usable as labels and as host names.
const maxName = 63

// ObjectName joins parts into a DNS label of at most 63 characters. The same parts always give the same name, so that a successor
// finds what its predecessor made; different parts give different names: whatever does not survive as it is (upper case,
// odd characters, length) is told apart by a hash at the end. Empty parts are left out.
func ObjectName(parts ...string) string {
	var kept []string

	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}

	joined := strings.Join(kept, "-")

	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + ('a' - 'A')
		default:
			return '-'
		}
	}, joined)
	clean = strings.Trim(clean, "-")

	if clean == joined && clean != "" && len(clean) <= maxName {
		return clean
	}

	sum := sha256.Sum256([]byte(strings.Join(kept, "\x00")))
	suffix := hex.EncodeToString(sum[:])[:8]

	if clean == "" {
		return "x" + suffix
	}

	if room := maxName - len(suffix) - 1; len(clean) > room {
		clean = strings.TrimRight(clean[:room], "-")
	}

	return clean + "-" + suffix
}
