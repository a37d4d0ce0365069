// Package rds holds the functions around snapshots of Amazon RDS instances and Aurora clusters (COMPAT §4.21–4.24).
package rds

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

type (
	// CreateRDSSnapshot takes a snapshot.
	CreateRDSSnapshot struct{ spec.Function }
	// ExportRDSSnapshotToLocation dumps the databases of a snapshot into the location.
	ExportRDSSnapshotToLocation struct{ spec.Function }
	// RestoreRDSSnapshot restores an instance from a snapshot, or databases from a dump.
	RestoreRDSSnapshot struct{ spec.Function }
	// DeleteRDSSnapshot deletes a snapshot.
	DeleteRDSSnapshot struct{ spec.Function }
	// ReleaseRDSInstance deletes the temporary instance of an export.
	ReleaseRDSInstance struct{ spec.Function }
)

var (
	_ = functions.Register(CreateRDSSnapshot{spec.Must("CreateRDSSnapshot")})
	_ = functions.Register(ExportRDSSnapshotToLocation{spec.Must("ExportRDSSnapshotToLocation")})
	_ = functions.Register(RestoreRDSSnapshot{spec.Must("RestoreRDSSnapshot")})
	_ = functions.Register(DeleteRDSSnapshot{spec.Must("DeleteRDSSnapshot")})
	_ = functions.Register(ReleaseRDSInstance{spec.Must("ReleaseRDSInstance")})
)

// arguments are those of all functions of the family; each reads those it declares.
type arguments struct {
	cloud.Access `mapstructure:",squash"`

	InstanceID     string            `mapstructure:"instanceID"`
	SnapshotID     string            `mapstructure:"snapshotID"`
	DBEngine       string            `mapstructure:"dbEngine"`
	Namespace      string            `mapstructure:"namespace"`
	Username       string            `mapstructure:"username"`
	Password       string            `mapstructure:"password"`
	Prefix         string            `mapstructure:"backupArtifactPrefix"`
	BackupID       string            `mapstructure:"backupID"`
	Databases      any               `mapstructure:"databases"`
	SecurityGroups any               `mapstructure:"securityGroupID"`
	SubnetGroup    string            `mapstructure:"dbSubnetGroup"`
	Image          string            `mapstructure:"image"`
	Tag            string            `mapstructure:"tag"`
	Timeout        string            `mapstructure:"timeout"`
	PodOverride    map[string]any    `mapstructure:"podOverride"`
	PodLabels      map[string]string `mapstructure:"podLabels"`
	PodAnnotations map[string]string `mapstructure:"podAnnotations"`
}

// read decodes the arguments, refuses required ones that are empty (templates that rendered to nothing), and opens RDS.
func read(ctx context.Context, f spec.Function, run *functions.Run, args map[string]any) (arguments, *session, error) {
	a := arguments{Timeout: cloud.DefaultTimeout.String()}
	if err := functions.Decode(f, args, &a); err != nil {
		return a, nil, err
	}

	values := map[string]string{
		"instanceID": a.InstanceID, "snapshotID": a.SnapshotID, "dbEngine": a.DBEngine, "namespace": a.Namespace, "tag": a.Tag,
	}

	for _, name := range f.RequiredArgs() {
		if value, known := values[name]; known && strings.TrimSpace(value) == "" {
			return a, nil, fmt.Errorf("reading argument %q: it is empty", name)
		}
	}

	patience, err := cloud.NewPatience(run, "RDS", a.Timeout)
	if err != nil {
		return a, nil, err
	}

	config, err := a.Config(ctx, run, "RDS", "")
	if err != nil {
		return a, nil, err
	}

	client := awsrds.NewFromConfig(config, func(o *awsrds.Options) { o.BaseEndpoint = a.BaseEndpoint(o.BaseEndpoint) })
	s := &session{Patience: patience, run: run, api: client, tag: cmp.Or(a.Tag, cloud.MarkOf(run))}
	s.databases = instances{s}

	if aurora(a.DBEngine) {
		s.databases = clusters{s}
	}

	return a, s, nil
}

// aurora tells whether the engine's databases are clusters.
func aurora(engine string) bool {
	return slices.Contains([]string{"aurora", "aurora-mysql", "aurora-postgresql"}, strings.ToLower(strings.TrimSpace(engine)))
}

// postgres tells whether the engine's databases can be dumped.
func postgres(engine string) bool {
	return slices.Contains([]string{"postgresql", "postgres", "aurora-postgresql"}, strings.ToLower(strings.TrimSpace(engine)))
}

// longestIdentifier of an instance or a cluster.
const longestIdentifier = 63

// suffixed is an identifier made of that of an instance and ten characters that differ between runs and phases, but not when a
// phase is repeated.
func suffixed(run *functions.Run, id string) string {
	suffix := cloud.Digest(run)[:10]

	if room := longestIdentifier - len(suffix) - 1; len(id) > room {
		id = id[:room]
	}

	return strings.TrimRight(id, "-") + "-" + suffix
}

// text is a list as outputs give it.
func text(items []string) string {
	if len(items) == 0 {
		return "[]\n"
	}

	out, err := yaml.Marshal(items)
	if err != nil { // texts always marshal
		return ""
	}

	return string(out)
}
