package ec2

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/desk"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
)

// ask does what the desk does with a request's form: it is checked by the model, answered, and the answer checked.
func ask(t *testing.T, s *Server, operation string, pairs ...string) (string, error) {
	t.Helper()
	form := url.Values{"Action": {operation}, "Version": {"2016-11-15"}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	_, in, err := s.Service.Parse(form)
	if err != nil {
		return "", err
	}
	out, err := s.Do(desk.Request{Operation: operation, Region: "eu-test-1", Input: in})
	if err != nil {
		return "", err
	}
	body, err := s.Service.Answer(operation, out, "1")
	if err != nil {
		t.Fatal(err)
	}
	return string(body), nil
}

func must(t *testing.T, s *Server, operation string, pairs ...string) string {
	t.Helper()
	body, err := ask(t, s, operation, pairs...)
	if err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	return body
}

func between(text, begin, end string) string {
	_, rest, _ := strings.Cut(text, begin)
	found, _, _ := strings.Cut(rest, end)
	return found
}

func settled(t *testing.T, s *Server, operation, want string, pairs ...string) string {
	t.Helper()
	for range 100 {
		if body := must(t, s, operation, pairs...); strings.Contains(body, "<status>"+want+"</status>") {
			return body
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s never says %s", operation, want)
	return ""
}

func newServer(t *testing.T) *Server {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	service, err := model.Load(filepath.Join(strings.TrimSpace(string(out)), "models/apis/ec2/2016-11-15/api-2.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := desk.NewKeyring("AKIATEST:secret")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(service, t.TempDir(), keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContentGoesFromVolumeToVolume(t *testing.T) {
	s := newServer(t)
	volume := between(must(t, s, "CreateVolume", "AvailabilityZone", "eu-test-1a", "Size", "2", "TagSpecification.1.ResourceType", "volume",
		"TagSpecification.1.Tag.1.Key", "team", "TagSpecification.1.Tag.1.Value", "a"), "<volumeId>", "<")
	dir := s.path("volumes", volume)
	if err := os.MkdirAll(filepath.Join(dir, "d"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d", "f"), []byte("before"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("d/f", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	snapshot := between(must(t, s, "CreateSnapshot", "VolumeId", volume), "<snapshotId>", "<")
	if err := os.WriteFile(filepath.Join(dir, "d", "f"), []byte("after"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, s, "CreateVolume", "AvailabilityZone", "eu-test-1a", "SnapshotId", snapshot); err == nil || !strings.Contains(err.Error(), "IncorrectState") {
		t.Errorf("of a pending snapshot: %v", err)
	}
	settled(t, s, "DescribeSnapshots", "completed", "SnapshotId.1", snapshot)
	create := []string{"AvailabilityZone", "eu-test-1a", "SnapshotId", snapshot, "ClientToken", "t"}
	made := between(must(t, s, "CreateVolume", create...), "<volumeId>", "<")
	if again := between(must(t, s, "CreateVolume", create...), "<volumeId>", "<"); again != made {
		t.Errorf("the token gave %s, then %s", made, again)
	}
	data, err := os.ReadFile(filepath.Join(s.path("volumes", made), "l"))
	info, statErr := os.Stat(filepath.Join(s.path("volumes", made), "d", "f"))
	if err != nil || statErr != nil || string(data) != "before" || info.Mode().Perm() != 0o640 {
		t.Errorf("%q %v %v %v", data, err, statErr, info)
	}
	if _, err := ask(t, s, "DeleteVolume", "VolumeId", made); err == nil || !strings.Contains(err.Error(), "IncorrectState") {
		t.Errorf("of a volume that is being made: %v", err)
	}
	settled(t, s, "DescribeVolumes", "available", "VolumeId.1", made)
	must(t, s, "DeleteVolume", "VolumeId", made)
	must(t, s, "DeleteSnapshot", "SnapshotId", snapshot)
	if left, err := filepath.Glob(s.path("*", "*")); err != nil || len(left) != 1 {
		t.Errorf("left: %v %v", left, err)
	}
}

func TestPagesAndFilters(t *testing.T) {
	s := newServer(t)
	for i := range 5 {
		must(t, s, "CreateVolume", "AvailabilityZone", "eu-test-1a", "Size", "1", "TagSpecification.1.ResourceType", "volume",
			"TagSpecification.1.Tag.1.Key", "odd", "TagSpecification.1.Tag.1.Value", []string{"no", "yes"}[i%2])
	}
	seen, token := 0, ""
	for range 5 {
		pairs := []string{"Filter.1.Name", "tag:odd", "Filter.1.Value.1", "no"}
		if token != "" {
			pairs = append(pairs, "NextToken", token)
		}
		body := must(t, s, "DescribeVolumes", pairs...)
		seen += strings.Count(body, "<volumeId>")
		if token = between(body, "<nextToken>", "<"); token == "" {
			break
		}
	}
	if seen != 3 {
		t.Errorf("saw %d of 3", seen)
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t)
	for name, tc := range map[string]struct {
		code, operation string
		pairs           []string
	}{
		"unknown parameter": {"UnknownParameter", "CreateVolume", []string{"AvailabilityZone", "eu-test-1a", "Size", "1", "Colour", "red"}},
		"no zone":           {"MissingParameter", "CreateVolume", []string{"Size", "1"}},
		"other region":      {"InvalidZone.NotFound", "CreateVolume", []string{"AvailabilityZone", "us-west-2a", "Size", "1"}},
		"no number":         {"InvalidParameterValue", "CreateVolume", []string{"AvailabilityZone", "eu-test-1a", "Size", "big"}},
		"type":              {"InvalidParameterValue", "CreateVolume", []string{"AvailabilityZone", "eu-test-1a", "Size", "1", "VolumeType", "gp9"}},
		"no IOPS":           {"MissingParameter", "CreateVolume", []string{"AvailabilityZone", "eu-test-1a", "Size", "1", "VolumeType", "io1"}},
		"IOPS of gp2":       {"InvalidParameterCombination", "CreateVolume", []string{"AvailabilityZone", "eu-test-1a", "Size", "1", "VolumeType", "gp2", "Iops", "100"}},
		"no size":           {"InvalidParameterValue", "CreateVolume", []string{"AvailabilityZone", "eu-test-1a"}},
		"no snapshot":       {"InvalidSnapshot.NotFound", "CreateVolume", []string{"AvailabilityZone", "eu-test-1a", "SnapshotId", "snap-00000000"}},
		"no volume":         {"InvalidVolume.NotFound", "CreateSnapshot", []string{"VolumeId", "vol-00000000"}},
		"gone volume":       {"InvalidVolume.NotFound", "DescribeVolumes", []string{"VolumeId.1", "vol-00000000"}},
		"identifier":        {"InvalidParameterValue", "DescribeVolumes", []string{"VolumeId.1", "../x"}},
		"filter":            {"InvalidParameterValue", "DescribeSnapshots", []string{"Filter.1.Name", "colour", "Filter.1.Value.1", "red"}},
		"reserved tag": {"InvalidParameterValue", "CreateVolume", []string{"AvailabilityZone", "eu-test-1a", "Size", "1", "TagSpecification.1.ResourceType", "volume",
			"TagSpecification.1.Tag.1.Key", "aws:x", "TagSpecification.1.Tag.1.Value", "y"}},
		"tags of another": {"InvalidParameterValue", "CreateVolume", []string{"AvailabilityZone", "eu-test-1a", "Size", "1", "TagSpecification.1.ResourceType", "snapshot"}},
		"action":          {"InvalidAction", "RunInstances", []string{"MinCount", "1", "MaxCount", "1"}},
	} {
		if name == "filter" {
			must(t, s, "CreateSnapshot", "VolumeId", between(must(t, s, "CreateVolume", "AvailabilityZone", "eu-test-1a", "Size", "1"), "<volumeId>", "<"))
		}
		if body, err := ask(t, s, tc.operation, tc.pairs...); err == nil || !strings.HasPrefix(err.Error(), tc.code+":") {
			t.Errorf("%s: %v %s", name, err, body)
		}
	}
}
