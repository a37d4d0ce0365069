// Package ec2 is a loopback EC2 for tests, as far as EBS volumes and their snapshots go: requests and answers are checked against AWS's
// own description of the service, and a volume is a directory. It is no AWS: everything takes seconds. Beside the files of its desk
// there are in its directory
//
//	ebs/volumes/ID     content of a volume, which the test bed's driver ebs.csi.aws.com mounts
//	ebs/snapshots/ID   content of a snapshot
//	snapshot-error     while it exists, new snapshots fail
//	attached           identifiers of volumes that are in use, one per line
package ec2

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/desk"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
)

// settle is how long everything takes at least.
const settle = 700 * time.Millisecond

// owner is the account.
const owner = "000000000001"

// Server is the service.
type Server struct {
	*desk.Desk

	mu sync.Mutex
	// volumes and snapshots are what Describe shows of them.
	volumes, snapshots map[string]map[string]any
	// tokens are the requests of CreateVolume by token.
	tokens map[string]token
}

type token struct{ id, request string }

// New keeps everything below dir. Requests must be signed with one of the keys.
func New(service *model.Service, dir string, keys *desk.Keyring) (*Server, error) {
	s := &Server{volumes: map[string]map[string]any{}, snapshots: map[string]map[string]any{}, tokens: map[string]token{}}
	s.Desk = &desk.Desk{Service: service, Name: "ec2", Dir: dir, Keys: keys, Do: func(r desk.Request) (map[string]any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.do(r)
	}}
	for _, sub := range []string{"ebs/volumes", "ebs/snapshots"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
			return nil, fmt.Errorf("making directory: %w", err)
		}
	}
	return s, nil
}

func (s *Server) do(r desk.Request) (map[string]any, error) {
	in := input(r.Input)
	switch r.Operation {
	case "CreateVolume":
		return s.createVolume(in, r.Region)
	case "DescribeVolumes":
		return s.describe(s.volumes, in, "Volumes", "VolumeId", "volume-id")
	case "DeleteVolume":
		return nil, s.deleteVolume(in.text("VolumeId"))
	case "CreateSnapshot":
		return s.createSnapshot(in)
	case "DescribeSnapshots":
		return s.describe(s.snapshots, in, "Snapshots", "SnapshotId", "snapshot-id")
	case "DeleteSnapshot":
		return nil, s.deleteSnapshot(in.text("SnapshotId"))
	}
	return nil, refuse("InvalidAction", "%s is not served here", r.Operation)
}

type input map[string]any

func (in input) text(key string) string  { t, _ := in[key].(string); return t }
func (in input) number(key string) int64 { n, _ := in[key].(int64); return n }
func (in input) list(key string) []any   { l, _ := in[key].([]any); return l }

func refuse(code, format string, args ...any) *model.Error {
	return &model.Error{Code: code, Message: fmt.Sprintf(format, args...), Status: 400}
}

func newID(prefix string) string {
	random := make([]byte, 9)
	_, _ = rand.Read(random) // never fails
	return prefix + hex.EncodeToString(random)[:17]
}

func (s *Server) path(kind, id string) string { return filepath.Join(s.Dir, "ebs", kind, id) }

func (s *Server) exists(file string) bool {
	_, err := os.Stat(filepath.Join(s.Dir, file))
	return err == nil
}

// tagsOf are the tags of a request for a resource of this type.
func tagsOf(in input, kind string) ([]any, error) {
	tags := []any{}
	for _, raw := range in.list("TagSpecifications") {
		spec := input(raw.(map[string]any))
		if spec.text("ResourceType") != kind {
			return nil, refuse("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", spec.text("ResourceType"))
		}
		tags = append(tags, spec.list("Tags")...)
	}
	seen := map[string]bool{}
	for _, raw := range tags {
		tag := input(raw.(map[string]any))
		key := tag.text("Key")
		switch {
		case strings.HasPrefix(key, "aws:"):
			return nil, refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case key == "" || len([]rune(key)) > 127 || len([]rune(tag.text("Value"))) > 255:
			return nil, refuse("InvalidParameterValue", "Tag %q is too long or empty", key)
		case seen[key]:
			return nil, refuse("InvalidParameterValue", "Duplicate tag key '%s' specified.", key)
		}
		seen[key] = true
	}
	if len(tags) > 50 {
		return nil, refuse("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return tags, nil
}

var identifier = regexp.MustCompile(`^(vol|snap)-[0-9a-f]{8,17}$`)

// describe answers DescribeVolumes and DescribeSnapshots, in small pages.
func (s *Server) describe(all map[string]map[string]any, in input, list, key, filter string) (map[string]any, error) {
	for _, raw := range in.list(key + "s") {
		id, _ := raw.(string)
		if !identifier.MatchString(id) {
			return nil, refuse("InvalidParameterValue", "Value (%s) for parameter %s is invalid.", id, key)
		}
		if all[id] == nil {
			return nil, missing(list, id)
		}
	}
	attached := s.attached()
	shown := []any{}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		one := maps.Clone(all[id])
		if attached[id] {
			one["State"] = "in-use"
		}
		match, err := selected(one, in, id, key, filter)
		if err != nil {
			return nil, err
		}
		if match {
			shown = append(shown, one)
		}
	}
	const page = 2
	begin := 0
	if token := in.text("NextToken"); token != "" {
		if _, err := fmt.Sscanf(token, "page-%d", &begin); err != nil || begin > len(shown) {
			return nil, refuse("InvalidParameterValue", "Unable to parse pagination token")
		}
	}
	answer := map[string]any{list: shown[begin:min(begin+page, len(shown))]}
	if begin+page < len(shown) {
		answer["NextToken"] = fmt.Sprintf("page-%d", begin+page)
	}
	return answer, nil
}

func missing(list, id string) *model.Error {
	if list == "Volumes" {
		return refuse("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
	}
	return refuse("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

// selected tells whether the identifiers and filters of a request are for one resource.
func selected(one map[string]any, in input, id, key, filter string) (bool, error) {
	if ids := in.list(key + "s"); len(ids) > 0 && !slices.Contains(ids, any(id)) {
		return false, nil
	}
	for _, raw := range in.list("Filters") {
		f := input(raw.(map[string]any))
		if len(f.list("Values")) == 0 || len(f.list("Values")) > 200 {
			return false, refuse("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
		}
		value, name := "", f.text("Name")
		switch tag, ok := strings.CutPrefix(name, "tag:"); {
		case ok:
			for _, raw := range one["Tags"].([]any) {
				if t := input(raw.(map[string]any)); t.text("Key") == tag {
					value = t.text("Value")
				}
			}
		case name == filter:
			value = id
		case name == "volume-id":
			value, _ = one["VolumeId"].(string)
		case name == "status":
			value, _ = one["State"].(string)
		default:
			return false, refuse("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		if !slices.Contains(f.list("Values"), any(value)) {
			return false, nil
		}
	}
	return true, nil
}

func (s *Server) attached() map[string]bool {
	data, _ := os.ReadFile(filepath.Join(s.Dir, "attached")) // usually there is none
	all := map[string]bool{}
	for _, id := range strings.Fields(string(data)) {
		all[id] = true
	}
	return all
}

// later calls step about every quarter of settle, with the percentage, and done at the end; both with mu held.
func (s *Server) later(step func(percent int), done func()) {
	go func() {
		for i := 1; i <= 4 || s.Slow(); i++ {
			time.Sleep(settle / 4)
			s.mu.Lock()
			step(min(25*i, 99))
			s.mu.Unlock()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		done()
	}()
}
