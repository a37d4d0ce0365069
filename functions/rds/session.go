package rds

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
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
	Percent   int
	Host      string
	Port      int32
	User      string
	Storage   int32 // GiB
	Tag       string
	Protected bool
	// Members are the identifiers of a cluster's instances.
	Members []string
	settings
}

// settings are what a database that replaces another one takes over.
type settings struct {
	SecurityGroups []string `json:"securityGroups,omitempty"`
	SubnetGroup    string   `json:"subnetGroup,omitempty"`
	// Parameters is the parameter group.
	Parameters string `json:"parameters,omitempty"`
	// Class is that of the instance, or of a cluster's first member.
	Class string `json:"class,omitempty"`
}

func (s settings) String() string {
	var parts []string

	for _, part := range [][2]string{
		{"class", s.Class}, {"subnet group", s.SubnetGroup}, {"security groups", strings.Join(s.SecurityGroups, " ")}, {"parameter group", s.Parameters},
	} {
		if part[1] != "" {
			parts = append(parts, part[0]+" "+part[1])
		}
	}

	return strings.Join(parts, ", ")
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
	ID       string
	Snapshot snapshot
	settings
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
	cloud.Patience

	run *functions.Run
	api api
	tag string
}

func (s *session) tags() []types.Tag {
	key, value := cloud.TagKey, s.tag

	return []types.Tag{{Key: &key, Value: &value}}
}

func tagIn(tags []types.Tag) string {
	for _, t := range tags {
		if t.Key != nil && *t.Key == cloud.TagKey && t.Value != nil {
			return *t.Value
		}
	}

	return ""
}

// waitAvailable waits until the instance or cluster can be used. Hopeless statuses end it.
func (s *session) waitAvailable(ctx context.Context, r restoration) (*database, error) {
	var found *database

	err := s.Wait(ctx, fmt.Sprintf("%s %q to get available", s.word(), r.ID), func(ctx context.Context) (cloud.State, error) {
		var err error

		found, err = s.find(ctx, r.ID)

		switch {
		case err != nil:
			return cloud.State{}, err
		case found == nil:
			return cloud.State{}, &record.Failure{Reason: "NotFound", Message: fmt.Sprintf("waiting for %s %q: it is gone: somebody has deleted it", s.word(), r.ID)}
		case found.Status == deleting || slices.Contains(hopeless, found.Status):
			return cloud.State{}, &record.Failure{
				Reason: "Status", Message: fmt.Sprintf("waiting for %s %q: its status is %q", s.word(), r.ID, found.Status),
				Hint: "look at its events: aws rds describe-events --source-identifier " + r.ID,
			}
		case found.Status != available:
			return cloud.State{Status: found.Status, Percent: found.Percent}, nil
		}

		added, err := s.complete(ctx, r, found)
		if err != nil || added {
			return cloud.State{Status: "creating its first member", Percent: -1}, err
		}

		return cloud.State{Done: found.Host != "", Status: "available, without an address yet", Percent: -1}, nil
	})

	return found, err
}

// waitGone removes the instance or cluster and waits until there is none; with accepted it is enough that RDS is deleting it.
func (s *session) waitGone(ctx context.Context, id string, accepted bool) error {
	return s.Wait(ctx, fmt.Sprintf("%s %q to be deleted", s.word(), id), func(ctx context.Context) (cloud.State, error) {
		found, err := s.find(ctx, id)
		if err != nil || found == nil {
			return cloud.State{Done: err == nil}, err
		}

		if found.Status == deleting && accepted {
			return cloud.State{Done: true}, nil
		}

		if err := s.remove(ctx, found); err != nil && !notReady(err) && !notFound(err) {
			return cloud.State{}, cloud.ExplainLasting(fmt.Sprintf("deleting %s %q", s.word(), id), err)
		}

		return cloud.State{Status: found.Status, Percent: -1}, nil
	})
}

// waitSnapshot waits until the snapshot can be restored.
func (s *session) waitSnapshot(ctx context.Context, id string) (*snapshot, error) {
	var found *snapshot

	err := s.Wait(ctx, fmt.Sprintf("snapshot %q to get available", id), func(ctx context.Context) (cloud.State, error) {
		var err error

		found, err = s.findSnapshot(ctx, id)

		switch {
		case err != nil:
			return cloud.State{}, err
		case found == nil:
			return cloud.State{}, s.noSnapshot(id)
		case found.Status == deleting || slices.Contains(hopeless, found.Status):
			return cloud.State{}, &record.Failure{
				Reason: "Status", Message: fmt.Sprintf("waiting for snapshot %q: its status is %q", id, found.Status),
				Hint: "delete it, look at the events of its " + s.word() + ", and take another",
			}
		}

		return cloud.State{Done: found.Status == available, Status: found.Status, Percent: found.Percent}, nil
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

// notFound, exists and notReady name RDS' codes, which end in Fault or do not.
func notFound(err error) bool {
	return cloud.HasCode(err, "DBInstanceNotFound", "DBClusterNotFound", "DBSnapshotNotFound", "DBClusterSnapshotNotFound")
}

func exists(err error) bool {
	return cloud.HasCode(err, "DBInstanceAlreadyExists", "DBClusterAlreadyExists", "DBSnapshotAlreadyExists", "DBClusterSnapshotAlreadyExists")
}

func notReady(err error) bool {
	return cloud.HasCode(err, "InvalidDBInstanceState", "InvalidDBClusterState", "InvalidDBSnapshotState", "InvalidDBClusterSnapshotState")
}
