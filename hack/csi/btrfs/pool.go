package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Pool is one mounted btrfs file system. Its methods may be called from several goroutines: they take turns, which costs
// nothing that matters, because every operation is a change of metadata only.
type Pool struct {
	root  string
	quota bool
	now   func() time.Time

	mu sync.Mutex
}

// Options say where a pool lives.
type Options struct {
	// Image is the sparse file that holds the file system. Made when missing.
	Image string
	// Root is the directory at which the pool is mounted.
	Root string
	// Size of Image in bytes when it is made, or three quarters of the space that is free for it if that is less: a full disk
	// below it would break the pool. An existing image keeps its own size.
	Size int64
	// Now tells the time of creation of a volume or snapshot; time.Now when nil.
	Now func() time.Time
}

// Open mounts the pool, making what is missing. A pool that is already mounted is taken as it is, so that a driver can
// restart under running pods.
func Open(ctx context.Context, o Options) (*Pool, error) {
	p := &Pool{root: o.Root, now: o.Now}
	if p.now == nil {
		p.now = time.Now
	}
	if err := os.MkdirAll(o.Root, 0o711); err != nil {
		return nil, fmt.Errorf("making mount point of the pool: %w", err)
	}
	m, err := FindMount(o.Root)
	if err != nil {
		return nil, err
	}
	if m == nil {
		if err := makeImage(ctx, o.Image, o.Size); err != nil {
			return nil, err
		}
		if err := mountImage(ctx, o.Image, o.Root); err != nil {
			return nil, err
		}
	} else if m.Type != "btrfs" {
		return nil, fmt.Errorf("opening pool: %q is a mount of type %s, not btrfs", o.Root, m.Type)
	}
	for _, dir := range []string{"volumes", "snapshots", "records/volumes", "records/snapshots"} {
		if err := os.MkdirAll(filepath.Join(o.Root, dir), 0o711); err != nil {
			return nil, fmt.Errorf("making pool directory %q: %w", dir, err)
		}
	}
	p.quota = enableSimpleQuota(o.Root) == nil
	return p, p.sweep(ctx)
}

// Unmount takes the pool out of the file system tree; what is in it stays in the image. A root that is no mount is no error.
func Unmount(root string) error {
	for {
		m, err := FindMount(root)
		if err != nil || m == nil {
			return err
		}
		if err := unix.Unmount(root, 0); err != nil {
			return fmt.Errorf("unmounting pool %q: %w", root, err)
		}
	}
}

// QuotaEnabled says whether the kernel enforces the capacity of volumes (simple quotas, Linux 6.7).
func (p *Pool) QuotaEnabled() bool { return p.quota }

// Free is the number of bytes that can still be written to the pool.
func (p *Pool) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(p.root, &st); err != nil {
		return 0, fmt.Errorf("reading free space of pool %q: %w", p.root, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Size is the number of bytes of the whole pool, the upper bound of any volume's capacity.
func (p *Pool) Size() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(p.root, &st); err != nil {
		return 0, fmt.Errorf("reading size of pool %q: %w", p.root, err)
	}
	return int64(st.Blocks) * st.Bsize, nil
}

// sweep removes subvolumes that no record speaks of.
func (p *Pool) sweep(ctx context.Context) error {
	for _, k := range []kind{volumes, snapshots} {
		entries, err := os.ReadDir(filepath.Join(p.root, string(k)))
		if err != nil {
			return fmt.Errorf("sweeping pool: %w", err)
		}
		for _, e := range entries {
			_, err := os.Stat(p.recordFile(k, e.Name()))
			if !errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err := p.deleteSubvolume(ctx, k, e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func makeImage(ctx context.Context, image string, size int64) error {
	if _, err := os.Stat(image); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(image), 0o700); err != nil {
		return fmt.Errorf("making directory of pool image: %w", err)
	}
	// Formatted under another name: an image that bears its own is complete.
	tmp := image + ".new"
	if err := os.WriteFile(tmp, nil, 0o600); err != nil {
		return fmt.Errorf("making pool image: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(tmp, &st); err != nil {
		return fmt.Errorf("reading free space for pool image: %w", err)
	}
	size = min(size, int64(st.Bavail)*st.Bsize/4*3)
	if err := os.Truncate(tmp, size); err != nil {
		return fmt.Errorf("making pool image of %d bytes: %w", size, err)
	}
	// One copy of the metadata: the image lies on a file system that guards it already.
	if err := run(ctx, "mkfs.btrfs", "--quiet", "--force", "--metadata", "single", tmp); err != nil {
		return fmt.Errorf("formatting pool image: %w", err)
	}
	return os.Rename(tmp, image)
}

func mountImage(ctx context.Context, image, root string) error {
	// Direct I/O spares a second copy of every page; not every file system below can do it, and most only in whole blocks.
	dev, err := output(ctx, "losetup", "--find", "--show", "--sector-size=4096", "--direct-io=on", image)
	if err != nil {
		if dev, err = output(ctx, "losetup", "--find", "--show", image); err != nil {
			return fmt.Errorf("attaching pool image %q to a loop device: %w", image, err)
		}
	}
	// A device in use is only marked here: it goes away with its mount, whoever unmounts it. A mount that failed frees it now.
	defer func() { _ = run(context.WithoutCancel(ctx), "losetup", "--detach", dev) }()
	if err := unix.Mount(dev, root, "btrfs", unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("mounting pool image %q at %q: %w", image, root, err)
	}
	return nil
}

func run(ctx context.Context, name string, args ...string) error {
	_, err := output(ctx, name, args...)
	return err
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("running %s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
