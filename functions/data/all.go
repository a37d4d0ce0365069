package data

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// parallel bounds how many pods move data at once: more would only share one network.
const parallel = 8

type (
	// BackupDataAll backs up a directory of several pods (COMPAT §4.7).
	BackupDataAll struct{ spec.Function }
	// RestoreDataAll restores what BackupDataAll has backed up (COMPAT §4.9).
	RestoreDataAll struct{ spec.Function }
)

var (
	_ = functions.Register(BackupDataAll{spec.Must("BackupDataAll")})
	_ = functions.Register(RestoreDataAll{spec.Must("RestoreDataAll")})
)

// podBackup is one entry of BackupAllInfo; the names are upstream's.
type podBackup struct {
	PodName   string
	BackupID  string
	BackupTag string
}

// Exec implements functions.Func.
func (f BackupDataAll) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a backupArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	pods := list(a.Pods)
	if len(pods) == 0 {
		pods = targetPods(run.Params)
	}

	if len(pods) == 0 {
		return nil, errors.New("reading argument \"pods\": it is absent, and the target has no running pods")
	}

	var (
		mu   sync.Mutex
		info = map[string]podBackup{}
	)

	err := each(ctx, pods, func(ctx context.Context, pod string) error {
		one := a
		one.Pod, one.Prefix = pod, podPrefix(a.Prefix, pod)

		b, err := one.backup(ctx, run, pod)
		if err != nil {
			return err
		}

		mu.Lock()
		defer mu.Unlock()

		info[pod] = podBackup{PodName: pod, BackupID: b.ID, BackupTag: b.Tags[kopia.BackupTag]}

		return nil
	})
	if err != nil {
		a.forget(ctx, run, info)

		return nil, err
	}

	text, err := json.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("writing BackupAllInfo: %w", err)
	}

	return map[string]any{"BackupAllInfo": string(text), "version": version}, nil
}

// forget removes the backups of the other pods when one pod's has failed or the run was cancelled: nobody would know their ids. A run
// that is taken up again keeps them: the next attempt finds most of the data stored.
func (a backupArgs) forget(ctx context.Context, run *functions.Run, made map[string]podBackup) {
	if functions.Leaving(ctx) {
		return
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()

	for _, pod := range slices.Sorted(maps.Keys(made)) {
		if _, err := DeleteSnapshots(ctx, run, DeleteRequest{
			Prefix: podPrefix(a.Prefix, pod), EncryptionKey: a.EncryptionKey, InsecureTLS: a.InsecureTLS, BackupIDs: []string{made[pod].BackupID},
		}); err != nil {
			run.Journal.Warn(fmt.Sprintf("backup %s of pod %s stays in the location: %v", made[pod].BackupID, pod, err))
		}
	}
}

// Exec implements functions.Func.
func (f RestoreDataAll) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a restoreArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	info, err := backupInfo(a.BackupInfo)
	if err != nil {
		return nil, err
	}

	pods := list(a.Pods)
	if len(pods) == 0 {
		pods = targetPods(run.Params)
	}

	if len(pods) == 0 { // scaled down before
		pods = slices.Sorted(maps.Keys(info))
	}

	for _, pod := range pods {
		if info[pod].BackupID == "" {
			return nil, fmt.Errorf("reading argument %q: it holds no backup of pod %q, but of %s; name the pods with the argument pods",
				"backupInfo", pod, strings.Join(slices.Sorted(maps.Keys(info)), ", "))
		}
	}

	return nil, each(ctx, pods, func(ctx context.Context, pod string) error {
		one := a
		one.Pod, one.Prefix, one.BackupID = pod, podPrefix(a.Prefix, pod), info[pod].BackupID

		return one.restore(ctx, run, pod)
	})
}

func backupInfo(text string) (map[string]podBackup, error) {
	var info map[string]podBackup
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return nil, fmt.Errorf("reading argument %q: it is not the BackupAllInfo of BackupDataAll: %w", "backupInfo", err)
	}

	if len(info) == 0 {
		return nil, fmt.Errorf("reading argument %q: it names no backup", "backupInfo")
	}

	return info, nil
}

// podPrefix is the repository of one pod.
func podPrefix(prefix, pod string) string { return location.Join(prefix, pod) }

// targetPods are the target's running pods.
func targetPods(p *params.TemplateParams) []string {
	if w := p.Workload(); w != nil {
		return w.Pods
	}

	return nil
}

// each does the work for all pods, a few at once. One failure does not stop the others; all are reported.
func each(ctx context.Context, pods []string, do func(context.Context, string) error) error {
	var wg sync.WaitGroup

	slots := make(chan struct{}, parallel)
	failures := make([]error, len(pods))

	for i, pod := range pods {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()

			if ctx.Err() != nil {
				failures[i] = context.Cause(ctx)

				return
			}

			failures[i] = functions.Recovered(func() error { return do(ctx, pod) })
		})
	}

	wg.Wait()

	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	return errors.Join(failures...)
}
