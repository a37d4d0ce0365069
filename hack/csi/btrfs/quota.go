package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	quotaCtl          = 0xc0109428 // BTRFS_IOC_QUOTA_CTL: _IOWR(0x94, 40, 16 bytes)
	quotaEnableSimple = 4          // BTRFS_QUOTA_CTL_ENABLE_SIMPLE_QUOTA, Linux 6.7
)

// enableSimpleQuota turns on the accounting that charges an extent to the subvolume that wrote it. It stays cheap with
// snapshots, which full quota groups do not. Asked of the kernel itself: Debian 12's btrfs tool does not know it.
func enableSimpleQuota(root string) error {
	dir, err := os.Open(root)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	args := [2]uint64{quotaEnableSimple, 0}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), quotaCtl, uintptr(unsafe.Pointer(&args)))
	if errno != 0 && !errors.Is(errno, unix.EEXIST) {
		return errno
	}
	return nil
}

// limit bounds what a volume may write to its capacity. Without quota in the kernel volumes are bounded by the pool only.
func (p *Pool) limit(ctx context.Context, id string, capacity int64) error {
	if !p.quota {
		return nil
	}
	return run(ctx, "btrfs", "qgroup", "limit", strconv.FormatInt(capacity, 10), p.path(volumes, id))
}

// Used is the number of bytes that a volume has written of its own, not counting what it shares with the snapshot it came from.
func (p *Pool) Used(ctx context.Context, id string) (int64, error) {
	if !p.quota {
		return 0, fmt.Errorf("reading usage of volume %q: this kernel has no simple quotas", id)
	}
	out, err := output(ctx, "btrfs", "qgroup", "show", "--raw", "-f", p.path(volumes, id))
	if err != nil {
		return 0, err
	}
	return parseUsed(out)
}

// parseUsed reads the second column of the one line whose first is a quota group, "0/257".
func parseUsed(table string) (int64, error) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && strings.HasPrefix(fields[0], "0/") {
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("reading quota table %q: no quota group in it", table)
}
