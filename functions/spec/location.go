package spec

var locationFamily = []Function{
	{
		ID: "LocationDelete", Family: "location",
		Summary: "Delete an artifact from the profile's location.",
		Doc: `Deletes the object ` + "`artifact`" + `, and every object below it as a directory (` + "`artifact/`" + `). The artifact may be written as ` + "`path`, `bucket/path` or `s3://bucket/path`" + `; it lies below the profile's prefix. It runs in the runner itself: no pod is started.

An artifact that does not exist is a warning, not an error, so that deleting twice works. An artifact that names the whole bucket, or the whole prefix, is refused.

Different from upstream, where every object whose key starts with the artifact's is deleted (` + "`backup-1` takes `backup-10`" + ` with it), an empty artifact empties the bucket, and the documented form ` + "`s3://bucket/path`" + ` deletes nothing.`,
		Args: []Arg{
			{Name: "artifact", Type: String, Required: true, Doc: "The artifact: `path`, `bucket/path` or `s3://bucket/path`."},
		},
		Outputs: []Output{{Name: "deleted", Type: String, Doc: "How many objects were deleted. Ours."}},
		Effects: []string{`delete the artifact {{.artifact}} from the profile's location`},
		Rules:   nil, NeedsProfile: true, Repeat: true,
		Example: `- func: LocationDelete
  name: LocationDeleteFromObjectStore
  args:
    artifact: s3://bucket/path/artifact
`,
	},
	{
		ID: "LocationCheck", Family: "location", Ours: true,
		Summary: "Put, read, list and delete one small object in the profile's location.",
		Doc:     "What `kubectl kanister profile check` runs. It fails with the reason (wrong key, no bucket, TLS, DNS, clock, …) and a hint what to change. It runs in the runner itself.",
		Outputs: []Output{
			{Name: "steps", Type: String, Doc: "A list of what was tried: name, ok, and for a failure error, reason and hint."},
			{Name: "ok", Type: Bool, Doc: "Whether everything worked."},
		},
		Effects:      []string{`put, read, list and delete one small object in the profile's location`},
		NeedsProfile: true, Repeat: true,
		Example: `- func: LocationCheck
  name: check
`,
	},
}
