package ec2

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sizes in GiB that AWS allows a volume, at least and at most.
const leastSize, mostSize = 1, 16384

func (s *Server) createVolume(in input, region string) (map[string]any, error) {
	kind, snapshot, zone := in.text("VolumeType"), in.text("SnapshotId"), in.text("AvailabilityZone")
	if kind == "" {
		kind = "gp2"
	}
	if key := in.text("ClientToken"); key != "" {
		known, request := s.tokens[key], fmt.Sprint(in)
		switch {
		case known.id != "" && known.request != request:
			return nil, refuse("IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request.")
		case known.id != "" && s.volumes[known.id] != nil:
			return maps.Clone(s.volumes[known.id]), nil
		}
	}
	if !strings.HasPrefix(zone, region) {
		return nil, refuse("InvalidZone.NotFound", "The zone '%s' does not exist.", zone)
	}
	size := in.number("Size")
	if snapshot != "" {
		from := s.snapshots[snapshot]
		switch {
		case from == nil:
			return nil, missing("Snapshots", snapshot)
		case from["State"] != "completed":
			return nil, refuse("IncorrectState", "Snapshot is in invalid state - %s", from["State"])
		case size != 0 && size < from["VolumeSize"].(int64):
			return nil, refuse("InvalidParameterValue", "Volume of %dGiB is smaller than snapshot '%s', expect size >= %dGiB", size, snapshot, from["VolumeSize"])
		case size == 0:
			size = from["VolumeSize"].(int64)
		}
	}
	if size < leastSize || size > mostSize {
		return nil, refuse("InvalidParameterValue", "Volume of %dGiB is not supported", size)
	}
	iops, throughput := in.number("Iops"), in.number("Throughput")
	switch provisioned := kind == "io1" || kind == "io2"; {
	case provisioned && iops == 0:
		return nil, refuse("MissingParameter", "The parameter iops must be specified for %s volumes.", kind)
	case !provisioned && kind != "gp3" && iops != 0:
		return nil, refuse("InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", kind)
	case kind != "gp3" && throughput != 0:
		return nil, refuse("InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", kind)
	}
	tags, err := tagsOf(in, "volume")
	if err != nil {
		return nil, err
	}
	id := newID("vol-")
	volume := map[string]any{
		"VolumeId": id, "AvailabilityZone": zone, "Size": size, "VolumeType": kind, "State": "creating", "Tags": tags, "CreateTime": time.Now(),
		"SnapshotId": snapshot, "Encrypted": false,
	}
	switch kind {
	case "gp3":
		volume["Iops"], volume["Throughput"] = max(iops, 3000), max(throughput, 125)
	case "io1", "io2", "gp2":
		volume["Iops"] = max(iops, 3*size, 100)
	}
	path := s.path("volumes", id)
	if err := os.Mkdir(path, 0o777); err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o777); err != nil { // whatever the umask is: any pod may use it
		return nil, err
	}
	if snapshot != "" {
		if err := duplicate(s.path("snapshots", snapshot), path); err != nil {
			return nil, err
		}
	}
	s.volumes[id] = volume
	if key := in.text("ClientToken"); key != "" {
		s.tokens[key] = token{id, fmt.Sprint(in)}
	}
	s.later(func(int) {}, func() { volume["State"] = "available" })
	return maps.Clone(volume), nil
}

func (s *Server) deleteVolume(id string) error {
	switch volume := s.volumes[id]; {
	case volume == nil:
		return missing("Volumes", id)
	case s.attached()[id]:
		return refuse("VolumeInUse", "Volume %s is currently attached", id)
	case volume["State"] == "creating":
		return refuse("IncorrectState", "The volume '%s' is 'creating'", id)
	}
	delete(s.volumes, id)
	return os.RemoveAll(s.path("volumes", id))
}

func (s *Server) createSnapshot(in input) (map[string]any, error) {
	volume := s.volumes[in.text("VolumeId")]
	if volume == nil {
		return nil, missing("Volumes", in.text("VolumeId"))
	}
	tags, err := tagsOf(in, "snapshot")
	if err != nil {
		return nil, err
	}
	id := newID("snap-")
	path := s.path("snapshots", id)
	if err := os.Mkdir(path, 0o777); err != nil {
		return nil, err
	}
	// What is written afterwards is not in it, also while it is pending.
	if err := duplicate(s.path("volumes", in.text("VolumeId")), path); err != nil {
		return nil, err
	}
	snapshot := map[string]any{
		"SnapshotId": id, "VolumeId": in.text("VolumeId"), "VolumeSize": volume["Size"], "State": "pending", "Progress": "0%", "Tags": tags,
		"StartTime": time.Now(), "Description": in.text("Description"), "OwnerId": owner, "Encrypted": false,
	}
	s.snapshots[id] = snapshot
	s.later(func(percent int) { snapshot["Progress"] = fmt.Sprintf("%d%%", percent) }, func() {
		if s.exists("snapshot-error") {
			snapshot["State"], snapshot["StateMessage"] = "error", "Given key ID is not accessible"
			return
		}
		snapshot["State"], snapshot["Progress"] = "completed", "100%"
	})
	return maps.Clone(snapshot), nil
}

func (s *Server) deleteSnapshot(id string) error {
	if s.snapshots[id] == nil {
		return missing("Snapshots", id)
	}
	delete(s.snapshots, id)
	return os.RemoveAll(s.path("snapshots", id))
}

// duplicate copies what is in one directory into another: files, directories and links, with their modes and times.
func duplicate(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			// Also of the root, and with setgid: else the kubelet would give the files of a restored volume to the pod's group anew.
			return errors.Join(os.MkdirAll(target, 0o700), os.Chmod(target, info.Mode()|0o700))
		case entry.Type() == fs.ModeSymlink:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case !entry.Type().IsRegular():
			return nil
		}
		if err := copyFile(path, target, info); err != nil {
			return fmt.Errorf("copying %s: %w", name, err)
		}
		return os.Chtimes(target, info.ModTime(), info.ModTime())
	})
}

func copyFile(from, to string, info fs.FileInfo) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(info.Mode()), out.Close())
}
