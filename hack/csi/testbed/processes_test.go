package testbed

import (
	"slices"
	"strings"
	"testing"
)

func TestProcesses(t *testing.T) {
	all, err := Processes(Config{StateDir: "/state", KubeletDir: "/kubelet", Kubeconfig: "/admin.conf", NodeName: "node"})
	if err != nil {
		t.Fatal(err)
	}
	const socket = "/kubelet/plugins_registry/btrfs.csi.kanister.test-reg.sock"
	for i, want := range []struct{ name, program, arg string }{
		{"btrfs-csi", "btrfs-csi", "--socket=" + socket},
		{"csi-provisioner", "csi-provisioner", "--csi-address=" + socket},
		{"csi-snapshotter", "csi-snapshotter", "--csi-address=" + socket},
		{"snapshot-controller", "snapshot-controller", "--kubeconfig=/admin.conf"},
		{"ebs-csi", "btrfs-csi", "--socket=/kubelet/plugins_registry/ebs.csi.aws.com-reg.sock"},
	} {
		p := all[i]
		if p.Name != want.name || p.Args[0] != "keep" || !strings.Contains(p.Args[1], want.program) || !slices.Contains(p.Args, want.arg) {
			t.Errorf("process %d = %s %s %q, want %s with %s, kept", i, p.Name, p.Path, p.Args, want.name, want.arg)
		}
	}
	if all[0].Ready == nil || all[4].Ready == nil {
		t.Error("nobody waits for the drivers")
	}
}

func TestSnapshotDefinitionsAreComplete(t *testing.T) {
	all, err := snapshotDefinitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"VolumeSnapshot", "VolumeSnapshotContent", "VolumeSnapshotClass", "VolumeGroupSnapshotClass"} {
		if !slices.ContainsFunc(all, func(d []byte) bool { return strings.Contains(string(d), "    kind: "+kind+"\n") }) {
			t.Errorf("no definition of %s", kind)
		}
	}
}
