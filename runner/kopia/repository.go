// Package kopia is the data mover: kopia repositories in a profile's location, written and read through kopia as a library. It is
// the only importer of kopia. What it writes opens with kopia's own command line of the same version.
package kopia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/format"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// PublicPassword is upstream's default encryption key: the hex SHA-256 of a word in its source (COMPAT §0.5). It protects nothing.
const PublicPassword = "9f735e0df9a1ddc702bf0a1a7b83033f9f7153a00c29de82cedadc9957289b05"

// User and Host are what repositories know us by: the same in every pod, so that maintenance has one owner and later snapshots
// find earlier ones. With kopia's command line: --override-username and --override-hostname.
const (
	User = "kanister"
	Host = "kubectl"
)

// Errors about a repository. Those of the store come as location.Error or as its SDK says: use location.Explain.
var (
	// ErrNoRepository: nothing was ever backed up to this prefix.
	ErrNoRepository = errors.New("there is no repository at this prefix")
	// ErrNoFile: what is to be read of a snapshot is no file of it.
	ErrNoFile = errors.New("no such file in the snapshot")
	// ErrNotFound: no snapshot has this ID or tag.
	ErrNotFound = errors.New("no such snapshot in the repository")
)

// Options say which repository to open.
type Options struct {
	Profile *params.Profile
	// Prefix as a blueprint's backupArtifactPrefix gives it: see location.ArtifactKey.
	Prefix string
	// Password of the repository: see Password.
	Password string
	// Scratch is a directory for caches and the configuration, which holds no secret; empty means the system's. What is made
	// there is removed by Close.
	Scratch string
	// CacheBytes bounds the copies of packs on disk, for reading many small files; 0 means none, which suits writing.
	CacheBytes int64
	// Location are passed to location.Open: where a filestore's claim is mounted.
	Location []location.Option
	// Server is a repository server that is used in place of the store. Profile, Prefix and Password then mean nothing, and neither
	// does creation: the server has a repository or it does not start.
	Server *Server

	hurry *bounds // of tests
}

// Password chooses the password of a repository: the blueprint's encryptionKey, else the profile's own, else upstream's public
// constant, and then public is true: warn about it.
func Password(encryptionKey string, profile *params.Profile) (password string, public bool) {
	switch {
	case encryptionKey != "":
		return encryptionKey, encryptionKey == PublicPassword
	case profile != nil && profile.RepositoryPassword != "":
		return profile.RepositoryPassword, profile.RepositoryPassword == PublicPassword
	default:
		return PublicPassword, true
	}
}

// Repository is an open repository. It is not for concurrent use, except that a context given to a method may end it.
type Repository struct {
	rep     repo.Repository
	direct  repo.DirectRepository // nil through a server
	options Options
	storage blob.Storage
	scratch string
	key     string // where it lies in the location
	place   string // the same, for messages
	sync    func() error
	// configured: the client is who the configuration file says.
	configured bool

	mu    sync.Mutex
	fatal error
}

// metadataCacheBytes bounds the cache of indexes and directories on disk: enough for some ten million files.
const metadataCacheBytes = 512 << 20

// Open opens a repository that must exist. A wrong password is a *location.Error with reason WrongPassword.
func Open(ctx context.Context, options Options) (*Repository, error) {
	if options.Server != nil {
		return openServer(ctx, options)
	}

	r, err := prepare(ctx, options)
	if err != nil {
		return nil, err
	}

	if err := r.find(ctx); err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}

	return r.open(ctx)
}

// OpenConfigured opens the repository that a configuration file of kopia's command line (`kopia repository connect`) describes: a store
// or a server. Snapshots are of that file's user and host.
func OpenConfigured(ctx context.Context, file, password string) (*Repository, error) {
	r := &Repository{options: Options{Password: password}, place: file, sync: func() error { return nil }}

	opened, err := repo.Open(ctx, file, password, &repo.Options{DisableRepositoryLog: true, DoNotWaitForUpgrade: true, OnFatalError: r.setFatal})
	if err != nil {
		return nil, r.fail("opening", err)
	}

	r.rep, r.configured = opened, true

	return r, nil
}

// OpenOrCreate opens a repository, creating it if nothing is at its prefix. It never writes over an existing one, whatever the
// password, and of several that create at the same moment one wins and the others use its repository.
func OpenOrCreate(ctx context.Context, options Options) (*Repository, error) {
	if options.Server != nil {
		return openServer(ctx, options)
	}

	r, err := prepare(ctx, options)
	if err != nil {
		return nil, err
	}

	created := false

	err = r.find(ctx)
	if errors.Is(err, ErrNoRepository) {
		created, err = r.create(ctx)
	}

	if err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}

	r, err = r.open(ctx)
	if err != nil || !created {
		return r, err
	}

	if err := r.populate(ctx); err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}

	return r, nil
}

func prepare(ctx context.Context, options Options) (*Repository, error) {
	if options.Profile == nil {
		return nil, &location.Error{Op: "opening the repository", Reason: location.BadProfile, Err: errors.New("no profile was given")}
	}

	r := &Repository{options: options}

	if err := r.at(ctx, location.ArtifactKey(options.Profile.Location, options.Prefix)); err != nil {
		return nil, err
	}

	var err error
	if r.scratch, err = os.MkdirTemp(options.Scratch, "kopia-"); err != nil {
		return nil, errors.Join(fmt.Errorf("making a scratch directory: %w", err), r.storage.Close(ctx))
	}

	return r, nil
}

