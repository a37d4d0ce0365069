package functest_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// patience is how long a cancelled function may go on: one that may have made a pod tries for half a minute to take it back.
const patience = 40 * time.Second

const (
	ebsInfo    = `[{"SnapshotID":"snap-0123456789abcdef0","Type":"EBS","PVCName":"data","Region":"eu-test-1","PVC":"data","Az":"eu-test-1a","Tags":[],"VolumeType":"gp3","Encrypted":false}]`
	allInfo    = `{"app-0":{"PodName":"app-0","BackupID":"k1","BackupTag":"t1"}}`
	volumeInfo = `{"version":1,"namespace":"namespace","prefix":"p","volumes":[{"pvc":"data","method":"snapshot","backupID":"k1","spec":{"size":"1Gi","accessModes":["ReadWriteOnce"]}}]}`
)

// arguments that lead each function to its first request.
func arguments(address string) map[string]map[string]any {
	prefix := "bucket/prefix"
	cloud := func(more map[string]any) map[string]any {
		args := map[string]any{"region": "eu-test-1", "endpoint": "http://" + address, "namespace": "namespace"}
		for name, value := range more {
			args[name] = value
		}

		return args
	}
	condition := map[string]any{"anyOf": []any{map[string]any{"condition": "true", "objectReference": map[string]any{"apiVersion": "v1", "resource": "pods", "name": "x", "namespace": "y"}}}}

	return map[string]map[string]any{
		"BackupData":                     {"namespace": "namespace", "pod": "app-0", "container": "main", "includePath": "/data", "backupArtifactPrefix": prefix},
		"BackupDataAll":                  {"namespace": "namespace", "pods": "app-0", "container": "main", "includePath": "/data", "backupArtifactPrefix": prefix},
		"BackupDataStats":                {"namespace": "namespace", "backupArtifactPrefix": prefix, "backupID": "k1"},
		"BackupDataUsingKopiaServer":     {"namespace": "namespace", "pod": "app-0", "container": "main", "includePath": "/data"},
		"CheckRepository":                {"backupArtifactPrefix": prefix},
		"CopyVolumeData":                 {"namespace": "namespace", "volume": "data", "dataArtifactPrefix": prefix},
		"CopyVolumeDataUsingKopiaServer": {"namespace": "namespace", "volume": "data"},
		"CopyVolumes":                    {"volumes": `[{"pvc":"data","namespace":"namespace","method":"live","spec":{"size":"1Gi","accessModes":["ReadWriteOnce"]}}]`},
		"CreateCSISnapshot":              {"namespace": "namespace", "pvc": "data", "snapshotClass": "class"},
		"CreateCSISnapshotStatic":        {"name": "s", "namespace": "namespace", "driver": "d", "handle": "h", "snapshotClass": "class"},
		"CreateRDSSnapshot":              cloud(map[string]any{"instanceID": "db"}),
		"CreateVolumeFromSnapshot":       cloud(map[string]any{"snapshots": ebsInfo}),
		"CreateVolumeSnapshot":           cloud(map[string]any{"pvcs": []any{"data"}}),
		"DeleteCSISnapshot":              {"name": "s", "namespace": "namespace"},
		"DeleteCSISnapshotContent":       {"name": "c"},
		"DeleteData":                     {"namespace": "namespace", "backupArtifactPrefix": prefix, "backupID": "k1"},
		"DeleteDataAll":                  {"namespace": "namespace", "backupArtifactPrefix": prefix, "backupInfo": allInfo},
		"DeleteDataUsingKopiaServer":     {"namespace": "namespace", "backupID": "k1", "image": "i"},
		"DeleteRDSSnapshot":              cloud(map[string]any{"snapshotID": "s"}),
		"DeleteVolumeBackups":            {"backupInfo": volumeInfo},
		"DeleteVolumeSnapshot":           cloud(map[string]any{"snapshots": ebsInfo}),
		"ExportRDSSnapshotToLocation":    cloud(map[string]any{"instanceID": "db", "snapshotID": "s", "dbEngine": "PostgreSQL", "username": "u", "password": "p", "backupArtifactPrefix": prefix, "databases": []any{"one"}}),
		"KubeExec":                       {"namespace": "namespace", "pod": "app-0", "container": "main", "command": []any{"true"}},
		"KubeExecAll":                    {"namespace": "namespace", "pods": "app-0", "containers": "main", "command": []any{"true"}},
		"KubeOps":                        {"namespace": "namespace", "operation": "create", "spec": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}"},
		"KubeTask":                       {"namespace": "namespace", "image": "i", "command": []any{"true"}},
		"LocationCheck":                  {},
		"LocationDelete":                 {"artifact": "s3://bucket/prefix/x"},
		"MultiContainerRun":              {"namespace": "namespace", "backgroundImage": "i", "backgroundCommand": []any{"true"}, "outputImage": "i", "outputCommand": []any{"true"}},
		"PrepareData":                    {"namespace": "namespace", "image": "i", "command": []any{"true"}, "volumes": map[string]any{"data": "/data"}},
		"QuiesceVolumes":                 {"mode": "scale-down"},
		"ReleaseEBS":                     cloud(map[string]any{"what": "snapshots", "id": "i"}),
		"ReleaseRDSInstance":             cloud(map[string]any{"instanceID": "db", "tag": "t"}),
		"ReleaseVolumes":                 {},
		"RestoreCSISnapshot":             {"name": "s", "namespace": "namespace", "pvc": "data", "storageClass": "class", "restoreSize": "1Gi"},
		"RestoreData":                    {"namespace": "namespace", "image": "i", "backupArtifactPrefix": prefix, "backupIdentifier": "k1", "volumes": map[string]any{"data": "/data"}},
		"RestoreDataAll":                 {"namespace": "namespace", "image": "i", "backupArtifactPrefix": prefix, "backupInfo": allInfo},
		"RestoreDataUsingKopiaServer":    {"namespace": "namespace", "backupIdentifier": "k1", "restorePath": "/data", "volumes": map[string]any{"data": "/data"}},
		"RestoreRDSSnapshot":             cloud(map[string]any{"instanceID": "db", "snapshotID": "s"}),
		"RestoreVolumes":                 {"backupInfo": volumeInfo},
		"ScaleWorkload":                  {"namespace": "namespace", "name": "app", "kind": "deployment", "replicas": 0},
		"SnapshotVolumes":                {},
		"Wait":                           {"timeout": "1m", "conditions": condition},
		"WaitForSnapshotCompletion":      cloud(map[string]any{"snapshots": ebsInfo}),
		"WaitV2":                         {"timeout": "1m", "conditions": condition},
	}
}

