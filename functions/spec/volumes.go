package spec

import "strings"

// inVolumes gives rules for the namespace of the volumes: the argument's, else the target's.
func inVolumes(rules ...Rule) []Rule {
	var all []Rule

	for _, r := range rules {
		target := r
		target.Where, target.NamespaceArg, target.When = InTarget, "", strings.TrimSpace("!namespace "+r.When)

		argument := r
		argument.Where, argument.NamespaceArg, argument.When = InArg, "namespace", strings.TrimSpace("namespace "+r.When)

		all = append(all, target, argument)
	}

	return all
}

// inTarget gives rules for the target's namespace.
func inTarget(rules []Rule) []Rule {
	for i := range rules {
		rules[i].Where, rules[i].NamespaceArg = InTarget, ""
	}

	return rules
}

var (
	claimsRule = Rule{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get", "list"}, Why: "find the volumes"}
	usersRule  = Rule{Resources: []string{"pods"}, Verbs: []string{"list", "watch"}, Why: "find who uses the volumes, and wait until they have stopped"}

	// Only the run itself finds out whether something uses the volumes: a run may do without using them.
	scalingRules = []Rule{
		{Group: "apps", Resources: []string{"deployments/scale", "statefulsets/scale", "replicasets/scale"}, Verbs: []string{"get", "patch"}, Spare: true, Why: "stop the workloads that use the volumes, and bring them back"},
		{Group: "apps", Resources: []string{"deployments", "statefulsets", "replicasets"}, Verbs: []string{"get", "list", "watch"}, Spare: true, Why: "find the workloads that use the volumes and wait for them"},
		{Group: "apps.openshift.io", Resources: []string{"deploymentconfigs", "deploymentconfigs/scale"}, Verbs: []string{"get", "list", "watch", "patch"}, Kinds: []string{"deploymentconfig"}, Why: "the same for a DeploymentConfig"},
	}

	temporaryRules = []Rule{
		{Group: snapshotGroup, Resources: []string{"volumesnapshots"}, Verbs: []string{"create", "get", "list", "watch", "delete"}, Optional: true, Why: "take temporary snapshots and delete them; without, volumes are copied live"},
		{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"create", "get", "list", "delete"}, Why: "make temporary clones of the snapshots and delete them"},
	}
)

// stopping are the scaling rules of the function that stops workloads, if it does.
func stopping() []Rule {
	rules := with(scalingRules)
	for i := range rules[:2] {
		rules[i].Kinds, rules[i].KindArg = []string{"scale-down"}, "mode"
	}

	return rules
}

// bringingBack are the scaling rules of functions that bring back what was stopped before, if something was.
func bringingBack() []Rule {
	rules := with(scalingRules)
	for i := range rules[:2] {
		rules[i].When = "workloads"
	}

	return rules
}

var (
	volumesNamespace = Arg{Name: "namespace", Type: String, Default: "the target's namespace", Doc: "Namespace of the volumes."}
	volumesChoice    = Arg{Name: "volumes", Type: Strings, Default: "all volumes of the target", Doc: "Names of PersistentVolumeClaims, as a list or separated by blanks or commas. Of a namespace target all claims, but not those that hold backups (label `kanister.io/location=true`)."}
	encryptionKey    = Arg{Name: "encryptionKey", Type: String, Default: "the profile's repository password", Doc: "Password of the repository."}
	workloadsArg     = Arg{Name: "workloads", Type: String, Doc: "The output `workloads` of QuiesceVolumes."}
	backupInfoArg    = Arg{Name: "backupInfo", Type: String, Required: true, Doc: "The output `backupInfo` of CopyVolumes."}
)

