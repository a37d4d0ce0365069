package spec

const (
	repositoryDoc = "The data goes to a kopia repository at `<profile's prefix>/<prefix argument>`; a leading bucket name in the argument is dropped. It is made with the first backup, is encrypted, and several backups in one repository share equal data. It opens with kopia's own command line of the same version."

	moverDoc = "The data moves in a worker pod made from the runner image, on the node where the volume is in use, as the user and groups of the pod that uses the volume (its securityContext). If those are not known from the pod's spec, the worker runs as root with only CHOWN, DAC_OVERRIDE and FOWNER, or, where PodSecurity forbids that, as a non-root user. Credentials reach it as a mounted Secret. Files that could not be read, changed while they were read, or could not be given back their owner are counted and named in a warning. If the runner is lost, its successor adopts the worker."

	inRunnerDoc = "It runs in the runner itself: no pod is started, so `namespace`, `image`, `podOverride`, `podLabels` and `podAnnotations` change nothing. " + resticDoc
	resticDoc   = "A repository that upstream's functions have written with restic is recognised: a pod with the restic of `image` works on it, in `namespace`. Such a repository lies outside the profile's prefix, and its password is `encryptionKey`, else upstream's public constant."

	differsDoc = "Different from upstream: kopia in place of restic (where upstream's restic repository lies at the prefix itself, ours lies in `.kopia` below it, and both are looked through for a backup); a wrong key is an error of its own and never makes a new repository; the profile's prefix counts."
)

var (
	keyArg     = Arg{Name: "encryptionKey", Type: String, Default: "the profile's repository password; else upstream's public constant, with a warning", Doc: "Password of the repository."}
	tlsArg     = Arg{Name: "insecureTLS", Type: Bool, Default: "false", Doc: "Do not verify the object store's certificate."}
	unusedArgs = with([]Arg{
		{Name: "image", Type: String, Default: "upstream's kanister-tools", Doc: "Image with restic, for repositories of upstream's."},
	}, podArgs())
	moverImage = Arg{Name: "image", Type: String, Default: "the runner image", Doc: "Accepted for upstream's sake: the runner image moves the data."}
)

func namespaceArg(doc string) Arg {
	return Arg{Name: "namespace", Type: String, Required: true, Doc: doc}
}

func prefixArg(name, doc string) Arg {
	return Arg{Name: name, Type: String, Required: true, Doc: doc}
}

var sizeOutputs = []Output{
	{Name: "fileCount", Type: String, Doc: "Number of files."},
	{Name: "size", Type: String, Doc: "Size of all files, such as 1.234 MiB."},
	{Name: "phySize", Type: String, Doc: "What was added to the object store, after dedupe and compression, such as 1.234 MiB."},
	versionOutput,
}

var versionOutput = Output{Name: "version", Type: String, Doc: "Version of the function."}

// moverRules are what a worker that mounts volumes needs.
func moverRules(workers ...string) []Rule {
	return with(podRules("namespace", workers...), []Rule{
		{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: "namespace", Why: "mount the volume as its access modes allow, on the right node"},
	})
}

