package ebs

import (
	"context"
	"fmt"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
)

// Exec implements functions.Func.
func (f DeleteVolumeSnapshot) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(f.Function, run, args)
	if err != nil {
		return nil, err
	}

	infos, err := decode(a.Snapshots)
	if err != nil {
		return nil, err
	}

	return nil, each(len(infos), func(i int) error {
		info := infos[i]

		gone, err := s.drop(ctx, info.Region, info.SnapshotID)

		switch {
		case err != nil:
			return fmt.Errorf("volume %q: %w", info.PVCName, err)
		case gone:
			run.Journal.Event(fmt.Sprintf("snapshot %s of volume %s was gone already", info.SnapshotID, info.PVCName))
		default:
			run.Journal.Event(fmt.Sprintf("snapshot %s of volume %s deleted", info.SnapshotID, info.PVCName))
		}

		return nil
	})
}
