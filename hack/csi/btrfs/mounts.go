package btrfs

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Mount is one line of the kernel's mount table.
type Mount struct {
	// Root is the path within the mounted file system, for a bind mount of a volume "/volumes/ID".
	Root string
	// Point is where it is mounted.
	Point string
	// ReadOnly is the state of this mount, not of the file system.
	ReadOnly bool
	// Type of the file system.
	Type string
}

// FindMount returns the topmost mount at exactly path, nil when there is none.
func FindMount(path string) (*Mount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading mount table: %w", err)
	}
	defer func() { _ = f.Close() }()
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	var found *Mount
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m, ok := parseMount(lines.Text()); ok && m.Point == filepath.Clean(path) {
			found = &m
		}
	}
	return found, lines.Err()
}

// parseMount reads "36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda rw".
func parseMount(line string) (Mount, bool) {
	left, right, ok := strings.Cut(line, " - ")
	fields := strings.Fields(left)
	if !ok || len(fields) < 6 {
		return Mount{}, false
	}
	fsType, _, _ := strings.Cut(right, " ")
	return Mount{
		Root:     unescape(fields[3]),
		Point:    unescape(fields[4]),
		ReadOnly: slices.Contains(strings.Split(fields[5], ","), "ro"),
		Type:     fsType,
	}, true
}

// unescape undoes the kernel's octal escapes of blank, tab, newline and backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