// at takes the repository at a key of the location, whether there is one or not.
func (r *Repository) at(ctx context.Context, key string) error {
	r.key, r.place = key, location.Describe(r.options.Profile.Location, key)

	storage, sync, err := openStorage(ctx, r.options, key)
	if err != nil {
		return r.fail("opening", err)
	}

	r.storage, r.sync = storage, sync

	return nil
}

// layer adds what an existing repository is read through.
func (r *Repository) layer() {
	if r.options.CacheBytes > 0 && r.options.Profile.Location.Type != blueprint.LocationFilestore {
		r.storage = newPacks(r.storage, r.scratch, r.options.CacheBytes)
	}

	r.storage = makeConnected(r.storage)
}

// config is where kopia finds what it insists on having in a file.
func (r *Repository) config() string { return filepath.Join(r.scratch, "repository.config") }

// configure writes the configuration file, which holds no secret: see storageType.
func (r *Repository) configure(ctx context.Context) error {
	r.layer()

	caching, err := r.caching(ctx)
	if err != nil {
		return r.fail("opening", err)
	}

	text, err := json.Marshal(repo.LocalConfig{
		Storage:       connect(r.storage),
		Caching:       caching,
		ClientOptions: repo.ClientOptions{Username: User, Hostname: Host, Description: r.place},
	})
	if err != nil {
		return r.fail("opening", err)
	}

	return r.fail("opening", os.WriteFile(r.config(), text, 0o600))
}

func (r *Repository) open(ctx context.Context) (*Repository, error) {
	if err := r.configure(ctx); err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}

	// DisableRepositoryLog: kopia would write a log blob per session into the store.
	opened, err := repo.Open(ctx, r.config(), r.options.Password, &repo.Options{DisableRepositoryLog: true, DoNotWaitForUpgrade: true, OnFatalError: r.setFatal})
	if err != nil {
		r.options.Password = ""

		return nil, errors.Join(r.fail("opening", err), r.Close(ctx))
	}

	direct, ok := opened.(repo.DirectRepository)
	if !ok {
		return nil, errors.Join(r.fail("opening", fmt.Errorf("kopia returned a %T", opened)), opened.Close(ctx), r.Close(ctx))
	}

	r.rep, r.direct = direct, direct

	return r, nil
}

// maxIndex is the size of a repository's index up to which it is held in memory.
const maxIndex = 64 << 20

// caching says what kopia keeps on disk: nothing for a repository on a volume; indexes and directories for one in an object store,
// but not for a restore, where packs does better, unless the index would take too much memory.
func (r *Repository) caching(ctx context.Context) (*content.CachingOptions, error) {
	if r.options.Profile.Location.Type == blueprint.LocationFilestore {
		return &content.CachingOptions{}, nil
	}

	if r.options.CacheBytes > 0 {
		var index int64

		if err := r.storage.ListBlobs(ctx, "x", func(m blob.Metadata) error {
			index += m.Length

			return nil
		}); err != nil {
			return nil, err
		}

		if index < maxIndex {
			return &content.CachingOptions{}, nil
		}
	}

	return &content.CachingOptions{
		CacheDirectory:         filepath.Join(r.scratch, "cache"),
		ContentCacheSizeBytes:  16 << 20, // kopia crashes without any
		MetadataCacheSizeBytes: metadataCacheBytes,
	}, nil
}

// Place names the repository for people and outputs: bucket/prefix/artifact (COMPAT §4.10).
func (r *Repository) Place() string { return r.place }

// Close ends all connections and removes caches. The context may be over.
func (r *Repository) Close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)

	var err error
	if r.rep != nil {
		err = r.rep.Close(ctx)
	} else if r.storage != nil {
		err = r.storage.Close(ctx)
	}

	if r.storage != nil {
		disconnect(r.storage)
	}

	return errors.Join(err, os.RemoveAll(r.scratch))
}

func (r *Repository) setFatal(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.fatal = err
}

// errNotThrough is about what a server does not offer its users.
var errNotThrough = errors.New("a repository server does not let its users do this; use the profile of its store")

// fail gives an error its place and reason; nil stays nil.
func (r *Repository) fail(doing string, err error) error {
	r.mu.Lock()
	if r.fatal != nil && err != nil {
		err = r.fatal
	}
	r.mu.Unlock()

	if err == nil {
		return nil
	}

	var known *location.Error
	if errors.As(err, &known) && known.Op != "" {
		return err
	}

	reason, hint := location.Explain(err)

	switch {
	case errors.Is(err, format.ErrInvalidPassword):
		reason = location.WrongPassword
		hint = "the repository was made with another password: give the encryptionKey or the profile that it was made with; nothing was changed"
	case errors.Is(err, ErrNoRepository), errors.Is(err, ErrNotFound):
		reason, hint = location.NotFound, "check backupArtifactPrefix and the profile's bucket and prefix"
	case errors.Is(err, blob.ErrBlobNotFound):
		reason, hint = location.Corrupt, "the repository misses one of its objects: run CheckRepository, and see who deletes from the bucket (lifecycle rules?)"
	}

	return &location.Error{Op: doing + " the repository", URL: r.place, Reason: reason, Hint: hint, Err: err}
}
