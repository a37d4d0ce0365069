package spec

const (
	serverDoc = "With a RepositoryServer (`--repository-server`: a manifest, or a custom resource that Kanister has left) the data goes through that server, whose certificate is pinned; the server must run, and have the user. Without one, the run serves the repository at `<profile's prefix>/<backupArtifactPrefix>` itself: by TLS with a certificate, a user and a password that are made for this phase alone, so that the keys of the object store never leave the runner's pod. Snapshots made in either way open with kopia's own command line, through a server or directly; those of a repository that the run serves are those of BackupData. See docs/kopia-server.md."

	serverHangsDoc = "A server that stops answering ends the phase within about a minute, one that answers while nothing moves after ten."

	serverDiffersDoc = "Different from upstream: no sidecar and no kopia binary are needed; the wrong certificate, the wrong user and a server that is gone are errors of their own; without `repositoryServerUserHostname` the first hostname in order is taken, where upstream takes any, and so does not see its own snapshots when there are several."
)

var (
	serverHostArg   = Arg{Name: "repositoryServerUserHostname", Type: String, Default: "the first hostname, in order, in the user access Secret", Doc: "Hostname of the server's user: a key of the user access Secret. A user sees the snapshots of his own hostname only. Only with a RepositoryServer."}
	serverPrefixArg = Arg{Name: "backupArtifactPrefix", Type: String, Default: "`kopia`", Doc: "Where the repository lies in the profile's location, if the run serves it itself. Ours."}
	snapshotTagsArg = Arg{Name: "snapshotTags", Type: String, Doc: "Tags of the snapshot: `name:value`, separated by commas."}
	serverImageArg  = Arg{Name: "image", Type: String, Doc: "Accepted for upstream's sake: the runner image moves the data."}
	decimalOutputs  = []Output{
		{Name: "backupID", Type: String, Doc: "Unique ID of the snapshot."},
		{Name: "size", Type: String, Doc: "Size of all files, such as 6.7 GB."},
		{Name: "phySize", Type: String, Doc: "What was sent to the server, such as 1.2 MB: data that the repository had already is not."},
	}
)

