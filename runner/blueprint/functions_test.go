package blueprint_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// upstream is a table of the functions that upstream has or had, with the arguments of COMPAT §4: "*" marks a required argument.
type upstream map[string]blueprint.Function

func (u upstream) Lookup(name string) (blueprint.Function, bool) {
	f, ok := u[name]
	f.Name = name

	return f, ok
}

func (u upstream) Names() []string { return slices.Sorted(maps.Keys(u)) }

// arguments reads "name*:type" words; without a type it is text. "name|alias" gives an alias.
func arguments(words string) []blueprint.Argument {
	var out []blueprint.Argument

	for word := range strings.FieldsSeq(words) {
		name, kind, ok := strings.Cut(word, ":")
		if !ok {
			kind = blueprint.TypeString
		}

		a := blueprint.Argument{Type: kind, Required: strings.HasSuffix(name, "*")}
		names := strings.Split(strings.TrimSuffix(name, "*"), "|")
		a.Name, a.Aliases = names[0], names[1:]
		out = append(out, a)
	}

	return out
}

const (
	podArgs  = " podOverride:map[string]interface{} podLabels:map[string]string podAnnotations:map[string]string"
	dataArgs = " backupArtifactPrefix* encryptionKey insecureTLS:bool"
	rdsArgs  = " credentialsSource credentialsSecret region"
)

var upstreamFunctions = upstream{
	"KubeExec":    {Arguments: arguments("namespace* pod* container command*:[]string"), OpenOutputs: true},
	"KubeExecAll": {Arguments: arguments("namespace* pods* containers* command*:[]string"), OpenOutputs: true},
	"KubeTask":    {Arguments: arguments("namespace image* command*:[]string" + podArgs), OpenOutputs: true},
	"ScaleWorkload": {
		Arguments: arguments("namespace name kind replicas*:int waitForReady:bool"), Outputs: []string{"originalReplicaCount"},
	},
	"PrepareData": {
		Arguments:   arguments("namespace* image* command*:[]string volumes:map[string]string serviceaccount failOnError:bool" + podArgs),
		OpenOutputs: true,
	},
	"BackupData": {
		Arguments: arguments("namespace* pod* container* includePath*" + dataArgs),
		Outputs:   []string{"backupID", "backupTag", "fileCount", "size", "phySize", "version"},
	},
	"BackupDataAll": {
		Arguments: arguments("namespace* pods container* includePath*" + dataArgs), Outputs: []string{"BackupAllInfo", "version"},
	},
	"RestoreData": {
		Arguments:   arguments("namespace* image* backupTag backupIdentifier pod volumes:map[string]string restorePath backupPath" + dataArgs + podArgs),
		OneOf:       [][]string{{"backupTag", "backupIdentifier"}, {"pod", "volumes"}},
		OpenOutputs: true,
	},
	"RestoreDataAll": {
		Arguments:   arguments("namespace* image* backupInfo* restorePath pods" + dataArgs + podArgs),
		OpenOutputs: true,
	},
	"CopyVolumeData": {
		Arguments: arguments("namespace* volume* dataArtifactPrefix* image mountPath encryptionKey insecureTLS:bool" + podArgs),
		Outputs: []string{
			"backupID", "backupRoot", "backupArtifactLocation", "backupTag", "fileCount", "size", "phySize", "version",
		},
	},
	"DeleteData": {
		Arguments: arguments("namespace* backupID backupTag reclaimSpace:bool image" + dataArgs + podArgs),
		OneOf:     [][]string{{"backupID", "backupTag"}}, Outputs: []string{"spaceFreed"},
	},
	"DeleteDataAll": {
		Arguments: arguments("namespace* backupInfo* reclaimSpace:bool image" + dataArgs + podArgs), Outputs: []string{"spaceFreed"},
	},
	"LocationDelete": {Arguments: arguments("artifact*")},
	"KubeOps": {
		Arguments: arguments("operation* namespace spec objectReference:map[string]interface{}"),
		Outputs:   []string{"apiVersion", "group", "resource", "kind", "name", "namespace"},
	},
	"Wait":   {Arguments: arguments("timeout* conditions*:map[string]interface{}"), RawArgs: true},
	"WaitV2": {Arguments: arguments("timeout* conditions*:map[string]interface{}"), RawArgs: true},
	"CreateCSISnapshot": {
		Arguments: arguments("name pvc* namespace* snapshotClass* labels:map[string]string"),
		Outputs:   []string{"name", "pvc", "namespace", "restoreSize", "snapshotContent"},
	},
	"RestoreCSISnapshot": {
		Arguments: arguments("name* pvc* namespace* storageClass* restoreSize* accessModes:[]string volumeMode labels:map[string]string"),
	},
	"DeleteCSISnapshot": {Arguments: arguments("name* namespace*")},
	"CreateRDSSnapshot": {
		Arguments: arguments("instanceID* dbEngine" + rdsArgs),
		Outputs:   []string{"snapshotID", "instanceID", "securityGroupID", "allocatedStorage", "dbSubnetGroup"},
	},
	"ExportRDSSnapshotToLocation": {
		Arguments: arguments("namespace* instanceID* snapshotID* dbEngine* username password backupArtifactPrefix databases:list securityGroupID:list " +
			"dbSubnetGroup image" + rdsArgs + podArgs),
		Outputs: []string{"backupID", "snapshotID", "instanceID", "securityGroupID"},
	},
	"RestoreRDSSnapshot": {
		Arguments: arguments("instanceID* snapshotID dbEngine securityGroupID:list dbSubnetGroup backupArtifactPrefix backupID username password " +
			"namespace image" + rdsArgs + podArgs),
		Outputs: []string{"endpoint"},
	},
	"DeleteRDSSnapshot": {Arguments: arguments("snapshotID* dbEngine" + rdsArgs)},
	"BackupDataStats": {
		Arguments: arguments("namespace* backupArtifactPrefix* backupID* statsMode|mode encryptionKey image" + podArgs),
		Outputs:   []string{"mode", "fileCount", "size", "version"},
	},
}
