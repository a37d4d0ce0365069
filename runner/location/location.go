// Package location opens the object store or directory that a profile names: one interface over S3 and its compatibles, Google
// Cloud Storage, Azure Blob Storage and a mounted volume (filestore).
package location

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Object is one stored object. Key is relative to the profile's prefix, without a leading slash.
type Object struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}

// Store holds objects below a profile's prefix. Keys are relative to that prefix and cleaned (see Clean). Errors are *Error,
// or wrap a context's error; a missing object is ErrNotFound. Stores are safe for concurrent use and retry what is worth it.
type Store interface {
	// Put streams r into the object, replacing what was there only once r ended without an error: nobody ever sees half of it.
	// It returns the number of bytes read from r. Memory does not depend on the length of r.
	Put(ctx context.Context, key string, r io.Reader) (int64, error)
	// PutNew is Put for short contents, refused with ErrExists if the object exists. Where the store cannot do that
	// atomically, it checks first: see each driver.
	PutNew(ctx context.Context, key string, content []byte) error
	// Get streams the object. The caller closes it.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// Stat describes the object.
	Stat(ctx context.Context, key string) (Object, error)
	// List calls visit for every object whose key starts with prefix (plain string prefix, uncleaned), in no promised order.
	// An error of visit ends the listing and is returned as it is.
	List(ctx context.Context, prefix string, visit func(Object) error) error
	// Delete removes the object; a missing one is no error.
	Delete(ctx context.Context, key string) error
	// URL names the object for people: s3://bucket/prefix/key. It holds no secret.
	URL(key string) string
	// Close frees connections.
	Close() error
}

// Ranged is a Store that reads ranges of objects: those of GCS and Azure.
type Ranged interface {
	Store
	// GetRange streams length bytes (-1: all) from offset on, fewer where the object ends. HTTPStatus of the error is 416 when offset lies
	// behind the end.
	GetRange(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

// ErrNotFound is wrapped by errors about an object that does not exist; ErrExists by PutNew on one that does.
var (
	ErrNotFound = errors.New("no such object")
	ErrExists   = errors.New("the object exists")
)

// Option changes how Open works.
type Option func(*settings)

type settings struct {
	mountPath string
	attempts  int
}

// Attempts bounds how often a request is tried; the default of 8 lasts about a minute, which suits a backup but not a check.
func Attempts(n int) Option { return func(s *settings) { s.attempts = n } }

// At makes a filestore profile use this directory instead of record.LocationMountPath.
func At(dir string) Option { return func(s *settings) { s.mountPath = dir } }

func apply(options []Option) settings {
	s := settings{mountPath: record.LocationMountPath, attempts: 8}
	for _, o := range options {
		o(&s)
	}

	return s
}

// Open opens the location of profile. It makes no request: Check does. The errors it returns name the field of the profile
// that is wrong.
func Open(ctx context.Context, profile *params.Profile, options ...Option) (Store, error) {
	if profile == nil {
		return nil, &Error{Op: "opening the location", Reason: BadProfile, Hint: "name a profile with --profile", Err: errors.New("no profile was given")}
	}

	store, err := open(ctx, profile, apply(options))
	if err != nil {
		return nil, wrap("opening the location of profile "+quoted(profile.Name), "", err)
	}

	return store, nil
}

func open(ctx context.Context, profile *params.Profile, s settings) (Store, error) {
	switch profile.Location.Type {
	case blueprint.LocationS3:
		client, err := newS3(ctx, profile, s)
		if err != nil {
			return nil, err
		}

		return &s3Store{s3: client, bucket: profile.Location.Bucket, prefix: Clean(profile.Location.Prefix)}, nil
	case blueprint.LocationGCS:
		return openGCS(ctx, profile)
	case blueprint.LocationAzure:
		return openAzure(profile)
	case blueprint.LocationFilestore:
		return openFile(s.mountPath, Clean(profile.Location.Prefix))
	case blueprint.LocationKopia:
		return nil, badProfile("location.type", "a kopia server keeps snapshots, not objects; use s3Compliant, gcs, azure or filestore")
	default:
		return nil, badProfile("location.type", fmt.Sprintf("%q is none of s3Compliant, gcs, azure, filestore", profile.Location.Type))
	}
}

func badProfile(field, problem string) error {
	return &Error{Reason: BadProfile, Hint: "correct " + field + " of the profile", Err: fmt.Errorf("%s: %s", field, problem)}
}

func quoted(name string) string {
	if name == "" {
		return "(unnamed)"
	}

	return fmt.Sprintf("%q", name)
}

// MountPath is the directory that a filestore profile uses with these options.
func MountPath(options ...Option) string { return apply(options).mountPath }
