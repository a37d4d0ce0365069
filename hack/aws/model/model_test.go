package model

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func load(t *testing.T, path string) *Service {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	service, err := Load(filepath.Join(strings.TrimSpace(string(out)), "models/apis", path, "api-2.json"))
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// form is of pairs, with action and version.
func form(s *Service, action string, pairs ...string) map[string][]string {
	all := map[string][]string{"Action": {action}, "Version": {s.Metadata.APIVersion}}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = append(all[pairs[i]], pairs[i+1])
	}
	return all
}

func TestParse(t *testing.T) {
	rds, ec2 := load(t, "rds/2014-10-31"), load(t, "ec2/2016-11-15")
	for name, test := range map[string]struct {
		service *Service
		action  string
		pairs   []string
		want    map[string]any
	}{
		"scalars and lists of RDS": {
			rds, "RestoreDBInstanceFromDBSnapshot",
			[]string{
				"DBInstanceIdentifier", "a", "DBSnapshotIdentifier", "s", "Port", "5432", "PubliclyAccessible", "false",
				"VpcSecurityGroupIds.VpcSecurityGroupId.1", "sg-1", "VpcSecurityGroupIds.VpcSecurityGroupId.2", "sg-2",
				"Tags.Tag.1.Key", "k", "Tags.Tag.1.Value", "ü",
			},
			map[string]any{
				"DBInstanceIdentifier": "a", "DBSnapshotIdentifier": "s", "Port": int64(5432), "PubliclyAccessible": false,
				"VpcSecurityGroupIds": []any{"sg-1", "sg-2"}, "Tags": []any{map[string]any{"Key": "k", "Value": "ü"}},
			},
		},
		"names and flat lists of EC2": {
			ec2, "CreateVolume",
			[]string{
				"AvailabilityZone", "eu-test-1a", "Size", "2", "Encrypted", "true", "VolumeType", "gp3",
				"TagSpecification.1.ResourceType", "volume", "TagSpecification.1.Tag.1.Key", "k", "TagSpecification.1.Tag.1.Value", "",
			},
			map[string]any{
				"AvailabilityZone": "eu-test-1a", "Size": int64(2), "Encrypted": true, "VolumeType": "gp3",
				"TagSpecifications": []any{map[string]any{"ResourceType": "volume", "Tags": []any{map[string]any{"Key": "k", "Value": ""}}}},
			},
		},
		"filters of EC2": {
			ec2, "DescribeSnapshots",
			[]string{"SnapshotId.1", "snap-1", "Owner.1", "self", "Filter.1.Name", "status", "Filter.1.Value.1", "completed", "Filter.1.Value.2", "error"},
			map[string]any{
				"SnapshotIds": []any{"snap-1"}, "OwnerIds": []any{"self"},
				"Filters": []any{map[string]any{"Name": "status", "Values": []any{"completed", "error"}}},
			},
		},
		"time": {ec2, "DescribeSpotPriceHistory", []string{"StartTime", "2026-01-02T03:04:05Z"}, map[string]any{"StartTime": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}},
	} {
		action, got, err := test.service.Parse(form(test.service, test.action, test.pairs...))
		if err != nil || action != test.action {
			t.Errorf("%s: %s: %v", name, action, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A client that says what AWS's description does not know is refused: that is what the stand-in is for.
func TestParseRefuses(t *testing.T) {
	rds, ec2 := load(t, "rds/2014-10-31"), load(t, "ec2/2016-11-15")
	for name, test := range map[string]struct {
		service *Service
		action  string
		pairs   []string
		code    string
		says    string
	}{
		"unknown action":       {rds, "MakeCoffee", nil, "InvalidAction", "MakeCoffee"},
		"unknown parameter":    {rds, "DeleteDBSnapshot", []string{"DBSnapshotIdentifier", "s", "Force", "true"}, "UnknownParameter", "Force"},
		"unknown member":       {rds, "CreateDBSnapshot", []string{"DBSnapshotIdentifier", "s", "DBInstanceIdentifier", "i", "Tags.Tag.1.Name", "k"}, "UnknownParameter", "Tags.Tag.1.Name"},
		"spelling of EC2":      {ec2, "DeleteSnapshot", []string{"snapshotId", "snap-1"}, "MissingParameter", "SnapshotId"},
		"list of EC2 by query": {ec2, "DescribeVolumes", []string{"VolumeIds.1", "vol-1"}, "UnknownParameter", "VolumeIds.1"},
		"missing":              {rds, "CreateDBSnapshot", []string{"DBSnapshotIdentifier", "s"}, "MissingParameter", "DBInstanceIdentifier"},
		"missing member":       {rds, "ModifyDBProxy", []string{"DBProxyName", "p", "Auth.member.1.Nonsense", "x"}, "UnknownParameter", "Auth.member.1.Nonsense"},
		"integer":              {ec2, "CreateVolume", []string{"AvailabilityZone", "a", "Size", "2Gi"}, "InvalidParameterValue", "Size"},
		"boolean":              {rds, "DeleteDBInstance", []string{"DBInstanceIdentifier", "i", "SkipFinalSnapshot", "yes"}, "InvalidParameterValue", "SkipFinalSnapshot"},
		"enum":                 {ec2, "CreateVolume", []string{"AvailabilityZone", "a", "VolumeType", "gp9"}, "InvalidParameterValue", "gp9"},
		"time":                 {ec2, "DescribeSpotPriceHistory", []string{"StartTime", "yesterday"}, "InvalidParameterValue", "StartTime"},
		"gap in a list":        {ec2, "DescribeVolumes", []string{"VolumeId.2", "vol-1"}, "UnknownParameter", "VolumeId.2"},
		"twice":                {rds, "DeleteDBSnapshot", []string{"DBSnapshotIdentifier", "s", "DBSnapshotIdentifier", "t"}, "MalformedQueryString", "DBSnapshotIdentifier"},
	} {
		_, _, err := test.service.Parse(form(test.service, test.action, test.pairs...))
		var e *Error
		if !errors.As(err, &e) || e.Code != test.code || !strings.Contains(e.Message, test.says) || e.Status != 400 {
			t.Errorf("%s: %v, want %s about %s", name, err, test.code, test.says)
		}
	}
	wrong := form(rds, "DeleteDBSnapshot", "DBSnapshotIdentifier", "s")
	wrong["Version"] = []string{"2009-10-16"}
	if _, _, err := rds.Parse(wrong); err == nil {
		t.Error("another version is served")
	}
}

func TestAnswer(t *testing.T) {
	rds, ec2 := load(t, "rds/2014-10-31"), load(t, "ec2/2016-11-15")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		service *Service
		action  string
		result  map[string]any
		want    string
	}{
		"RDS": {
			rds, "DescribeDBSnapshots", map[string]any{"DBSnapshots": []any{map[string]any{"DBSnapshotIdentifier": "<s>", "PercentProgress": 7, "SnapshotCreateTime": at}}},
			`<DescribeDBSnapshotsResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><DescribeDBSnapshotsResult><DBSnapshots><DBSnapshot>` +
				`<DBSnapshotIdentifier>&lt;s&gt;</DBSnapshotIdentifier><PercentProgress>7</PercentProgress><SnapshotCreateTime>2026-01-02T03:04:05.000Z</SnapshotCreateTime>` +
				`</DBSnapshot></DBSnapshots></DescribeDBSnapshotsResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DescribeDBSnapshotsResponse>`,
		},
		"EC2": {
			ec2, "DescribeSnapshots", map[string]any{"Snapshots": []any{map[string]any{"SnapshotId": "snap-1", "State": "pending", "Tags": []any{map[string]any{"Key": "k", "Value": "v"}}}}},
			`<DescribeSnapshotsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15"><requestId>id</requestId><snapshotSet><item><snapshotId>snap-1</snapshotId>` +
				`<status>pending</status><tagSet><item><key>k</key><value>v</value></item></tagSet></item></snapshotSet></DescribeSnapshotsResponse>`,
		},
		"nothing of EC2": {
			ec2, "DeleteSnapshot", nil,
			`<DeleteSnapshotResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15"><requestId>id</requestId><return>true</return></DeleteSnapshotResponse>`,
		},
	} {
		got, err := test.service.Answer(test.action, test.result, "id")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, result := range map[string]map[string]any{
		"unknown member": {"DBSnapshots": []any{map[string]any{"Nonsense": "x"}}},
		"no list":        {"DBSnapshots": "x"},
		"no number":      {"DBSnapshots": []any{map[string]any{"PercentProgress": "half"}}},
		"no time":        {"DBSnapshots": []any{map[string]any{"SnapshotCreateTime": "yesterday"}}},
	} {
		if _, err := rds.Answer("DescribeDBSnapshots", result, "id"); err == nil {
			t.Errorf("%s: it is answered", name)
		}
	}
}

func TestFaults(t *testing.T) {
	rds, ec2 := load(t, "rds/2014-10-31"), load(t, "ec2/2016-11-15")
	if e := rds.Fault("DeleteDBSnapshot", "DBSnapshotNotFound", "no <s>"); e.Status != 404 ||
		string(rds.Refusal(e, "id")) != `<ErrorResponse><Error><Type>Sender</Type><Code>DBSnapshotNotFound</Code><Message>no &lt;s&gt;</Message></Error><RequestId>id</RequestId></ErrorResponse>` {
		t.Errorf("%+v %s", e, rds.Refusal(e, "id"))
	}
	if e := rds.Fault("DeleteDBSnapshot", "SnapshotQuotaExceeded", ""); e.Status != 500 || !strings.Contains(string(rds.Refusal(e, "id")), "Receiver") {
		t.Errorf("an error that the action does not have: %+v", e)
	}
	if got := string(ec2.Refusal(&Error{Code: "InvalidVolume.NotFound", Message: "m"}, "id")); got !=
		`<Response><Errors><Error><Code>InvalidVolume.NotFound</Code><Message>m</Message></Error></Errors><RequestID>id</RequestID></Response>` {
		t.Error(got)
	}
}

func TestLoadRefuses(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("a description that is not there is loaded")
	}
}