func sidecarRules(podArg string, workers ...string) []Rule {
	rules := moverRules(workers...)
	for i := range rules {
		rules[i].Spare = rules[i].Spare || rules[i].Workers != nil // the container itself may read the data
	}

	return with(rules, []Rule{
		{Resources: []string{"pods", "pods/log"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: "namespace", NamesArg: podArg, Spare: true, Why: "say why the container that reads the data ended"},
		{Resources: []string{"pods/exec"}, Verbs: []string{"create", "get"}, Where: InArg, NamespaceArg: "namespace", NamesArg: podArg, Spare: true, Why: "read data that lies on no volume, in the container itself"},
		{Resources: []string{"pods/ephemeralcontainers"}, Verbs: []string{"patch"}, Where: InArg, NamespaceArg: "namespace", NamesArg: podArg, Optional: true, Why: "read data on volumes that only the pod itself can mount"},
	})
}

const backupDoc = `No sidecar is needed. In this order: a container that runs the runner image moves the data itself; a path on a PersistentVolumeClaim is read by a worker pod that mounts it read-only; a path on another volume by an ephemeral container with the same mounts; anything else as a tar stream, which needs ` + "`tar`" + ` in the container and passes through the API server. The way taken is in the run's events.

` + moverDoc + "\n\n" + repositoryDoc + "\n\n" + differsDoc

// resticRules are what a pod with restic needs, for repositories of upstream's. Who lacks them can work on those of our own.
func resticRules(where Where, namespaceArg string, workers ...string) []Rule {
	rules := podRules(namespaceArg, workers...)
	for i := range rules {
		rules[i].Where = where
		rules[i].Optional, rules[i].Spare = true, true
		rules[i].Why += " (for repositories of upstream's restic)"
	}

	return rules
}

const restoreDoc = `Files come back below ` + "`restorePath`" + ` at the path that they were backed up from: with the default ` + "`/`" + ` where they were. They replace files of the same name; other files stay, unless ` + "`deleteExtra`" + ` is set. Owners, modes, times, extended attributes, links and holes come back.

A volume that can be used on one node only and is in use by a running pod elsewhere is refused, with the pod's name. One that is in use on the same node is a warning: scale the workload down first.

` + moverDoc + "\n\n" + resticDoc + " Files that land on no volume are left out, `backupPath` needs restic 0.16, and `deleteExtra` is refused.\n\n" + differsDoc

var dataFamily = []Function{
	{
		ID: "BackupData", Family: "data",
		Summary: "Back up a directory of a running pod.",
		Doc:     backupDoc,
		Args: []Arg{
			namespaceArg("Namespace of the pod."),
			{Name: "pod", Type: String, Required: true, Doc: "Name of the pod."},
			{Name: "container", Type: String, Required: true, Doc: "Container in which `includePath` is."},
			{Name: "includePath", Type: String, Required: true, Doc: "Absolute path of the directory or file to back up."},
			prefixArg("backupArtifactPrefix", "Where the repository lies in the location."),
			keyArg, tlsArg,
		},
		Outputs: with([]Output{
			{Name: "backupTag", Type: String, Doc: "Unique tag of the backup."},
			{Name: "backupID", Type: String, Doc: "Unique ID of the snapshot."},
		}, sizeOutputs),
		Effects: []string{`read {{.includePath}} of pod {{.namespace}}/{{.pod}} and store it below {{.backupArtifactPrefix}}`},
		Rules:   sidecarRules("pod", ""), NeedsProfile: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: BackupData
  name: BackupToObjectStore
  args:
    namespace: "{{ .Deployment.Namespace }}"
    pod: "{{ index .Deployment.Pods 0 }}"
    container: kanister-tools
    includePath: /mnt/data
    backupArtifactPrefix: s3-bucket/path/artifactPrefix
`,
	},
	{
		ID: "BackupDataAll", Family: "data",
		Summary: "Back up a directory of several pods, all at once, each into a repository of its own.",
		Doc:     backupDoc + "\n\nThe repository of a pod is `<backupArtifactPrefix>/<pod>`. If one pod fails, the phase fails after the others have ended.",
		Args: []Arg{
			namespaceArg("Namespace of the pods."),
			{Name: "pods", Type: String, Default: "all running pods of the target", Doc: "Names of the pods, separated by spaces."},
			{Name: "container", Type: String, Required: true, Doc: "Container in which `includePath` is."},
			{Name: "includePath", Type: String, Required: true, Doc: "Absolute path of the directory or file to back up."},
			prefixArg("backupArtifactPrefix", "Where the repositories lie in the location; the pod's name is appended."),
			keyArg, tlsArg,
		},
		Outputs: []Output{
			{Name: "BackupAllInfo", Type: String, Doc: "JSON by pod: PodName, BackupID, BackupTag. For RestoreDataAll and DeleteDataAll."},
			versionOutput,
		},
		Effects: []string{`read {{.includePath}} of {{with .pods}}the pods {{.}}{{else}}all pods of the target{{end}} in namespace {{.namespace}} and store it below {{.backupArtifactPrefix}}`},
		Rules:   sidecarRules("pods"), NeedsProfile: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: BackupDataAll
  name: BackupToObjectStore
  args:
    namespace: "{{ .Deployment.Namespace }}"
    container: kanister-tools
    includePath: /mnt/data
    backupArtifactPrefix: s3-bucket/path/artifactPrefix
`,
	},
	{
		ID: "RestoreData", Family: "data",
		Summary: "Restore a backup into volumes.",
		Doc:     restoreDoc,
		Args: with([]Arg{
			namespaceArg("Namespace of the volumes."),
			{Name: "image", Type: String, Required: true, Doc: "Image with restic, for repositories of upstream's; else the runner image moves the data."},
			prefixArg("backupArtifactPrefix", "Where the repository lies in the location."),
			{Name: "backupTag", Type: String, Doc: "Tag of the backup; the latest with this tag is taken."},
			{Name: "backupIdentifier", Type: String, Aliases: []string{"backupID"}, Doc: "ID of the backup."},
			{Name: "restorePath", Type: String, Default: "/", Doc: "Absolute path below which files are restored."},
			{Name: "backupPath", Type: String, Doc: "Absolute path of what to restore of the backup, as it was when it was backed up; its content then goes directly to `restorePath`."},
			{Name: "pod", Type: String, Doc: "The pod of the target whose volumes are mounted, each where the pod mounts it. The pod need not run."},
			{Name: "volumes", Type: StringMap, Doc: "Names of PersistentVolumeClaims and the paths at which they are mounted."},
			{Name: "deleteExtra", Type: Bool, Default: "false", Doc: "Delete what the backup does not hold from the restored directory, so that it is exactly as it was. Ours."},
			keyArg, tlsArg,
		}, podArgs()),
		OneOf:       [][]string{{"backupTag", "backupIdentifier"}, {"pod", "volumes"}},
		OpenOutputs: true,
		Effects:     []string{`write the backup at {{.backupArtifactPrefix}} to {{if .volumes}}the volumes{{range $pvc, $path := .volumes}} {{$pvc}}{{end}}{{else}}the volumes of pod {{.pod}}{{end}} in namespace {{.namespace}}`},
		Rules: with(moverRules(""), []Rule{
			{Resources: []string{"pods"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: "namespace", NamesArg: "pod", When: "pod", Spare: true, Why: "find the pod's volumes"},
		}), NeedsProfile: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: ScaleWorkload
  name: ShutdownApplication
  args:
    namespace: "{{ .Deployment.Namespace }}"
    name: "{{ .Deployment.Name }}"
    kind: Deployment
    replicas: 0
- func: RestoreData
  name: RestoreFromObjectStore
  args:
    namespace: "{{ .Deployment.Namespace }}"
    pod: "{{ index .Deployment.Pods 0 }}"
    image: ghcr.io/kanisterio/kanister-tools:0.107.0
    backupArtifactPrefix: s3-bucket/path/artifactPrefix
    backupTag: "{{ .ArtifactsIn.backupInfo.KeyValue.backupIdentifier }}"
- func: ScaleWorkload
  name: StartupApplication
  args:
    namespace: "{{ .Deployment.Namespace }}"
    name: "{{ .Deployment.Name }}"
    kind: Deployment
    replicas: 1
`,
	},
	{
		ID: "RestoreDataAll", Family: "data",
		Summary: "Restore what BackupDataAll has backed up, all pods at once.",
		Doc:     restoreDoc + "\n\nEvery pod must have a backup in `backupInfo`; nothing is restored if one has none.",
		Args: with([]Arg{
			namespaceArg("Namespace of the volumes."),
			{Name: "image", Type: String, Required: true, Doc: "Image with restic, for repositories of upstream's; else the runner image moves the data."},
			prefixArg("backupArtifactPrefix", "Where the repositories lie in the location; the pod's name is appended."),
			{Name: "backupInfo", Type: String, Required: true, Doc: "BackupAllInfo of BackupDataAll."},
			{Name: "restorePath", Type: String, Default: "/", Doc: "Absolute path below which files are restored."},
			{Name: "pods", Type: String, Default: "all pods of the target, or if it has none those of `backupInfo`", Doc: "Names of the pods, separated by spaces."},
			{Name: "deleteExtra", Type: Bool, Default: "false", Doc: "Delete what the backup does not hold from the restored directories. Ours."},
			keyArg, tlsArg,
		}, podArgs()),
		OpenOutputs: true,
		Effects:     []string{`write backups below {{.backupArtifactPrefix}} to the volumes of {{with .pods}}the pods {{.}}{{else}}all pods of the target{{end}} in namespace {{.namespace}}`},
		Rules:       moverRules(), NeedsProfile: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: RestoreDataAll
  name: RestoreFromObjectStore
  args:
    namespace: "{{ .Deployment.Namespace }}"
    image: ghcr.io/kanisterio/kanister-tools:0.107.0
    backupArtifactPrefix: s3-bucket/path/artifactPrefix
    backupInfo: "{{ .ArtifactsIn.params.KeyValue.backupInfo }}"
`,
	},
	{
		ID: "CopyVolumeData", Family: "data",
		Summary: "Back up a whole volume.",
		Doc: `The volume should not be in use, or its data may change while it is read; if it is in use, the run says so.

` + moverDoc + "\n\n" + repositoryDoc + " Restore it with RestoreData: `volumes: {<volume>: <backupRoot>}`.\n\n" + differsDoc,
		Args: with([]Arg{
			namespaceArg("Namespace of the volume."),
			{Name: "volume", Type: String, Required: true, Doc: "Name of the PersistentVolumeClaim."},
			prefixArg("dataArtifactPrefix", "Where the repository lies in the location."),
			{Name: "mountPath", Type: String, Default: "/mnt/vol_data/<volume>", Doc: "Absolute path that the files have in the backup."},
			keyArg, tlsArg, moverImage,
		}, podArgs()),
		Outputs: with([]Output{
			{Name: "backupID", Type: String, Doc: "Unique ID of the snapshot."},
			{Name: "backupRoot", Type: String, Doc: "The path that the volume's root has in the backup."},
			{Name: "backupArtifactLocation", Type: String, Doc: "Where the repository lies, bucket included."},
			{Name: "backupTag", Type: String, Doc: "Unique tag of the backup."},
		}, sizeOutputs),
		Effects: []string{`read the volume {{.namespace}}/{{.volume}} and store it below {{.dataArtifactPrefix}}`},
		Rules:   moverRules(""), NeedsProfile: true, NeedsRunnerImage: true, Repeat: true,
		Example: `- func: CopyVolumeData
  name: examplePhase
  args:
    namespace: "{{ .PVC.Namespace }}"
    volume: "{{ .PVC.Name }}"
    dataArtifactPrefix: s3-bucket-name/path
`,
	},
	{
		ID: "DeleteData", Family: "data",
		Summary: "Delete backups of BackupData or CopyVolumeData.",
		Doc:     inRunnerDoc + " With `reclaimSpace` the space of data that no backup uses is freed; data younger than a day stays until a later call, because a backup that runs meanwhile may be about to use it.\n\n" + differsDoc,
		Args: with([]Arg{
			namespaceArg("Namespace of pods with restic."),
			prefixArg("backupArtifactPrefix", "Where the repository lies in the location; or several, separated by spaces, one for each ID or tag."),
			{Name: "backupID", Type: String, Aliases: []string{"backupIdentifier"}, Doc: "ID of the backup, or several, separated by spaces."},
			{Name: "backupTag", Type: String, Doc: "Tag of the backup, or several, separated by spaces."},
			{Name: "reclaimSpace", Type: Bool, Default: "false", Doc: "Free the space of data that no backup uses."},
			keyArg, tlsArg,
		}, unusedArgs),
		OneOf:        [][]string{{"backupID", "backupTag"}},
		Outputs:      []Output{{Name: "spaceFreed", Type: String, Doc: "What the repository shrank by, such as 1.234 MiB."}},
		Effects:      []string{`delete backup {{with .backupID}}{{.}}{{end}}{{with .backupTag}}{{.}}{{end}} below {{.backupArtifactPrefix}}`},
		NeedsProfile: true, Repeat: true, Rules: resticRules(InArg, "namespace"),
		Example: `- func: DeleteData
  name: DeleteFromObjectStore
  args:
    namespace: "{{ .Namespace.Name }}"
    backupArtifactPrefix: s3-bucket/path/artifactPrefix
    backupTag: "{{ .ArtifactsIn.backupInfo.KeyValue.backupIdentifier }}"
`,
	},
	{
		ID: "DeleteDataAll", Family: "data",
		Summary: "Delete backups of BackupDataAll.",
		Doc:     inRunnerDoc + " One repository after the other; those that are gone already are passed over.\n\n" + differsDoc,
		Args: with([]Arg{
			namespaceArg("Namespace of pods with restic."),
			prefixArg("backupArtifactPrefix", "Where the repositories lie in the location; the pod's name is appended."),
			{Name: "backupInfo", Type: String, Required: true, Doc: "BackupAllInfo of BackupDataAll."},
			{Name: "reclaimSpace", Type: Bool, Default: "false", Doc: "Free the space of data that no backup uses."},
			keyArg, tlsArg,
		}, unusedArgs),
		Outputs:      []Output{{Name: "spaceFreed", Type: String, Doc: "What the repositories shrank by, such as 1.234 MiB."}},
		Effects:      []string{`delete backups below {{.backupArtifactPrefix}}`},
		NeedsProfile: true, Repeat: true, Rules: resticRules(InArg, "namespace"),
		Example: `- func: DeleteDataAll
  name: DeleteFromObjectStore
  args:
    namespace: "{{ .Namespace.Name }}"
    backupArtifactPrefix: s3-bucket/path/artifactPrefix
    backupInfo: "{{ .ArtifactsIn.params.KeyValue.backupInfo }}"
    reclaimSpace: true
`,
	},
	{
		ID: "BackupDataStats", Family: "data",
		Summary: "Measure a backup.",
		Doc:     inRunnerDoc + "\n\n`statsMode` is `restore-size` (files and their bytes), `files-by-contents` (different files), `blobs-per-file` (chunks, before compression) or `raw-data` (chunks, as they are stored).\n\n" + differsDoc,
		Args: with([]Arg{
			namespaceArg("Namespace of pods with restic."),
			prefixArg("backupArtifactPrefix", "Where the repository lies in the location."),
			{Name: "backupID", Type: String, Required: true, Doc: "ID of the backup."},
			{Name: "statsMode", Type: String, Aliases: []string{"mode"}, Default: "restore-size", Values: []string{"restore-size", "raw-data", "blobs-per-file", "files-by-contents"}, Doc: "What is counted."},
			keyArg, tlsArg,
		}, unusedArgs),
		Outputs: []Output{
			{Name: "mode", Type: String, Doc: "What was counted."},
			{Name: "fileCount", Type: String, Doc: "Number of files, or of chunks."},
			{Name: "size", Type: String, Doc: "Their size, such as 1.234 MiB."},
			versionOutput,
		},
		NeedsProfile: true, Repeat: true, Rules: resticRules(InArg, "namespace", ""),
		Example: `- func: BackupDataStats
  name: BackupStats
  args:
    namespace: "{{ .Deployment.Namespace }}"
    backupArtifactPrefix: s3-bucket/path/artifactPrefix
    statsMode: restore-size
    backupID: "{{ .Phases.BackupToObjectStore.Output.backupID }}"
`,
	},
	{
		ID: "CheckRepository", Family: "data",
		Summary: "Tell whether a repository is there and its password right.",
		Doc:     inRunnerDoc + " A repository that is not there, or a wrong password, is an output, not an error; a location that does not answer is an error.\n\n" + differsDoc,
		Args: with([]Arg{
			prefixArg("backupArtifactPrefix", "Where the repository lies in the location."),
			keyArg, tlsArg,
		}, unusedArgs),
		Outputs: []Output{
			{Name: "passwordIncorrect", Type: String, Doc: "`true` if the repository has another password."},
			{Name: "repoUnavailable", Type: String, Doc: "`true` if there is no repository."},
			versionOutput,
		},
		NeedsProfile: true, Repeat: true, Rules: resticRules(InRun, "", ""),
		Example: `- func: CheckRepository
  name: CheckRepo
  args:
    backupArtifactPrefix: s3-bucket/path/artifactPrefix
`,
	},
}
