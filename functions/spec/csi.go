package spec

const snapshotGroup = "snapshot.storage.k8s.io"

var snapshotTimeout = Arg{Name: "timeout", Type: String, Form: Duration, Default: "2h", Doc: "How long to wait until the snapshot is ready, as a Go duration. Ours."}

// snapshotOutputs are the outputs of both functions that make snapshots.
var snapshotOutputs = []Output{
	{Name: "namespace", Type: String, Doc: "Namespace of the VolumeSnapshot."},
	{Name: "restoreSize", Type: String, Doc: "The least size of a volume restored from it, as a quantity; `0` if the driver does not say."},
	{Name: "snapshotContent", Type: String, Doc: "Name of the VolumeSnapshotContent."},
}

const readyDoc = "It waits, by watch, until the snapshot is ready to use, at most two hours or as `timeout` says. A class or driver that does not exist, and every error that the driver will not mend by trying again, end the wait at once; other errors of the driver after five minutes; a cluster where no snapshot controller takes the object up after two. What is waited for shows in the run's progress.\n\n"

var csiFamily = []Function{
	{
		ID: "CreateCSISnapshot", Family: "csi",
		Summary: "Take a CSI VolumeSnapshot of a PersistentVolumeClaim.",
		Doc: readyDoc + `The snapshot belongs to the user: it stays when the run has ended, failed or not, until DeleteCSISnapshot removes it. Repeating the phase after a crash goes on with the snapshot that was made.

Needs ` + "`snapshot.storage.k8s.io/v1`" + `, that is the snapshot CRDs and controller. Label values that are no label values are shortened with a hash.

Different from upstream: bounded waits, and ` + "`restoreSize`" + ` is ` + "`0`" + ` when the driver reports none.`,
		Args: []Arg{
			{Name: "name", Type: String, Default: "<pvc>-snapshot-<suffix>", Doc: "Name of the VolumeSnapshot."},
			{Name: "pvc", Type: String, Required: true, Doc: "Name of the PersistentVolumeClaim."},
			{Name: "namespace", Type: String, Required: true, Doc: "Namespace of the claim and of the VolumeSnapshot."},
			{Name: "snapshotClass", Type: String, Required: true, Doc: "Name of the VolumeSnapshotClass; its driver must be that of the volume."},
			{Name: "labels", Type: StringMap, Doc: "Labels for the VolumeSnapshot."},
			snapshotTimeout,
		},
		Outputs: with([]Output{
			{Name: "name", Type: String, Doc: "Name of the VolumeSnapshot."},
			{Name: "pvc", Type: String, Doc: "Name of the claim."},
		}, snapshotOutputs),
		Effects: []string{`snapshot volume {{.namespace}}/{{.pvc}} with class {{.snapshotClass}}`},
		Rules: []Rule{
			{Group: snapshotGroup, Resources: []string{"volumesnapshots"}, Verbs: []string{"create", "get", "list", "watch"}, Where: InArg, NamespaceArg: "namespace", Why: "take the snapshot and wait until it is ready"},
			{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: "namespace", NamesArg: "pvc", Why: "see that there is a volume to take it of"},
		},
		Repeat: true,
		Example: `- func: CreateCSISnapshot
  name: createCSISnapshot
  args:
    pvc: "{{ .PVC.Name }}"
    namespace: "{{ .PVC.Namespace }}"
    snapshotClass: do-block-storage
`,
	},
	{
		ID: "CreateCSISnapshotStatic", Family: "csi",
		Summary: "Make a VolumeSnapshot of a snapshot that already exists in the storage system.",
		Doc: readyDoc + `Makes a VolumeSnapshotContent and a VolumeSnapshot bound to each other. Whether deleting them deletes the snapshot in the storage system is decided by the deletionPolicy of the class. The content's name is made of the snapshot's namespace and name, so that repeating the phase after a crash goes on with what was made.

The handle may be called ` + "`handle`" + `, as the reference says, or ` + "`snapshotHandle`" + `, as upstream's code does.`,
		Args: []Arg{
			{Name: "name", Type: String, Required: true, Doc: "Name of the VolumeSnapshot."},
			{Name: "namespace", Type: String, Required: true, Doc: "Namespace of the VolumeSnapshot."},
			{Name: "driver", Type: String, Required: true, Doc: "Name of the CSI driver."},
			{Name: "handle", Aliases: []string{"snapshotHandle"}, Type: String, Required: true, Doc: "The storage system's own identifier of the snapshot."},
			{Name: "snapshotClass", Type: String, Required: true, Doc: "Name of the VolumeSnapshotClass."},
			snapshotTimeout,
		},
		Outputs: with([]Output{{Name: "name", Type: String, Doc: "Name of the VolumeSnapshot."}}, snapshotOutputs),
		Effects: []string{`make VolumeSnapshot {{.namespace}}/{{.name}} for snapshot {{if .handle}}{{.handle}}{{else}}{{.snapshotHandle}}{{end}}`},
		Rules: []Rule{
			{Group: snapshotGroup, Resources: []string{"volumesnapshotclasses"}, Verbs: []string{"get"}, Where: InCluster, NamesArg: "snapshotClass", Why: "its deletionPolicy is that of the content"},
			{Group: snapshotGroup, Resources: []string{"volumesnapshotcontents"}, Verbs: []string{"create", "get"}, Where: InCluster, Why: "contents are cluster scoped"},
			{Group: snapshotGroup, Resources: []string{"volumesnapshots"}, Verbs: []string{"create", "get", "list", "watch"}, Where: InArg, NamespaceArg: "namespace", Why: "make the snapshot and wait until it is ready"},
		},
		Repeat: true,
		Example: `- func: CreateCSISnapshotStatic
  name: createCSISnapshotStatic
  args:
    name: volume-snapshot
    namespace: default
    snapshotClass: csi-hostpath-snapclass
    driver: hostpath.csi.k8s.io
    handle: 7bdd0de3-aaeb-11e8-9aae-0242ac110002
`,
	},
	{
		ID: "RestoreCSISnapshot", Family: "csi",
		Summary: "Make a new PersistentVolumeClaim from a VolumeSnapshot.",
		Doc: `Creates the claim and returns; as upstream it does not wait until a volume is there, because many storage classes make one only when a pod uses it. A claim of that name that is there already fails the phase, unless this run made it before a crash.

Different from upstream: ReadWriteOncePod is accepted.`,
		Args: []Arg{
			{Name: "name", Type: String, Required: true, Doc: "Name of the VolumeSnapshot."},
			{Name: "pvc", Type: String, Required: true, Doc: "Name of the new claim."},
			{Name: "namespace", Type: String, Required: true, Doc: "Namespace of the VolumeSnapshot and of the new claim."},
			{Name: "storageClass", Type: String, Required: true, Doc: "Name of the StorageClass; its driver must be that of the snapshot."},
			{Name: "restoreSize", Type: String, Required: true, Doc: "Size of the new claim, as a quantity greater than zero."},
			{Name: "accessModes", Type: Strings, Default: "[ReadWriteOnce]", Doc: "Access modes: ReadWriteOnce, ReadWriteOncePod, ReadOnlyMany, ReadWriteMany."},
			{Name: "volumeMode", Type: String, Default: "Filesystem", Values: []string{"Filesystem", "Block"}, Doc: "Mode of the volume."},
			{Name: "labels", Type: StringMap, Doc: "Labels for the claim."},
		},
		Effects: []string{`create PersistentVolumeClaim {{.namespace}}/{{.pvc}} from snapshot {{.name}}`},
		Rules: []Rule{
			{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"create"}, Where: InArg, NamespaceArg: "namespace", Why: "create the claim"},
			{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: "namespace", NamesArg: "pvc", Why: "recognise the claim after a crash"},
		},
		Repeat: true,
		Example: `- func: RestoreCSISnapshot
  name: restoreCSISnapshot
  args:
    name: "{{ .ArtifactsIn.snapshotInfo.KeyValue.name }}"
    pvc: "{{ .ArtifactsIn.snapshotInfo.KeyValue.pvc }}-restored"
    namespace: "{{ .ArtifactsIn.snapshotInfo.KeyValue.namespace }}"
    storageClass: do-block-storage
    restoreSize: "{{ .ArtifactsIn.snapshotInfo.KeyValue.restoreSize }}"
    accessModes: ["ReadWriteOnce"]
    volumeMode: "Filesystem"
`,
	},
	{
		ID: "DeleteCSISnapshot", Family: "csi",
		Summary: "Delete a VolumeSnapshot and wait until it is gone.",
		Doc:     `A snapshot that is gone already is no error. The wait is bounded by fifteen minutes; its error names the finalizers that hold the snapshot.`,
		Args: []Arg{
			{Name: "name", Type: String, Required: true, Doc: "Name of the VolumeSnapshot."},
			{Name: "namespace", Type: String, Required: true, Doc: "Namespace of the VolumeSnapshot."},
		},
		Effects: []string{`delete VolumeSnapshot {{.namespace}}/{{.name}}`},
		Rules: []Rule{
			{Group: snapshotGroup, Resources: []string{"volumesnapshots"}, Verbs: []string{"delete", "list", "watch"}, Where: InArg, NamespaceArg: "namespace", NamesArg: "name", Why: "delete the snapshot and wait until it is gone"},
		},
		Repeat: true,
		Example: `- func: DeleteCSISnapshot
  name: deleteCSISnapshot
  args:
    name: "{{ .ArtifactsIn.snapshotInfo.KeyValue.name }}"
    namespace: "{{ .ArtifactsIn.snapshotInfo.KeyValue.namespace }}"
`,
	},
	{
		ID: "DeleteCSISnapshotContent", Family: "csi",
		Summary: "Delete a VolumeSnapshotContent that is bound to no VolumeSnapshot.",
		Doc:     `A content that is gone already is no error. A bound one is protected by the snapshot controller: it goes when its VolumeSnapshot does. The phase does not wait for the end.`,
		Args: []Arg{
			{Name: "name", Type: String, Required: true, Doc: "Name of the VolumeSnapshotContent."},
		},
		Effects: []string{`delete VolumeSnapshotContent {{.name}}`},
		Rules: []Rule{
			{Group: snapshotGroup, Resources: []string{"volumesnapshotcontents"}, Verbs: []string{"delete"}, Where: InCluster, NamesArg: "name", Why: "contents are cluster scoped"},
		},
		Repeat: true,
		Example: `- func: DeleteCSISnapshotContent
  name: deleteCSISnapshotContent
  args:
    name: "test-snapshot-content-content-dfc8fa67-8b11-4fdf-bf94-928589c2eed8"
`,
	},
}