// TestCancelledWhileAServiceHangs: whatever a function asks first, the API server, the store or AWS, takes its request and never answers;
// the function ends soon after it is cancelled, and says that it did not succeed. What functions leave when they are cancelled half-way is
// for the cluster: see cancelledBy.
func TestCancelledWhileAServiceHangs(t *testing.T) {
	known := arguments("")

	for _, entry := range spec.All() {
		args, ok := known[entry.ID]
		if !ok {
			t.Errorf("no arguments for %s", entry.ID)

			continue
		}

		t.Run(entry.ID, func(t *testing.T) {
			t.Parallel()

			address, asked := hangs(t)
			args = arguments(address)[entry.ID]

			f, _ := functions.Default.Lookup(entry.ID)

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()

			done := make(chan error, 1)

			go func() {
				_, err := f.Exec(ctx, hangingRun(t, address), args)
				done <- err
			}()

			select {
			case <-asked:
			case err := <-done:
				t.Fatalf("it ended before it asked anybody: %v", err)
			case <-time.After(time.Minute):
				t.Fatal("it asks nobody")
			}

			cancel()

			select {
			case err := <-done:
				if err == nil {
					t.Error("it was cancelled and succeeded")
				}
			case <-time.After(patience):
				t.Errorf("it goes on %s after it was cancelled", patience)
			}
		})
	}
}

// hangs is a server that takes connections and never answers. The channel is closed when the first request has come.
func hangs(t *testing.T) (address string, asked <-chan struct{}) {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	var (
		once  sync.Once
		first = make(chan struct{})
	)

	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}

			t.Cleanup(func() { _ = connection.Close() })

			go func() {
				if n, _ := connection.Read(make([]byte, 1)); n > 0 {
					once.Do(func() { close(first) })
				}
			}()
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })

	return listener.Addr().String(), first
}

// hangingRun is a run all of whose services are at address.
func hangingRun(t *testing.T, address string) *functions.Run {
	t.Helper()

	client, err := kube.NewClient(&rest.Config{Host: "http://" + address})
	if err != nil {
		t.Fatal(err)
	}

	profile := &params.Profile{
		Name: "p", Location: blueprint.Location{Type: blueprint.LocationS3, Bucket: "bucket", Endpoint: "http://" + address, Region: "eu-test-1"},
		Credential:         params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: strings.Repeat("s", 20)}},
		RepositoryPassword: "password",
	}

	run := functest.Run()
	run.Kube = client
	run.Params.Profile = profile
	run.Input.Profile = (*record.Profile)(nil)

	return run
}
