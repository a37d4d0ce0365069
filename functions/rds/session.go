package rds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// tagKey is the tag of what a run makes in RDS.
const tagKey = "kanister.io/run"

// How often RDS is asked: soon at first, then ever less.
const (
	firstPause = time.Second
	longPause  = 30 * time.Second
	// patience with a service that does not answer in between; one request alone is tried for a minute by the SDK.
	patience = 5 * time.Minute
)

// Statuses of instances, clusters and snapshots that mean something here.
const (
	available = "available"
	deleting  = "deleting"
)

// hopeless statuses do not change by themselves.
var hopeless = []string{
	"failed", "incompatible-network", "incompatible-option-group", "incompatible-parameters", "incompatible-restore",
	"incompatible-create", "insufficient-capacity", "restore-error", "inaccessible-encryption-credentials", "stopped", "storage-full",
}

// database is an instance or a cluster.
type database struct {
	ID, Status string
	// Percent is -1 where RDS gives none.
	Percent        int
	Host           string
	Port           int32
	User           string
	SecurityGroups []string
	SubnetGroup    string
	Storage        int32 // GiB
	Tag            string
	Protected      bool
	// Parameters is the parameter group, Class that of the instance or of a cluster's first member, Members their identifiers.
	Parameters string
	Class      string
	Members    []string
}

// snapshot is one of an instance or a cluster.
type snapshot struct {
	ID, Status      string
	Percent         int
	Engine, Version string
	Tag             string
}

// restoration is what to make of a snapshot.
type restoration struct {
	ID             string
	Snapshot       snapshot
	SecurityGroups []string
	SubnetGroup    string
	Parameters     string
	Class          string
}

// databases are instances or clusters: the two ways to ask RDS for the same.
type databases interface {
	// word is "instance" or "cluster".
	word() string
	// find and findSnapshot give nil if there is none.
	find(ctx context.Context, id string) (*database, error)
	findSnapshot(ctx context.Context, id string) (*snapshot, error)
	takeSnapshot(ctx context.Context, id, snapshotID string) error
	dropSnapshot(ctx context.Context, id string) error
	restore(ctx context.Context, r restoration) error
	// complete adds what a restored one lacks once it is available; true if it did.
	complete(ctx context.Context, r restoration, found *database) (bool, error)
	// remove asks for the deletion. It may have to be called again until there is none.
	remove(ctx context.Context, found *database) error
}

// session is one function's work with RDS.
type session struct {
	databases

	run   *functions.Run
	api   api
	tag   string
	began time.Time
	limit time.Duration
}

func (s *session) tags() []types.Tag {
	key, value := tagKey, s.tag

	return []types.Tag{{Key: &key, Value: &value}}
}

func tagIn(tags []types.Tag) string {
	for _, t := range tags {
		if t.Key != nil && *t.Key == tagKey && t.Value != nil {
			return *t.Value
		}
	}

	return ""
}

// state is what a wait sees.
type state struct {
	done    bool
	status  string
	percent int
}

// wait asks until look is done, at most as long as the phase may take. what says what is waited for: "snapshot x to get ready".
func (s *session) wait(ctx context.Context, what string, look func(context.Context) (state, error)) error {
	pause := firstPause
	last := "nothing yet"
	troubled := time.Time{}

	for {
		seen, err := look(ctx)

		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !passing(err):
			return err
		case err != nil:
			if troubled.IsZero() {
				troubled = s.run.Kube.Now()
			}

			if s.run.Kube.Now().Sub(troubled) > patience {
				return fmt.Errorf("waiting for %s: %w", what, err)
			}

			s.run.Journal.Progress(record.Progress{Message: fmt.Sprintf("waiting for %s: RDS does not answer: %v", what, err)})
		case seen.done:
			return nil
		default:
			troubled, last = time.Time{}, seen.status
			s.show(what, seen)
		}

		left := s.limit - s.run.Kube.Now().Sub(s.began)
		if left <= 0 {
			return &record.Failure{
				Reason: "Timeout", Message: fmt.Sprintf("waiting for %s: it took longer than %s; its last status was %q", what, s.limit, last),
				Hint: "give the phase more time with the argument timeout",
			}
		}

		if err := sleep(ctx, min(pause, left)); err != nil {
			return err
		}

		pause = min(pause*3/2, longPause)
	}
}

