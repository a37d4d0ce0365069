// Package data holds the functions that move files between volumes and the object store, over kopia repositories: BackupData,
// RestoreData, CopyVolumeData and their kin (COMPAT §4.6–4.12, §4.18, §4.19), and the Go calls that other families move whole volumes
// with. What reads or writes a volume is a worker pod with the data mover (package mover); what only needs the repository
// (DeleteData, BackupDataStats, CheckRepository) runs in the runner: fewer pods, fewer rights.
package data
