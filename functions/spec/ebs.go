package spec

const ebsWaitDoc = "It waits at most two hours, or as `timeout` says, and asks EC2 at growing intervals of up to half a minute, about all snapshots at once; how many percent are done shows in the run's progress.\n\n"

const ebsInfoDoc = "`volumeSnapshotInfo` is upstream's JSON, with members added that upstream passes over: what a claim and its volume are made again from. Manifests that upstream has written are read, too; Google persistent disks (`GPD`) are refused.\n\n"

var (
	ebsNamespace = Arg{Name: "namespace", Type: String, Required: true, Doc: "Namespace of the PersistentVolumeClaims."}
	ebsSnapshots = Arg{Name: "snapshots", Type: String, Required: true, Doc: "The output `volumeSnapshotInfo` of CreateVolumeSnapshot."}
	ebsTimeout   = Arg{Name: "timeout", Type: String, Form: Duration, Default: "2h", Doc: "How long to wait for EC2 in this phase, as a Go duration. Ours."}

	ebsAccess      = awsAccess("EC2", "that of the volume's zone, else ")
	ebsInfoAccess  = awsAccess("EC2", "that of the snapshot, else ")
	ebsProfile     = []string{"!credentialsSource"}
	ebsVolumesRule = Rule{Resources: []string{"persistentvolumes"}, Verbs: []string{"get"}, Where: InCluster, Why: "find the EBS volume of a claim"}
)