var volumesFamily = []Function{
	{
		ID: "QuiesceVolumes", Family: "volumes", Ours: true,
		Summary: "Stop the workloads that use volumes.",
		Doc: `With mode ` + "`scale-down`" + ` every Deployment, StatefulSet, ReplicaSet and DeploymentConfig whose pods use one of the volumes is scaled to zero, and the phase waits until their pods are gone. Before anything is stopped it makes sure that everything can be: a volume that is used by a pod of something else (a DaemonSet, a Job, a pod of its own) fails the phase.

The way back is noted in the run record first: if the run fails, is cancelled or its runner is lost, the workloads are brought back. When the runner is lost during this very phase the run fails, because only it knows how many replicas there were.

Without a mode it does nothing.`,
		Args: []Arg{
			volumesNamespace, volumesChoice,
			{Name: "backupInfo", Type: String, Doc: "Stop the users of the volumes that this backup would be restored to, instead of the target's."},
			{Name: "mode", Type: String, Default: "none", Values: []string{"none", "scale-down"}, Doc: "What to do."},
		},
		Outputs: []Output{{Name: "workloads", Type: String, Doc: "What was stopped, as JSON, for SnapshotVolumes and ReleaseVolumes."}},
		Effects: []string{`{{if eq (printf "%v" .mode) "scale-down"}}scale every workload that uses the volumes to 0, and bring it back{{end}}`},
		Rules:   inVolumes(with([]Rule{claimsRule, usersRule}, stopping())...),
		Repeat:  true,
		Example: `- func: QuiesceVolumes
  name: quiesce
  args:
    mode: '{{ index .Options "quiesce" }}'
`,
	},
	{
		ID: "SnapshotVolumes", Family: "volumes", Ours: true,
		Summary: "Take CSI snapshots of volumes at one moment, and clone them for reading.",
		Doc: `The snapshots of all volumes are asked for at once, then waited for together, then each gets a temporary clone from which CopyVolumes reads. Snapshots and clones belong to the run's Job, carry the label ` + "`kanister.io/temporary`" + `, and are deleted by ReleaseVolumes, or by the undo list if the run ends before it.

With method ` + "`auto`" + ` a volume for which this does not work is left to be copied live, and the run says which and why as a warning: the driver has no VolumeSnapshotClass, the cluster no snapshots, the user no right to make them, or the driver failed. With ` + "`csi`" + ` that fails the phase. A volume that nothing uses is copied from itself without a warning. A claim that was never bound is noted as empty.

Of several classes of a driver the default is taken, then one that deletes its snapshots, then the first by name; where classes may not be listed the snapshot controller chooses.

Raw block volumes cannot be copied: an error, or a warning if the target is a namespace.`,
		Args: []Arg{
			volumesNamespace, volumesChoice,
			{Name: "method", Type: String, Default: "auto", Values: []string{"auto", "csi", "live"}, Doc: "How to read the volumes."},
			{Name: "snapshotClass", Type: String, Default: "by the volume's driver", Doc: "VolumeSnapshotClass for all volumes."},
			{Name: "workloads", Type: String, Doc: "The output `workloads` of QuiesceVolumes: they are brought back as soon as every volume has its snapshot."},
			snapshotTimeout,
		},
		Outputs: []Output{{Name: "volumes", Type: String, Doc: "The volumes and how to read them, as JSON, for CopyVolumes."}},
		Effects: []string{`snapshot {{with .volumes}}the volumes {{.}}{{else}}all volumes of the target{{end}}, where the driver can`},
		Rules: with(
			inVolumes(with([]Rule{claimsRule, usersRule}, bringingBack()[:1], scalingRules[2:])...),
			inVolumes(temporaryRules...),
			[]Rule{{Group: snapshotGroup, Resources: []string{"volumesnapshotclasses"}, Verbs: []string{"list"}, Where: InCluster, Optional: true, Why: "choose the snapshot class by the volume's driver"}},
		),
		Repeat: true,
		Example: `- func: SnapshotVolumes
  name: snapshot
`,
	},
	{
		ID: "CopyVolumes", Family: "volumes", Ours: true,
		Summary: "Copy volumes into the location, as kopia snapshots.",
		Doc: `Each volume is read by a worker pod of the runner image that mounts its clone, or the volume itself, read-only, as the user of the pod that uses the volume; at most three at once. Data goes from the node to the location. Progress is that of all volumes together.

If one volume fails, the others are ended and what was stored already is deleted again. After a crash the phase goes on: worker pods are adopted, and what is stored is not stored twice. A volume that nothing used, and that a pod uses after it was copied, gives a warning.`,
		Args: with([]Arg{
			{Name: "volumes", Type: String, Required: true, Doc: "The output `volumes` of SnapshotVolumes."},
			{Name: "artifactPrefix", Type: String, Default: "kanister/<namespace>/<kind>-<name>", Doc: "Where in the location the repository lies."},
			encryptionKey,
		}, podArgs()),
		Outputs: []Output{
			{Name: "backupInfo", Type: String, Doc: "The backup, as JSON, for RestoreVolumes and DeleteVolumeBackups."},
			{Name: "prefix", Type: String, Doc: "Where in the location the repository lies."},
			{Name: "size", Type: String, Doc: "Bytes of all files."},
			{Name: "fileCount", Type: String, Doc: "Number of files."},
			{Name: "newBytes", Type: String, Doc: "Bytes written to the location, after deduplication and compression."},
			{Name: "volumeCount", Type: String, Doc: "Number of volumes."},
		},
		Effects:      []string{`copy the volumes to the profile's location`},
		Rules:        with(inTarget(podRules("")), inTarget([]Rule{claimsRule, usersRule})),
		NeedsProfile: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: CopyVolumes
  name: copy
  args:
    volumes: "{{ .Phases.snapshot.Output.volumes }}"
`,
	},
	{
		ID: "ReleaseVolumes", Family: "volumes", Ours: true,
		Summary: "Delete the run's temporary snapshots and clones, and bring stopped workloads back.",
		Doc: `Meant for a deferPhase. The temporary objects are found by the labels of this run, so it does not matter how far the phases before it came; snapshots that CreateCSISnapshot took are not touched. Their end is not waited for.

Workloads are scaled to what they had if they are still at zero, and waited for until they are ready.`,
		Args: []Arg{
			volumesNamespace, workloadsArg,
			{Name: "waitForReady", Type: Bool, Default: "true", Doc: "Whether to wait until the workloads are ready."},
		},
		Effects: []string{`delete the temporary snapshots and clones`},
		Rules:   with(inVolumes(temporaryRules...), inVolumes(with([]Rule{usersRule}, bringingBack())...)),
		Repeat:  true,
		Example: `- func: ReleaseVolumes
  name: release
`,
	},
	{
		ID: "RestoreVolumes", Family: "volumes", Ours: true,
		Summary: "Restore volumes from the location.",
		Doc: `A claim that is gone is made again, with its recorded size, storage class, access modes and labels. Volumes that are still used by pods half a minute later fail the phase before anything is written: stop the workload by QuiesceVolumes first. One that a pod uses after it was restored fails the phase, too: somebody has started the application on half of it.

Each volume is written by a worker pod of the runner image, at most three at once. With ` + "`exact`" + `, the default, files that are not in the backup are deleted, so that the volume is what it was.

If a restore fails after it has begun to write, the workloads that QuiesceVolumes stopped stay down, and the run says so: an application that starts on half a restore may ruin what is left. Restoring again finishes the job. If it fails before, they are brought back.`,
		Args: with([]Arg{
			backupInfoArg, volumesNamespace,
			{Name: "volumes", Type: Strings, Default: "all volumes of the backup", Doc: "Names of volumes in the backup, each perhaps followed by `=` and the name of the claim to restore it to."},
			workloadsArg,
			{Name: "storageClass", Type: String, Default: "the recorded one", Doc: "Storage class for claims that have to be made again."},
			{Name: "exact", Type: Bool, Default: "true", Doc: "Whether to delete files that are not in the backup."},
			encryptionKey,
		}, podArgs()),
		Outputs: []Output{
			{Name: "size", Type: String, Doc: "Bytes restored."},
			{Name: "fileCount", Type: String, Doc: "Files restored."},
			{Name: "volumeCount", Type: String, Doc: "Number of volumes."},
		},
		Effects: []string{`overwrite {{with .volumes}}the volumes {{.}}{{else}}all volumes of the backup{{end}} in place`},
		Rules: with(
			inVolumes(Rule{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get", "list", "create"}, Why: "find the volumes, and make those again that are gone"}),
			inVolumes(podRules("")...), inVolumes(usersRule),
		),
		NeedsProfile: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: RestoreVolumes
  name: restore
  args:
    backupInfo: "{{ .ArtifactsIn.volumes.KeyValue.backupInfo }}"
`,
	},
	{
		ID: "DeleteVolumeBackups", Family: "volumes", Ours: true,
		Summary: "Delete backups of volumes from the location.",
		Doc:     `Deletes the snapshots of one run from the repository. Backups that are gone already are no error. The space they held alone is freed by the repository's maintenance, at once with ` + "`reclaimSpace`" + `.`,
		Args: []Arg{
			backupInfoArg, encryptionKey,
			{Name: "reclaimSpace", Type: Bool, Default: "false", Doc: "Whether to run the repository's maintenance at once."},
		},
		Outputs:      []Output{{Name: "spaceFreed", Type: String, Doc: "Bytes freed."}},
		Effects:      []string{`delete the backup from the profile's location`},
		NeedsProfile: true, Repeat: true,
		Example: `- func: DeleteVolumeBackups
  name: delete
  args:
    backupInfo: "{{ .ArtifactsIn.volumes.KeyValue.backupInfo }}"
`,
	},
}
