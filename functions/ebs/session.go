package ebs

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// api is what the family asks of EC2.
type api interface {
	ec2.DescribeVolumesAPIClient
	ec2.DescribeSnapshotsAPIClient

	CreateSnapshot(context.Context, *ec2.CreateSnapshotInput, ...func(*ec2.Options)) (*ec2.CreateSnapshotOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
	CreateVolume(context.Context, *ec2.CreateVolumeInput, ...func(*ec2.Options)) (*ec2.CreateVolumeOutput, error)
	DeleteVolume(context.Context, *ec2.DeleteVolumeInput, ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error)
}

var _ api = (*ec2.Client)(nil)

// Tags of what a phase makes, beside cloud.TagKey.
const (
	tagPhaseID = "kanister.io/phase-id"
	tagClaim   = "kanister.io/pvc"
)

const (
	// mostIDs in one request; EC2 takes 200 values of a filter.
	mostIDs = 200
	// atOnce is how many snapshots or volumes are asked for at the same time: EC2 throttles more.
	atOnce = 5
	// mostTags of one resource.
	mostTags = 50
)

// session is one function's work with EC2.
type session struct {
	cloud.Patience

	run  *functions.Run
	id   string
	open func(ctx context.Context, region string) (place, error)

	// unsure: a snapshot was asked for, and no answer came.
	unsure atomic.Bool

	mu      sync.Mutex
	clients map[string]place
}

// place is a region and its client.
type place struct {
	api

	region string
}

func open(ctx context.Context, run *functions.Run, a cloud.Access, region string) (place, error) {
	config, err := a.Config(ctx, run, "EC2", region)
	if err != nil {
		return place{}, err
	}

	return place{region: config.Region, api: ec2.NewFromConfig(config, func(o *ec2.Options) { o.BaseEndpoint = a.BaseEndpoint(o.BaseEndpoint) })}, nil
}

// in gives the client of a region; "" is the credentials' own, and the argument region beats both.
func (s *session) in(ctx context.Context, region string) (place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if found, ok := s.clients[region]; ok {
		return found, nil
	}

	found, err := s.open(ctx, region)
	if err != nil {
		return place{}, err
	}

	s.clients[region], s.clients[found.region] = found, found

	return found, nil
}

// zoneRegion finds the region in the name of a zone, also of a local one: us-west-2a, us-west-2-lax-1a.
var zoneRegion = regexp.MustCompile(`^[a-z]+(-[a-z]+)+-[0-9]+`)

func regionOf(zone string) string { return zoneRegion.FindString(zone) }

// ours are the tags of what the phase makes for a claim, over those given, of which the reserved ones cannot be set.
func (s *session) ours(given []Tag, own map[string]string) []types.Tag {
	own = maps.Clone(own)
	own[cloud.TagKey], own[tagPhaseID] = cloud.TagOf(s.run), s.id

	var tags []types.Tag

	for _, key := range slices.Sorted(maps.Keys(own)) {
		tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(shortened(own[key]))})
	}

	for _, tag := range given {
		if _, known := own[tag.Key]; !known && !strings.HasPrefix(tag.Key, "aws:") && !strings.HasPrefix(tag.Key, "kanister.io/") && len(tags) < mostTags {
			tags = append(tags, types.Tag{Key: aws.String(tag.Key), Value: aws.String(tag.Value)})
		}
	}

	return tags
}

// shortened is a tag's value within EC2's bound.
func shortened(value string) string { return strings.ToValidUTF8(value[:min(len(value), 255)], "") }

func tagIn(tags []types.Tag, key string) string {
	for _, t := range tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}

	return ""
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

// each does work for 0 to n-1, a few at a time, and tries all of them whatever becomes of the others. The error is the first one's,
// and says how many more there are.
func each(n int, work func(int) error) error {
	var (
		group sync.WaitGroup
		slots = make(chan struct{}, atOnce)
		errs  = make([]error, n)
	)

	for i := range n {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()

			errs[i] = functions.Recovered(func() error { return work(i) })
		})
	}

	group.Wait()

	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })

	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	default:
		return fmt.Errorf("%w (and %d more)", errs[0], len(errs)-1)
	}
}

// undo notes, before anything is made, how to delete what the phase makes in the regions.
func (s *session) undo(ctx context.Context, a arguments, what string, regions, volumes []string) error {
	for _, region := range regions {
		args := a.Arguments()
		args["what"], args["id"], args["region"] = what, s.id, region

		if len(volumes) > 0 {
			args["persistentVolumes"] = volumes
		}

		text := fmt.Sprintf("delete the EBS %s that phase %s made in %s", what, s.run.Phase, region)
		if err := s.run.Journal.Undo(ctx, record.Undo{Key: undoKey(what, region, s.run.Phase), Text: text, Func: "ReleaseEBS", Args: args}); err != nil {
			return err
		}
	}

	return nil
}

func (s *session) dropUndo(ctx context.Context, what string, regions []string) error {
	for _, region := range regions {
		if err := s.run.Journal.DropUndo(ctx, undoKey(what, region, s.run.Phase)); err != nil {
			return err
		}
	}

	return nil
}

func undoKey(what, region, phase string) string { return "ebs/" + what + "/" + region + "/" + phase }
