// Package btrfs keeps volumes and snapshots as btrfs subvolumes in a pool: a file system on a sparse file.
//
// The pool's own state is on the disk only, so a process that dies at any instant is followed by one that carries on:
// a subvolume without a record is what an interrupted create left, a record is the last thing a create writes and the
// last thing a delete removes.
package btrfs
