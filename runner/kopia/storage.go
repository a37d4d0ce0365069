package kopia

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/filesystem"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"golang.org/x/sys/unix"
)

// storageType is our own entry in kopia's table of storage types. kopia insists on a configuration file that describes the
// storage; ours holds only the number of a storage that this process has open, so that no key ever lands in a file.
const storageType = "kanister"

type storageRef struct {
	ID string `json:"id"`
}

var (
	storages  sync.Map // storageRef.ID → blob.Storage
	storageID atomic.Int64

	// kopia's table has no lock: fill it before anything runs.
	_ = register(storageType)
)

func register(name string) string {
	blob.AddSupportedStorage(name, storageRef{}, func(_ context.Context, ref *storageRef, _ bool) (blob.Storage, error) {
		storage, ok := storages.Load(ref.ID)
		if !ok {
			return nil, fmt.Errorf("storage %q is not open in this process", ref.ID)
		}

		return storage.(blob.Storage), nil
	})

	return name
}

// connected is a storage that kopia may describe in files.
type connected struct {
	blob.Storage

	id string
}

func (c *connected) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: storageType, Config: &storageRef{ID: c.id}}
}

func makeConnected(storage blob.Storage) blob.Storage {
	c := &connected{Storage: storage, id: strconv.FormatInt(storageID.Add(1), 10)}
	storages.Store(c.id, c)

	return c
}

func connect(storage blob.Storage) *blob.ConnectionInfo {
	info := storage.ConnectionInfo()

	return &info
}

func disconnect(storage blob.Storage) {
	if c, ok := storage.(*connected); ok {
		storages.Delete(c.id)
	}
}

// openStorage opens kopia's view of the location below key. The returned function makes written data durable.
func openStorage(ctx context.Context, options Options, key string) (blob.Storage, func() error, error) {
	var (
		storage blob.Storage
		profile = options.Profile
		prefix  = location.Join(profile.Location.Prefix, key)
		sync    = func() error { return nil }
		err     error
	)

	if prefix != "" {
		prefix += "/"
	}

	switch profile.Location.Type {
	case blueprint.LocationS3:
		storage, err = openS3(ctx, options, prefix)
	case blueprint.LocationGCS, blueprint.LocationAzure:
		storage, err = openObjects(ctx, options, strings.TrimPrefix(location.Join(key)+"/", "/"))
	case blueprint.LocationFilestore:
		storage, sync, err = openDirectory(ctx, options, prefix)
	default:
		// location.Open words the error.
		_, err = location.Open(ctx, profile, options.Location...)
		err = errors.Join(err, fmt.Errorf("no repository can be kept in a location of type %q", profile.Location.Type))
	}

	if err != nil {
		return nil, nil, err
	}

	return own{storage}, sync, nil
}

// checkPut refuses options of a write that our stores do not have.
func checkPut(id blob.ID, opts blob.PutOptions) error {
	if opts.HasRetentionOptions() {
		return fmt.Errorf("putting blob %q: %w", id, blob.ErrUnsupportedPutBlobOption)
	}

	if !opts.SetModTime.IsZero() {
		return blob.ErrSetTimeUnsupported
	}

	return nil
}

// openDirectory keeps a repository in the layout of kopia's own "filesystem" storage.
//
// Backups are written by pods that run as the workload's user and deleted by others, so blobs are open to every user that has
// the claim mounted; their content is encrypted.
func openDirectory(ctx context.Context, options Options, prefix string) (blob.Storage, func() error, error) {
	root := location.MountPath(options.Location...)
	dir := filepath.Join(root, prefix)

	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return nil, nil, &location.Error{Reason: location.NoBucket, Hint: "the claim of the profile must be mounted there", Err: fmt.Errorf("%q is no directory", root)}
	}

	syscall.Umask(0)

	if err := makeDirectories(root, prefix); err != nil {
		return nil, nil, err
	}

	storage, err := filesystem.New(ctx, &filesystem.Options{Path: dir, FileMode: 0o666, DirectoryMode: 0o777}, true)

	return storage, func() error { return syncFilesystem(dir) }, err
}

func makeDirectories(root, prefix string) error {
	dir := root
	for segment := range strings.SplitSeq(strings.Trim(prefix, "/"), "/") {
		dir = filepath.Join(dir, segment)
		if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}

	return nil
}

// syncFilesystem makes everything written below dir durable: kopia's storage does not, and a node that dies a second after
// "complete" must not take the backup with it.
func syncFilesystem(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() // opened for reading

	return unix.Syncfs(int(d.Fd()))
}
