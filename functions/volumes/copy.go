package volumes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/data"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// atOnce is how many volumes are copied at the same time: more would only share the node's network and memory.
const atOnce = 3

// CopyVolumes copies volumes into the location.
type CopyVolumes struct{ spec.Function }

var _ = functions.Register(CopyVolumes{spec.Must("CopyVolumes")})

type copyArgs struct {
	Volumes        string            `mapstructure:"volumes"`
	ArtifactPrefix string            `mapstructure:"artifactPrefix"`
	EncryptionKey  string            `mapstructure:"encryptionKey"`
	PodOverride    map[string]any    `mapstructure:"podOverride"`
	PodLabels      map[string]string `mapstructure:"podLabels"`
	PodAnnotations map[string]string `mapstructure:"podAnnotations"`
}

// cloneLimit is how long a driver may take to make a volume out of a snapshot: some copy all of it. It is that of the snapshot.
const cloneLimit = 2 * time.Hour

// Exec implements functions.Func.
func (f CopyVolumes) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a copyArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	var volumes []Volume
	if err := decodeText("volumes", a.Volumes, &volumes); err != nil {
		return nil, err
	}

	if len(volumes) == 0 {
		return nil, fmt.Errorf("reading argument %q: it names no volumes", "volumes")
	}

	if a.ArtifactPrefix == "" {
		a.ArtifactPrefix = defaultPrefix(run)
	}

	info := BackupInfo{Version: BackupInfoVersion, Namespace: volumes[0].Namespace, Prefix: a.ArtifactPrefix, Volumes: make([]Backup, len(volumes))}
	sum := newSum(run, len(volumes))
	news := make([]int64, len(volumes))

	err := parallel(ctx, len(volumes), func(ctx context.Context, i int) error {
		v := volumes[i]

		backup := Backup{PVC: v.PVC, Method: v.Method, ClaimSpec: v.ClaimSpec}
		if v.Method == Empty {
			info.Volumes[i] = backup
			sum.done(i)

			return nil
		}

		claim, limit := v.PVC, time.Duration(0)
		if v.Clone != "" {
			claim, limit = v.Clone, cloneLimit
		}

		result, err := data.CopyVolume(ctx, run, data.CopyRequest{
			Namespace: v.Namespace, Claim: claim, Source: v.PVC, Prefix: a.ArtifactPrefix, EncryptionKey: a.EncryptionKey, Like: v.Like,
			PodOverride: a.PodOverride, PodLabels: a.PodLabels, PodAnnotations: a.PodAnnotations, Index: v.PVC,
			StartLimit: limit, Progress: func(p record.Progress) { sum.report(i, "volume "+v.PVC, p) },
		})
		if err != nil {
			return fmt.Errorf("copying volume %q: %w", v.PVC, err)
		}

		backup.BackupID, backup.BackupTag, backup.Bytes, backup.Files = result.BackupID, result.BackupTag, result.Bytes, result.Files
		info.Volumes[i], news[i] = backup, result.BytesNew
		sum.done(i)

		return copied(ctx, run, v)
	})
	if err != nil {
		forget(ctx, run, info, a.EncryptionKey)

		return nil, err
	}

	return copyOutputs(info, news)
}

func copyOutputs(info BackupInfo, news []int64) (map[string]any, error) {
	var bytes, files, added int64

	for i, v := range info.Volumes {
		bytes += v.Bytes
		files += v.Files
		added += news[i]
	}

	text, err := encode(info)

	return map[string]any{
		"backupInfo": text, "prefix": info.Prefix, "size": fmt.Sprint(bytes), "fileCount": fmt.Sprint(files), "newBytes": fmt.Sprint(added),
		"volumeCount": fmt.Sprint(len(info.Volumes)),
	}, err
}

// forget removes what a failed or cancelled copy has stored already; nobody would know its ids. A run that is taken up again keeps it:
// the next attempt finds most of it stored.
func forget(ctx context.Context, run *functions.Run, info BackupInfo, key string) {
	var ids []string

	for _, v := range info.Volumes {
		if v.BackupID != "" {
			ids = append(ids, v.BackupID)
		}
	}

	if len(ids) == 0 || functions.Leaving(ctx) {
		return
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()

	if _, err := data.DeleteSnapshots(ctx, run, data.DeleteRequest{Prefix: info.Prefix, EncryptionKey: key, BackupIDs: ids}); err != nil {
		run.Journal.Warn(fmt.Sprintf("backups %s of the failed copy stay in the location: %v", strings.Join(ids, ", "), err))
	}
}

// defaultPrefix is where the backups of one target lie: kanister/<namespace>/<kind>-<name>.
func defaultPrefix(run *functions.Run) string {
	kind := strings.ToLower(run.Input.Target.Kind)
	if kind == "persistentvolumeclaim" {
		kind = "pvc"
	}

	return fmt.Sprintf("kanister/%s/%s-%s", namespaceOf(run, ""), kind, run.Input.Target.Name)
}

// parallel runs work for 0…n-1, few at once, and ends the rest when one fails.
func parallel(ctx context.Context, n int, work func(context.Context, int) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var (
		group sync.WaitGroup
		slots = make(chan struct{}, atOnce)
		errs  = make([]error, n)
	)

	for i := range n {
		group.Go(func() {
			select {
			case slots <- struct{}{}:
			case <-inner.Done():
				return
			}
			defer func() { <-slots }()

			if errs[i] = functions.Recovered(func() error { return work(inner, i) }); errs[i] != nil {
				cancel(errs[i])
			}
		})
	}

	group.Wait()

	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	// What failed first is the reason; the others were only ended by it.
	if first := context.Cause(inner); first != nil {
		return first
	}

	return errors.Join(errs...)
}

// sum adds up the progress of several volumes.
type sum struct {
	run   *functions.Run
	mu    sync.Mutex
	parts []record.Progress
	ended []bool
}

func newSum(run *functions.Run, n int) *sum {
	return &sum{run: run, parts: make([]record.Progress, n), ended: make([]bool, n)}
}

func (s *sum) report(i int, what string, p record.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.parts[i] = p
	s.tell(what, p.Message)
}

func (s *sum) done(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.ended[i] = true
	s.parts[i].Rate = 0
	s.tell("", "")
}

// tell is called with the lock held.
func (s *sum) tell(what, message string) {
	var total record.Progress

	known, ended := true, 0

	for i, p := range s.parts {
		total.BytesDone += p.BytesDone
		total.BytesNew += p.BytesNew
		total.FilesDone += p.FilesDone
		total.Rate += p.Rate

		if s.ended[i] {
			ended++
			total.BytesTotal += max(p.BytesTotal, p.BytesDone)
			total.FilesTotal += max(p.FilesTotal, p.FilesDone)

			continue
		}

		total.BytesTotal += p.BytesTotal
		total.FilesTotal += p.FilesTotal
		known = known && p.BytesTotal > 0
	}

	// A total that lacks volumes would make the percentage run backwards.
	if !known {
		total.BytesTotal, total.FilesTotal = 0, 0
	}

	if total.BytesTotal > 0 {
		percent := int(min(100, 100*total.BytesDone/total.BytesTotal))
		total.Percent = &percent
	}

	switch {
	case message != "" && message != what: // the mover's own words; it begins with the volume alone
		total.Message = what + ": " + message
	case len(s.parts) > 1:
		total.Message = fmt.Sprintf("%d of %d volumes", ended, len(s.parts))
	default:
		total.Message = what
	}

	s.run.Journal.Progress(total)
}
