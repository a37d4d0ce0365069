package spec

const rdsWaitDoc = "It waits at most two hours, or as `timeout` says, and asks RDS at growing intervals of up to half a minute; the status, and the percentage where RDS gives one, show in the run's progress.\n\n"

var (
	rdsInstance = Arg{Name: "instanceID", Type: String, Required: true, Doc: "Identifier of the DB instance; of the DB cluster if `dbEngine` is an Aurora engine."}
	rdsEngine   = Arg{Name: "dbEngine", Type: String, Default: "a DB instance of any engine", Doc: "`aurora`, `aurora-mysql` or `aurora-postgresql` for an Aurora cluster. Any other value means a DB instance."}
	rdsTimeout  = Arg{Name: "timeout", Type: String, Form: Duration, Default: "2h", Doc: "How long to wait for RDS and for the dump, together, as a Go duration. Ours."}
	rdsGroups   = Arg{Name: "securityGroupID", Aliases: []string{"securityGroupIDs"}, Type: Strings, Default: "those of the instance `instanceID`", Doc: "VPC security groups of the new instance, as a list or as the text that the output of the same name is."}
	rdsSubnets  = Arg{Name: "dbSubnetGroup", Type: String, Default: "that of the instance, else the account's default", Doc: "DB subnet group of the new instance."}
	rdsUser     = Arg{Name: "username", Type: String, Default: "the instance's master user", Doc: "Who logs in to the database."}
	rdsPassword = Arg{Name: "password", Type: String, Doc: "The password. It reaches the pod in a Secret."}
	rdsImage    = Arg{Name: "image", Type: String, Default: RDSImage, Doc: "Image with `psql` and `pg_dump`, at least as new as the server. Nothing else is needed in it."}
	rdsPrefix   = Arg{Name: "backupArtifactPrefix", Type: String, Default: "`instanceID`", Doc: "Path of the dump in the profile's location."}

	rdsAccess = awsAccess("RDS", "")

	rdsGroupsOutput = Output{Name: "securityGroupID", Type: Strings, Doc: "VPC security groups of the instance, as the text of a YAML list."}
)

// RDSImage is the image with PostgreSQL's programs that is taken when none is named, upstream's.
const RDSImage = "ghcr.io/kanisterio/postgres-kanister-tools:0.119.0"

// rdsPodRules are those of a worker pod with a Secret, in the namespace that the argument names.
func rdsPodRules(when string) []Rule {
	rules := podRules("namespace", "")
	for i := range rules {
		rules[i].When = when
	}

	return rules
}