var ebsFamily = []Function{
	{
		ID: "CreateVolumeSnapshot", Family: "ebs",
		Summary: "Take EBS snapshots of the volumes of PersistentVolumeClaims.",
		Doc: ebsWaitDoc + `For volumes of the CSI driver ` + "`ebs.csi.aws.com`" + ` and for in-tree ` + "`awsElasticBlockStore`" + ` ones, encrypted ones included. Every claim is looked at before the first snapshot is taken; a volume of another kind fails the phase and names the driver (CreateCSISnapshot is for those). The snapshots are asked for together, each is of one volume: an application that needs all of them to be of one moment has to be quiesced first.

A claim of the target that was never bound has nothing to snapshot: a warning, or an error if ` + "`pvcs`" + ` names it.

The snapshots carry the volume's tags and ` + "`kanister.io/run`, `kanister.io/phase-id`, `kanister.io/pvc`" + `. If one of them fails, all of the phase are deleted by the undo list; afterwards they belong to the user and stay, whatever becomes of the run, until DeleteVolumeSnapshot removes them. Repeating the phase after a crash goes on with those that were begun.

` + ebsInfoDoc + `Different from upstream: it works on CSI volumes and on encrypted ones, zones are asked of EC2 instead of labels, and no profile of an object store is needed where ` + "`credentialsSource`" + ` names the credentials.

` + awsAccessDoc,
		Args: with([]Arg{
			ebsNamespace,
			{Name: "pvcs", Aliases: []string{"pvcNames"}, Type: Strings, Default: "all claims of the target", Doc: "Names of the claims."},
			{Name: "skipWait", Type: Bool, Default: "false", Doc: "Whether to leave the waiting to WaitForSnapshotCompletion."},
			ebsTimeout,
		}, ebsAccess),
		Outputs: []Output{{Name: "volumeSnapshotInfo", Type: String, Doc: "The snapshots, as JSON."}},
		Effects: []string{`take EBS snapshots of {{with .pvcs}}the volumes {{.}}{{else}}all volumes of the target{{end}} in namespace {{.namespace}}`},
		Rules: []Rule{
			{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: "namespace", NamesArg: "pvcs", When: "pvcs", Why: "find the volumes"},
			{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"list"}, Where: InArg, NamespaceArg: "namespace", When: "!pvcs", Why: "find the volumes of the target"},
			{Resources: []string{"pods"}, Verbs: []string{"list"}, Where: InArg, NamespaceArg: "namespace", When: "!pvcs", Why: "find the volumes of the target"},
			ebsVolumesRule,
		},
		ProfileFor: ebsProfile, Repeat: true,
		Example: `- func: CreateVolumeSnapshot
  name: backupVolume
  args:
    namespace: "{{ .Deployment.Namespace }}"
`,
	},
	{
		ID: "WaitForSnapshotCompletion", Family: "ebs",
		Summary: "Wait until snapshots that CreateVolumeSnapshot began are complete.",
		Doc: ebsWaitDoc + `A snapshot that failed ends the wait with EC2's reason, one that is gone with its name.

` + awsAccessDoc,
		Args:       with([]Arg{ebsSnapshots, ebsTimeout}, ebsInfoAccess),
		Effects:    []string{`wait for the EBS snapshots`},
		ProfileFor: ebsProfile, Repeat: true,
		Example: `- func: WaitForSnapshotCompletion
  name: waitForSnapshots
  args:
    snapshots: "{{ .Phases.backupVolume.Output.volumeSnapshotInfo }}"
`,
	},
	{
		ID: "CreateVolumeFromSnapshot", Family: "ebs",
		Summary: "Make PersistentVolumeClaims again from EBS snapshots.",
		Doc: ebsWaitDoc + `**Claims of these names are deleted.** What comes before leaves them alone: the snapshots are waited for, the new volumes made in the zones of the old ones, and PersistentVolumes for them (CSI driver ` + "`ebs.csi.aws.com`" + `, with the zone as node affinity). If anything of that fails, the undo list deletes what was made. Only then one claim after the other is deleted and made again, bound to its new volume, with the access modes, size, storage class, volume mode, labels and annotations that it had; of a manifest of upstream, which does not tell them, those of the claim that is there, else ReadWriteOnce, the size of the snapshot and no class. What becomes of the old volume is for its PersistentVolume's reclaim policy to say.

Claims in use by pods fail the phase after half a minute, before anything is touched: scale the workload down first.

If the phase fails after the first claim was deleted, the run leaves what it scaled down as it is and says so: an application that starts on some restored volumes and some others may ruin what is left. Restoring again finishes the job. Repeating the phase after a crash goes on with what was made.

` + ebsInfoDoc + `Different from upstream: the PersistentVolumes are of the CSI driver, because current clusters have no other; they keep type, IOPS and throughput; the claim is bound by name instead of by a label.

` + awsAccessDoc,
		Args: with([]Arg{
			ebsNamespace, ebsSnapshots,
			{Name: "pvcNames", Aliases: []string{"pvcs"}, Type: Strings, Default: "the names at the time of the snapshots", Doc: "Names of the new claims, one for each snapshot, in their order."},
			ebsTimeout,
		}, ebsInfoAccess),
		Effects: []string{`delete {{with .pvcNames}}the claims {{.}}{{else}}the claims of the snapshots{{end}} in namespace {{.namespace}} and make them again from EBS snapshots`},
		Rules: []Rule{
			{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"create", "get", "list", "watch"}, Where: InArg, NamespaceArg: "namespace", NamesArg: "pvcNames", Why: "make the claims and wait until they are bound"},
			{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"delete"}, Where: InArg, NamespaceArg: "namespace", NamesArg: "pvcNames", Spare: true, Why: "delete the claims that are in the way"},
			{Resources: []string{"pods"}, Verbs: []string{"list"}, Where: InArg, NamespaceArg: "namespace", Spare: true, Why: "see that nothing uses the claims that are in the way"},
			{Resources: []string{"persistentvolumes"}, Verbs: []string{"create", "get"}, Where: InCluster, Why: "make PersistentVolumes for the new EBS volumes"},
			{Resources: []string{"persistentvolumes"}, Verbs: []string{"delete"}, Where: InCluster, Spare: true, Why: "delete them again if the restore fails"},
		},
		ProfileFor: ebsProfile, Repeat: true,
		Example: `- func: ScaleWorkload
  name: shutdownPod
  args:
    namespace: "{{ .Deployment.Namespace }}"
    name: "{{ .Deployment.Name }}"
    kind: Deployment
    replicas: 0
- func: CreateVolumeFromSnapshot
  name: restoreVolume
  args:
    namespace: "{{ .Deployment.Namespace }}"
    snapshots: "{{ .ArtifactsIn.backupInfo.KeyValue.manifest }}"
- func: ScaleWorkload
  name: bringupPod
  args:
    namespace: "{{ .Deployment.Namespace }}"
    name: "{{ .Deployment.Name }}"
    kind: Deployment
    replicas: 1
`,
	},
	{
		ID: "DeleteVolumeSnapshot", Family: "ebs",
		Summary: "Delete EBS snapshots that CreateVolumeSnapshot took.",
		Doc: `A snapshot that is gone already is no error; the run says so. Every snapshot is tried, whatever becomes of the others.

` + awsAccessDoc,
		Args:       with([]Arg{ebsNamespace, ebsSnapshots, ebsTimeout}, ebsInfoAccess),
		Effects:    []string{`delete the EBS snapshots`},
		ProfileFor: ebsProfile, Repeat: true,
		Example: `- func: DeleteVolumeSnapshot
  name: deleteVolumeSnapshot
  args:
    namespace: "{{ .Deployment.Namespace }}"
    snapshots: "{{ .ArtifactsIn.backupInfo.KeyValue.manifest }}"
`,
	},
	{
		ID: "ReleaseEBS", Family: "ebs", Ours: true,
		Summary: "Delete the EBS snapshots, or the volumes and PersistentVolumes, that a failed phase has made.",
		Doc:     "What the undo lists of CreateVolumeSnapshot and CreateVolumeFromSnapshot call. Only what carries the phase's tag `kanister.io/phase-id` is touched, and no volume to which a claim is bound or that is attached; what is gone is no error.",
		Args: with([]Arg{
			{Name: "what", Type: String, Required: true, Values: []string{"snapshots", "volumes"}, Doc: "What to delete."},
			{Name: "id", Type: String, Required: true, Doc: "Value of the tag `kanister.io/phase-id`."},
			{Name: "persistentVolumes", Type: Strings, Doc: "Names of the PersistentVolumes that the phase may have made."},
			ebsTimeout,
		}, ebsAccess),
		Effects: []string{`delete the EBS {{.what}} of a failed phase`},
		Rules: []Rule{
			{Resources: []string{"persistentvolumes"}, Verbs: []string{"get", "delete"}, Where: InCluster, NamesArg: "persistentVolumes", When: "persistentVolumes", Spare: true, Why: "delete PersistentVolumes that no claim uses"},
			{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}, Where: InRun, When: "persistentVolumes", Spare: true, Why: "see whether a claim uses them"},
		},
		ProfileFor: ebsProfile, Repeat: true,
		Example: `- func: ReleaseEBS
  name: release
  args:
    what: snapshots
    id: 5d41402abc4b2a76b971
`,
	},
}