var kopiaserverFamily = []Function{
	{
		ID: "BackupDataUsingKopiaServer", Family: "kopiaserver",
		Summary: "Back up a directory of a running pod through a kopia repository server.",
		Doc:     "No sidecar is needed: the data is read in the same ways, in the same order, as by BackupData.\n\n" + serverDoc + " " + serverHangsDoc + "\n\n" + moverDoc + "\n\n" + serverDiffersDoc,
		Args: []Arg{
			namespaceArg("Namespace of the pod."),
			{Name: "pod", Type: String, Required: true, Doc: "Name of the pod."},
			{Name: "container", Type: String, Required: true, Doc: "Container in which `includePath` is."},
			{Name: "includePath", Type: String, Required: true, Doc: "Absolute path of the directory or file to back up."},
			snapshotTagsArg, serverHostArg, serverPrefixArg,
		},
		Outputs: decimalOutputs,
		Effects: []string{`read {{.includePath}} of pod {{.namespace}}/{{.pod}} and store it through a repository server`},
		Rules:   sidecarRules("pod"), NeedsServer: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: BackupDataUsingKopiaServer
  name: backupToS3
  args:
    namespace: "{{ .Deployment.Namespace }}"
    pod: "{{ index .Deployment.Pods 0 }}"
    container: kanister-tools
    includePath: /mnt/data
`,
	},
	{
		ID: "CopyVolumeDataUsingKopiaServer", Family: "kopiaserver",
		Summary: "Back up a whole volume through a kopia repository server.",
		Doc: "The volume should not be in use, or its data may change while it is read; if it is in use, the run says so. Restore it with RestoreDataUsingKopiaServer: `volumes: {<volume>: <backupRoot>}` and `restorePath: <backupRoot>`.\n\n" +
			serverDoc + " " + serverHangsDoc + "\n\n" + moverDoc + "\n\nUpstream's reference mentions this function, and no release of it has one; the arguments are those of CopyVolumeData.",
		Args: with([]Arg{
			namespaceArg("Namespace of the volume."),
			{Name: "volume", Type: String, Required: true, Doc: "Name of the PersistentVolumeClaim."},
			{Name: "mountPath", Type: String, Default: "/mnt/vol_data/<volume>", Doc: "Absolute path that the files have in the backup."},
			snapshotTagsArg, serverHostArg, serverPrefixArg, serverImageArg,
		}, podArgs()),
		Outputs: with(decimalOutputs, []Output{{Name: "backupRoot", Type: String, Doc: "The path that the volume's root has in the backup."}}),
		Effects: []string{`read the volume {{.namespace}}/{{.volume}} and store it through a repository server`},
		Rules:   moverRules(), NeedsServer: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: CopyVolumeDataUsingKopiaServer
  name: copyVolume
  args:
    namespace: "{{ .PVC.Namespace }}"
    volume: "{{ .PVC.Name }}"
`,
	},
	{
		ID: "RestoreDataUsingKopiaServer", Family: "kopiaserver",
		Summary: "Restore a backup of BackupDataUsingKopiaServer or CopyVolumeDataUsingKopiaServer into volumes.",
		Doc: "What the backup's directory held comes back in `restorePath` itself: for a backup of `/mnt/data`, that is `/mnt/data` again. (RestoreData appends the path of the backup; upstream's functions differ so.) Files of the same name are replaced; others stay. Owners, modes, times, extended attributes, links and holes come back.\n\nA volume that can be used on one node only and is in use by a running pod elsewhere is refused, with the pod's name. One that is in use on the same node is a warning: scale the workload down first.\n\n" +
			serverDoc + " " + serverHangsDoc + "\n\n" + moverDoc + "\n\n" + serverDiffersDoc + " `image` need not be given, as in the reference's own example. The option `sparseRestore` means nothing: holes always come back.",
		Args: with([]Arg{
			namespaceArg("Namespace of the volumes."),
			serverImageArg,
			{Name: "backupIdentifier", Type: String, Aliases: []string{"backupID"}, Required: true, Doc: "ID of the snapshot."},
			{Name: "restorePath", Type: String, Required: true, Doc: "Absolute path of the directory that gets the backup's content; it lies on a mounted volume."},
			{Name: "pod", Type: String, Doc: "The pod of the target whose volumes are mounted, each where the pod mounts it. The pod need not run."},
			{Name: "volumes", Type: StringMap, Doc: "Names of PersistentVolumeClaims and the paths at which they are mounted."},
			serverHostArg, serverPrefixArg,
		}, podArgs()),
		OneOf:   [][]string{{"pod", "volumes"}},
		Effects: []string{`write the backup {{.backupIdentifier}} to {{.restorePath}} on {{if .volumes}}the volumes{{range $pvc, $path := .volumes}} {{$pvc}}{{end}}{{else}}the volumes of pod {{.pod}}{{end}} in namespace {{.namespace}}`},
		Rules:   moverRules(), NeedsServer: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: ScaleWorkload
  name: shutdownPod
  args:
    namespace: "{{ .Deployment.Namespace }}"
    name: "{{ .Deployment.Name }}"
    kind: Deployment
    replicas: 0
- func: RestoreDataUsingKopiaServer
  name: restoreFromS3
  args:
    namespace: "{{ .Deployment.Namespace }}"
    pod: "{{ index .Deployment.Pods 0 }}"
    backupIdentifier: "{{ .ArtifactsIn.backupIdentifier.KeyValue.id }}"
    restorePath: /mnt/data
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
		ID: "DeleteDataUsingKopiaServer", Family: "kopiaserver",
		Summary: "Delete a backup of BackupDataUsingKopiaServer or CopyVolumeDataUsingKopiaServer.",
		Doc: "It runs in the runner itself: no pod is started, so `namespace` and `image` change nothing. With a RepositoryServer the snapshot is deleted through that server, which reclaims the space when its own maintenance runs; without one the runner opens the repository itself.\n\n" +
			"A backup that is not there is an error, unless the runner died in the middle of deleting it. " + serverHangsDoc + "\n\n" + serverDiffersDoc,
		Args: []Arg{
			namespaceArg("Accepted for upstream's sake."),
			{Name: "backupID", Type: String, Aliases: []string{"backupIdentifier"}, Required: true, Doc: "ID of the snapshot."},
			{Name: "image", Type: String, Doc: "Accepted for upstream's sake; nothing runs in it."},
			serverHostArg, serverPrefixArg,
		},
		Effects:     []string{`delete the backup {{.backupID}} through a repository server`},
		NeedsServer: true, Repeat: true,
		Example: `- func: DeleteDataUsingKopiaServer
  name: DeleteFromObjectStore
  args:
    namespace: "{{ .Deployment.Namespace }}"
    backupID: "{{ .ArtifactsIn.backupIdentifier.KeyValue.id }}"
    image: ghcr.io/kanisterio/kanister-tools:0.89.0
`,
	},
}
