package volumes

import (
	"context"
	"fmt"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/data"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

// DeleteVolumeBackups deletes what CopyVolumes stored.
type DeleteVolumeBackups struct{ spec.Function }

var _ = functions.Register(DeleteVolumeBackups{spec.Must("DeleteVolumeBackups")})

type deleteArgs struct {
	BackupInfo    string `mapstructure:"backupInfo"`
	EncryptionKey string `mapstructure:"encryptionKey"`
	ReclaimSpace  bool   `mapstructure:"reclaimSpace"`
}

// Exec implements functions.Func.
func (f DeleteVolumeBackups) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a deleteArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	info, err := readBackupInfo(a.BackupInfo)
	if err != nil {
		return nil, err
	}

	var ids []string

	for _, v := range info.Volumes {
		if v.BackupID != "" {
			ids = append(ids, v.BackupID)
		}
	}

	if len(ids) == 0 {
		return map[string]any{"spaceFreed": "0"}, nil
	}

	freed, err := data.DeleteSnapshots(ctx, run, data.DeleteRequest{Prefix: info.Prefix, EncryptionKey: a.EncryptionKey, BackupIDs: ids, Reclaim: a.ReclaimSpace, MissingOK: true})
	if err != nil {
		return nil, err
	}

	return map[string]any{"spaceFreed": fmt.Sprint(freed)}, nil
}
