package ui

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// thin is U+2009: it groups digits and does not look like a comma or a point of any country.
const thin = "\u2009"

// Bytes is a size in IEC units with three significant digits: "1.21 GiB", "310 MiB", "17 B".
func Bytes(n int64) string {
	const step = 1024

	if n < step && n > -step {
		return strconv.FormatInt(n, 10) + " B"
	}

	value, units := float64(n)/step, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

	unit := 0
	for (value >= 999.5 || value <= -999.5) && unit < len(units)-1 {
		value /= step
		unit++
	}

	digits := 2

	switch size := max(value, -value); {
	case size >= 99.95:
		digits = 0
	case size >= 9.995:
		digits = 1
	}

	text := strconv.FormatFloat(value, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}

	return text + " " + units[unit]
}

// Count is a number with its digits in groups of three: "4 812".
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)

	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}

	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + thin + digits[i:]
	}

	return sign + digits
}

// Duration is a time span as one says it: "0.3s", "6.1s", "42s", "3m07s", "2h05m", "3d04h".
func Duration(d time.Duration) string {
	d = max(d, 0)

	switch {
	case d < 10*time.Second-50*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute-500*time.Millisecond:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)

		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		d = d.Round(time.Minute)

		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		d = d.Round(time.Hour)

		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// escapes are the sequences that colour text and move the cursor.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[@-~]")

// Clean makes text that came from the cluster safe for a terminal and for one line: escape sequences go, control
// characters become spaces.
func Clean(text string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			return ' '
		}

		return r
	}, escapes.ReplaceAllString(text, "")), " ")
}

// progressParts are what a function reported of itself, nothing else, the most telling first.
func progressParts(p *record.Progress) []string {
	if p == nil {
		return nil
	}

	var parts []string

	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }

	if p.Message != "" {
		parts = append(parts, Clean(p.Message))
	}

	switch {
	case p.BytesTotal > 0 && p.BytesDone != p.BytesTotal:
		add("%s of %s", Bytes(p.BytesDone), Bytes(p.BytesTotal))
	case p.BytesDone > 0:
		add("%s", Bytes(p.BytesDone))
	}

	if p.Percent != nil && *p.Percent < 100 {
		add("%d %%", *p.Percent)
	}

	switch {
	case p.FilesTotal > 0 && p.FilesDone != p.FilesTotal:
		add("%s of %s files", Count(p.FilesDone), Count(p.FilesTotal))
	case p.FilesDone == 1:
		add("1 file")
	case p.FilesDone > 0:
		add("%s files", Count(p.FilesDone))
	}

	if p.Rate > 0 {
		add("%s/s", Bytes(p.Rate))
	}

	if p.BytesNew > 0 {
		add("%s new", Bytes(p.BytesNew))
	}

	return parts
}

// Span is how long something took by the runner's own clock; false while it is not over.
func Span(started, ended *time.Time) (time.Duration, bool) {
	if started == nil || ended == nil {
		return 0, false
	}

	return ended.Sub(*started), true
}
