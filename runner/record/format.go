package record

import (
	"fmt"
	"strings"
)

// Bytes is a size for readers: "1.21 GiB".
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}

	value, unit := float64(n), -1
	for value >= 1024 && unit < 4 {
		value /= 1024
		unit++
	}

	return fmt.Sprintf("%.2f %ciB", value, "KMGTP"[unit])
}

// String is the progress in one line, empty when nothing was reported.
func (p Progress) String() string {
	var parts []string

	if p.Message != "" {
		parts = append(parts, p.Message)
	}

	switch {
	case p.BytesTotal > 0:
		parts = append(parts, Bytes(p.BytesDone)+" of "+Bytes(p.BytesTotal))
	case p.BytesDone > 0:
		parts = append(parts, Bytes(p.BytesDone))
	}

	switch {
	case p.FilesTotal > 0:
		parts = append(parts, fmt.Sprintf("%d of %d files", p.FilesDone, p.FilesTotal))
	case p.FilesDone > 0:
		parts = append(parts, fmt.Sprintf("%d files", p.FilesDone))
	}

	if p.Rate > 0 {
		parts = append(parts, Bytes(p.Rate)+"/s")
	}

	if p.Percent != nil {
		parts = append(parts, fmt.Sprintf("%d%%", *p.Percent))
	}

	return strings.Join(parts, " · ")
}