var rdsFamily = []Function{
	{
		ID: "CreateRDSSnapshot", Family: "rds",
		Summary: "Take a snapshot of an RDS instance or Aurora cluster.",
		Doc: rdsWaitDoc + `The snapshot is named ` + "`<instanceID>-<ten characters>`" + ` and carries the tag ` + "`kanister.io/run`" + `. It belongs to the user: it stays when the run has ended, failed or not, until DeleteRDSSnapshot removes it. Repeating the phase after a crash goes on with the snapshot that was made. An instance that is not ready for a snapshot (backing up, modifying) is waited for.

` + awsAccessDoc,
		Args: with([]Arg{rdsInstance, rdsEngine, rdsTimeout}, rdsAccess),
		Outputs: []Output{
			{Name: "snapshotID", Type: String, Doc: "Identifier of the snapshot."},
			{Name: "instanceID", Type: String, Doc: "Identifier of the instance or cluster."},
			rdsGroupsOutput,
			{Name: "allocatedStorage", Type: String, Doc: "Allocated storage, as `<n>GiB`; `0GiB` for Aurora."},
			{Name: "dbSubnetGroup", Type: String, Doc: "DB subnet group of the instance."},
		},
		Effects:    []string{`take a snapshot of the RDS database {{.instanceID}}`},
		ProfileFor: []string{"!credentialsSource"}, Repeat: true,
		Example: `- func: CreateRDSSnapshot
  name: createSnapshot
  args:
    instanceID: '{{ index .ConfigMaps.dbconfig.Data "postgres.instanceid" }}'
`,
	},
	{
		ID: "ExportRDSSnapshotToLocation", Family: "rds",
		Summary: "Dump the databases of an RDS snapshot into the profile's location.",
		Doc: rdsWaitDoc + `The snapshot is restored to a temporary instance, ` + "`<instanceID>-<ten characters>`" + `, with the tag ` + "`kanister.io/run`" + `. A pod in ` + "`namespace`" + ` dumps each database by ` + "`pg_dump`" + ` and streams all of them, compressed, into one object at ` + "`<backupArtifactPrefix>/<backupID>`" + `; nothing is kept on a disk. The object appears only when the dump is complete. The temporary instance is deleted then; if the run fails, is cancelled or its runner is lost, the undo list deletes it. Repeating the phase after a crash goes on with the instance and the pod that were made.

The dump is an SQL script: ` + "`gunzip -c FILE | psql -X -v ON_ERROR_STOP=1 -d postgres`" + ` restores it anywhere. Roles are not in it.

The pod's image needs ` + "`psql` and `pg_dump`" + ` only: the program that calls them comes from the runner image by an init container. The password is in a Secret of the pod, never in its spec.

Different from upstream: ` + "`aurora-postgresql`" + ` is accepted, ` + "`image`" + ` works, template databases are not dumped, ` + "`backupID`" + ` ends in ` + "`.sql.gz`" + `, and the databases are listed in the pod, encrypted if the server allows.

` + awsAccessDoc,
		Args: with([]Arg{
			rdsInstance,
			{Name: "namespace", Type: String, Required: true, Doc: "Namespace of the pod."},
			{Name: "snapshotID", Type: String, Required: true, Doc: "Identifier of the snapshot."},
			{Name: "dbEngine", Type: String, Required: true, Values: []string{"PostgreSQL", "aurora-postgresql"}, Doc: "The engine."},
			rdsUser, rdsPassword, rdsPrefix,
			{Name: "databases", Type: Strings, Default: "all but templates and `rdsadmin`", Doc: "Databases to dump, as a list or the text of one."},
			rdsGroups, rdsSubnets, rdsImage, rdsTimeout,
		}, rdsAccess, podArgs()),
		Outputs: []Output{
			{Name: "snapshotID", Type: String, Doc: "Identifier of the snapshot."},
			{Name: "instanceID", Type: String, Doc: "Identifier of the instance."},
			{Name: "backupID", Type: String, Doc: "Name of the dump below `backupArtifactPrefix`."},
			rdsGroupsOutput,
		},
		Effects: []string{
			`restore the RDS snapshot {{.snapshotID}} to a temporary instance, and delete that afterwards`,
			`dump its databases into the profile's location`,
		},
		Rules:        rdsPodRules(""),
		NeedsProfile: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: ExportRDSSnapshotToLocation
  name: exportSnapshot
  objects:
    dbsecret:
      kind: Secret
      name: '{{ index .ConfigMaps.dbconfig.Data "postgres.secret" }}'
      namespace: "{{ .Namespace.Name }}"
  args:
    namespace: "{{ .Namespace.Name }}"
    instanceID: "{{ .Phases.createSnapshot.Output.instanceID }}"
    securityGroupID: "{{ .Phases.createSnapshot.Output.securityGroupID }}"
    username: '{{ index .Phases.exportSnapshot.Secrets.dbsecret.Data "username" | toString }}'
    password: '{{ index .Phases.exportSnapshot.Secrets.dbsecret.Data "password" | toString }}'
    dbEngine: "PostgreSQL"
    databases: '{{ index .ConfigMaps.dbconfig.Data "postgres.databases" }}'
    snapshotID: "{{ .Phases.createSnapshot.Output.snapshotID }}"
    backupArtifactPrefix: test-postgresql-instance/postgres
    dbSubnetGroup: "{{ .Phases.createSnapshot.Output.dbSubnetGroup }}"
`,
	},
	{
		ID: "RestoreRDSSnapshot", Family: "rds",
		Summary: "Restore an RDS instance or Aurora cluster from a snapshot, or databases from a dump.",
		Doc: rdsWaitDoc + `With ` + "`snapshotID`" + `: the snapshot is checked first, then the instance is **deleted, without a final snapshot**, and made again from the snapshot under the same identifier, with the parameter group and security groups that it had. If there is none, it is made. Of an Aurora cluster the members are deleted, too, and one is made again, ` + "`<cluster>-instance-1`" + `, of the class that the first had, else ` + "`db.r5.large`" + `. A deletion-protected instance fails the phase before anything is touched.

Without ` + "`snapshotID`" + `: a pod restores the dump ` + "`<backupArtifactPrefix>/<backupID>`" + ` into the instance, which must be there. A database that is missing is created. In each database the objects of the dump replace those of the same name, all of them in one transaction: if something fails, the database is as it was (unless it has large objects: ` + "`pg_dump`" + ` writes those in a transaction of their own, which ends the one around them, and what came before is kept). What was created after the backup stays. Dumps of upstream's ExportRDSSnapshotToLocation are read, too; their databases are dropped and made again.

Different from upstream: ` + "`endpoint`" + ` is given in both cases, an error while an Aurora cluster is deleted fails the phase, and a failing statement fails the restore.

` + awsAccessDoc,
		Args: with([]Arg{
			rdsInstance,
			{Name: "snapshotID", Type: String, Doc: "Identifier of the snapshot. Empty, or absent: the dump `backupID` is restored."},
			rdsUser, rdsPassword, rdsPrefix,
			{Name: "backupID", Type: String, Doc: "Name of the dump below `backupArtifactPrefix`; required without `snapshotID`."},
			rdsGroups,
			{Name: "namespace", Type: String, Default: "the run's namespace", Doc: "Namespace of the pod that restores a dump."},
			{Name: "dbEngine", Type: String, Doc: "`PostgreSQL`; `aurora`, `aurora-mysql` or `aurora-postgresql` for a cluster. Dumps are of PostgreSQL or `aurora-postgresql`."},
			rdsSubnets, rdsImage, rdsTimeout,
		}, rdsAccess, podArgs()),
		Outputs: []Output{{Name: "endpoint", Type: String, Doc: "Host name of the instance or cluster."}},
		Effects: []string{
			`{{if .snapshotID}}delete the RDS database {{.instanceID}} and make it again from snapshot {{.snapshotID}}{{else}}restore databases of {{.instanceID}} from the dump {{.backupID}}{{end}}`,
		},
		Rules:            rdsPodRules("backupID"),
		NeedsRunnerImage: true, ProfileFor: []string{"!credentialsSource", "backupID"}, Repeat: true,
		Example: `- func: RestoreRDSSnapshot
  name: restoreSnapshots
  objects:
    dbsecret:
      kind: Secret
      name: '{{ index .ConfigMaps.dbconfig.Data "postgres.secret" }}'
      namespace: "{{ .Namespace.Name }}"
  args:
    namespace: "{{ .Namespace.Name }}"
    backupArtifactPrefix: test-postgresql-instance/postgres
    instanceID: "{{ .ArtifactsIn.backupInfo.KeyValue.instanceID }}"
    backupID: "{{ .ArtifactsIn.backupInfo.KeyValue.backupID }}"
    securityGroupID: "{{ .ArtifactsIn.backupInfo.KeyValue.securityGroupID }}"
    username: '{{ index .Phases.restoreSnapshots.Secrets.dbsecret.Data "username" | toString }}'
    password: '{{ index .Phases.restoreSnapshots.Secrets.dbsecret.Data "password" | toString }}'
    dbEngine: "PostgreSQL"
    dbSubnetGroup: "{{ .ArtifactsIn.backupInfo.KeyValue.dbSubnetGroup }}"
`,
	},
	{
		ID: "DeleteRDSSnapshot", Family: "rds",
		Summary: "Delete a snapshot of an RDS instance or Aurora cluster.",
		Doc: rdsWaitDoc + `A snapshot that is gone already is no error.

` + awsAccessDoc,
		Args: with([]Arg{
			{Name: "snapshotID", Type: String, Required: true, Doc: "Identifier of the snapshot."},
			rdsEngine, rdsTimeout,
		}, rdsAccess),
		Effects:    []string{`delete the RDS snapshot {{.snapshotID}}`},
		ProfileFor: []string{"!credentialsSource"}, Repeat: true,
		Example: `- func: DeleteRDSSnapshot
  name: deleteSnapshot
  args:
    snapshotID: "{{ .ArtifactsIn.backupInfo.KeyValue.snapshotID }}"
`,
	},
	{
		ID: "ReleaseRDSInstance", Family: "rds", Ours: true,
		Summary: "Delete the temporary RDS instance of a run.",
		Doc:     "What the undo list of ExportRDSSnapshotToLocation calls. An instance without the tag `kanister.io/run` of this run is not touched; one that is gone is no error.",
		Args: with([]Arg{
			rdsInstance, rdsEngine,
			{Name: "tag", Type: String, Required: true, Doc: "Value of the tag `kanister.io/run` that the instance must have."},
		}, rdsAccess),
		Effects: []string{`delete the temporary RDS instance {{.instanceID}}`},
		Repeat:  true,
		Example: `- func: ReleaseRDSInstance
  name: release
  args:
    instanceID: test-postgresql-instance-5d41402abc
    tag: demo/backup-x7k2p/exportSnapshot
`,
	},
}
