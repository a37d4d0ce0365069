package data

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// version is the output of that name; upstream's functions have no other.
const version = "v0.0.0"

// repository names a repository as arguments do.
type repository struct {
	Prefix        string
	EncryptionKey string
	InsecureTLS   bool
	// Server is used in place of all that, if set.
	Server *kopia.Server
}

// profileOf is the run's profile, with what the arguments change about it.
func (a repository) profileOf(run *functions.Run) (*params.Profile, error) {
	if run.Params == nil || run.Params.Profile == nil {
		return nil, &record.Failure{
			Reason: string(location.BadProfile), Message: "opening the repository: the run has no profile", Hint: "name a profile with --profile",
		}
	}

	p := *run.Params.Profile
	if a.InsecureTLS {
		p.SkipSSLVerify = true
	}

	if p.Location.Type == blueprint.LocationKopia {
		return nil, &record.Failure{
			Reason: string(location.BadProfile), Message: fmt.Sprintf("opening the repository: profile %q names a kopia server", p.Name),
			Hint: "data functions keep repositories of their own: use a profile of type s3Compliant, gcs, azure or filestore",
		}
	}

	if a.Prefix == "" {
		return nil, errors.New("reading the artifact prefix: it is empty")
	}

	return &p, nil
}

// request is the part of a mover's request that names the repository. It warns about the public password.
func (a repository) request(run *functions.Run) (mover.Request, error) {
	request, public, err := a.resolve(run)
	if public {
		profile := request.Profile
		run.Journal.Warn(fmt.Sprintf("the repository %q is encrypted with Kanister's public default key, which protects nothing: set encryptionKey, or use a profile made by `kubectl kanister profile create`",
			location.Describe(profile.Location, location.ArtifactKey(profile.Location, a.Prefix))))
	}

	return request, err
}

// resolve is request without a word; public: the password is the public one.
func (a repository) resolve(run *functions.Run) (request mover.Request, public bool, err error) {
	if a.Server != nil {
		run.Journal.Secret(a.Server.Password)

		return mover.Request{Server: a.Server}, false, nil
	}

	profile, err := a.profileOf(run)
	if err != nil {
		return mover.Request{}, false, err
	}

	password, public := kopia.Password(a.EncryptionKey, profile)
	run.Journal.Secret(password)

	return mover.Request{Profile: record.ProfileOf(profile), Prefix: a.Prefix, Password: password}, public, nil
}

// with opens the repository in the runner itself and calls do.
func (a repository) with(ctx context.Context, run *functions.Run, do func(*kopia.Repository) error) error {
	return failure(a.visit(ctx, run, do))
}

// RepositoryAt is the part of a mover's request that names the repository at a prefix of the run's profile, for a family that opens it
// by ways of its own.
func RepositoryAt(run *functions.Run, prefix string) (mover.Request, error) {
	request, err := repository{Prefix: prefix}.request(run)
	if err != nil {
		return request, err
	}

	return request, mountedHere(request)
}

// Failure gives an error of packages location and kopia its reason and hint in the record; others stay as they are.
func Failure(err error) error { return failure(err) }

// open opens the repository and closes it again. Its errors are those of package kopia.
func (a repository) open(ctx context.Context, run *functions.Run) error {
	return a.visit(ctx, run, func(*kopia.Repository) error { return nil })
}

func (a repository) visit(ctx context.Context, run *functions.Run, do func(*kopia.Repository) error) error {
	request, err := a.request(run)
	if err != nil {
		return err
	}

	return visit(ctx, request, do)
}

func visit(ctx context.Context, request mover.Request, do func(*kopia.Repository) error) error {
	if err := mountedHere(request); err != nil {
		return err
	}

	r, err := kopia.Open(ctx, request.Options())
	if err != nil {
		return err
	}

	return errors.Join(do(r), r.Close(ctx))
}

// mountedHere refuses a filestore profile whose claim is not mounted in the runner.
func mountedHere(r mover.Request) error {
	claim := r.Claim()
	if claim == "" {
		return nil
	}

	if _, err := os.Stat(record.LocationMountPath); err != nil {
		return &record.Failure{
			Reason:  string(location.NoBucket),
			Message: fmt.Sprintf("opening the location: the claim %q of profile %q is not mounted in the runner at %s", claim, r.Profile.Name, record.LocationMountPath),
			Hint:    "the claim must be in the namespace of the run",
		}
	}

	return nil
}

// failure gives an error of packages location and kopia its reason and hint in the record.
func failure(err error) error {
	var done *record.Failure
	if err == nil || errors.As(err, &done) {
		return err
	}

	var e *location.Error
	if !errors.As(err, &e) {
		return err
	}

	return &explained{record.Failure{Reason: string(e.Reason), Message: err.Error(), Hint: e.Hint}, err}
}

// explained is an error with its record; the chain stays intact for those who decide on it.
type explained struct {
	failure record.Failure
	err     error
}

func (e *explained) Error() string { return e.err.Error() }
func (e *explained) Unwrap() error { return e.err }

// As gives the error as the engine wants it.
func (e *explained) As(target any) bool {
	f, ok := target.(**record.Failure)
	if ok {
		copied := e.failure
		*f = &copied
	}

	return ok
}

// human writes a size as restic does, which blueprints print: "1.234 MiB".
func human(bytes int64) string {
	const unit = 1024

	if bytes < unit {
		return fmt.Sprintf("%d B", bytes)
	}

	value, units := float64(bytes)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	for value >= unit && len(units) > 1 {
		value, units = value/unit, units[1:]
	}

	return fmt.Sprintf("%.3f %s", value, units[0])
}

// list splits a list of names as upstream does: at white space.
func list(text string) []string { return strings.Fields(text) }