func (s *session) show(what string, seen state) {
	p := record.Progress{Message: fmt.Sprintf("waiting for %s: %s", what, seen.status)}

	if seen.percent >= 0 {
		percent := min(seen.percent, 100)
		p.Percent = &percent
	}

	s.run.Journal.Progress(p)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// waitAvailable waits until the instance or cluster can be used. Hopeless statuses end it.
func (s *session) waitAvailable(ctx context.Context, r restoration) (*database, error) {
	var found *database

	err := s.wait(ctx, fmt.Sprintf("%s %q to get available", s.word(), r.ID), func(ctx context.Context) (state, error) {
		var err error

		found, err = s.find(ctx, r.ID)

		switch {
		case err != nil:
			return state{}, err
		case found == nil:
			return state{}, &record.Failure{Reason: "NotFound", Message: fmt.Sprintf("waiting for %s %q: it is gone: somebody has deleted it", s.word(), r.ID)}
		case found.Status == deleting || slices.Contains(hopeless, found.Status):
			return state{}, &record.Failure{
				Reason: "Status", Message: fmt.Sprintf("waiting for %s %q: its status is %q", s.word(), r.ID, found.Status),
				Hint: "look at its events: aws rds describe-events --source-identifier " + r.ID,
			}
		case found.Status != available:
			return state{status: found.Status, percent: found.Percent}, nil
		}

		added, err := s.complete(ctx, r, found)
		if err != nil || added {
			return state{status: "creating its first member", percent: -1}, err
		}

		return state{done: found.Host != "", status: "available, without an address yet", percent: -1}, nil
	})

	return found, err
}

// waitGone removes the instance or cluster and waits until there is none; with accepted it is enough that RDS is deleting it.
func (s *session) waitGone(ctx context.Context, id string, accepted bool) error {
	return s.wait(ctx, fmt.Sprintf("%s %q to be deleted", s.word(), id), func(ctx context.Context) (state, error) {
		found, err := s.find(ctx, id)
		if err != nil || found == nil {
			return state{done: err == nil}, err
		}

		if found.Status == deleting && accepted {
			return state{done: true}, nil
		}

		if err := s.remove(ctx, found); err != nil && !notReady(err) && !notFound(err) {
			return state{}, s.explain(fmt.Sprintf("deleting %s %q", s.word(), id), err)
		}

		return state{status: found.Status, percent: -1}, nil
	})
}

// waitSnapshot waits until the snapshot can be restored.
func (s *session) waitSnapshot(ctx context.Context, id string) (*snapshot, error) {
	var found *snapshot

	err := s.wait(ctx, fmt.Sprintf("snapshot %q to get available", id), func(ctx context.Context) (state, error) {
		var err error

		found, err = s.findSnapshot(ctx, id)

		switch {
		case err != nil:
			return state{}, err
		case found == nil:
			return state{}, s.noSnapshot(id)
		case found.Status == deleting || slices.Contains(hopeless, found.Status):
			return state{}, &record.Failure{
				Reason: "Status", Message: fmt.Sprintf("waiting for snapshot %q: its status is %q", id, found.Status),
				Hint: "delete it, look at the events of its " + s.word() + ", and take another",
			}
		}

		return state{done: found.Status == available, status: found.Status, percent: found.Percent}, nil
	})

	return found, err
}

func (s *session) noSnapshot(id string) error {
	return &record.Failure{
		Reason: "NotFound", Message: fmt.Sprintf("there is no %s snapshot %q in this account and region", s.word(), id),
		Hint: "compare account, region and dbEngine (an Aurora cluster's snapshots are others than an instance's)",
	}
}

func (s *session) noDatabase(id string) error {
	return &record.Failure{
		Reason: "NotFound", Message: fmt.Sprintf("there is no DB %s %q in this account and region", s.word(), id),
		Hint: "compare account, region and dbEngine (aurora, aurora-mysql, aurora-postgresql mean a cluster)",
	}
}

// explain makes an error of RDS one for the reader.
func (s *session) explain(what string, err error) error {
	var (
		api  smithy.APIError
		done *record.Failure
	)

	switch {
	case err == nil || errors.As(err, &done):
		return err
	case errors.As(err, &api):
		f := &record.Failure{Reason: api.ErrorCode(), Message: what + ": " + api.ErrorMessage()}
		if api.ErrorMessage() == "" {
			f.Message = what + ": " + api.ErrorCode()
		}

		switch {
		case strings.Contains(api.ErrorCode(), "AccessDenied") || strings.Contains(api.ErrorCode(), "Unauthorized"):
			f.Hint = "let the AWS identity do what the message names"
		case strings.Contains(api.ErrorCode(), "InvalidClientTokenId") || strings.Contains(api.ErrorCode(), "SignatureDoesNotMatch") || strings.Contains(api.ErrorCode(), "ExpiredToken"):
			f.Hint = "correct the AWS credentials of the profile or of credentialsSecret"
		case strings.Contains(api.ErrorCode(), "QuotaExceeded"):
			f.Hint = "delete what is not needed, or ask AWS for a higher quota"
		}

		return f
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// passing errors may be gone at the next try.
func passing(err error) bool {
	var (
		api   smithy.APIError
		known *record.Failure
	)

	switch {
	case errors.As(err, &api):
		return api.ErrorFault() == smithy.FaultServer || strings.Contains(api.ErrorCode(), "Throttl") || strings.Contains(api.ErrorCode(), "RequestLimit")
	case errors.As(err, &known):
		return false
	default:
		return true
	}
}

func hasCode(err error, parts ...string) bool {
	var api smithy.APIError

	return errors.As(err, &api) && slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(api.ErrorCode(), part) })
}

// notFound, exists and notReady name RDS' codes, which end in Fault or do not.
func notFound(err error) bool {
	return hasCode(err, "DBInstanceNotFound", "DBClusterNotFound", "DBSnapshotNotFound", "DBClusterSnapshotNotFound")
}

func exists(err error) bool {
	return hasCode(err, "DBInstanceAlreadyExists", "DBClusterAlreadyExists", "DBSnapshotAlreadyExists", "DBClusterSnapshotAlreadyExists")
}

func notReady(err error) bool {
	return hasCode(err, "InvalidDBInstanceState", "InvalidDBClusterState", "InvalidDBSnapshotState", "InvalidDBClusterSnapshotState")
}
