package ebs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// replaceAll puts the new claims in the place of the old ones. From here on there is no way back.
func (s *session) replaceAll(ctx context.Context, namespace string, all []*restoration) error {
	hold := "ebs/" + s.run.Phase
	if err := s.run.Journal.HoldUndo(ctx, hold, "not all volumes are restored"); err != nil {
		return err
	}

	touched := s.run.Attempt > 1

	for i, r := range all {
		if r.done {
			touched = true

			continue
		}

		s.run.Journal.Progress(record.Progress{Message: fmt.Sprintf("making claim %s again (%d of %d)", r.claim, i+1, len(all))})

		begun, err := s.replace(ctx, namespace, r)
		touched = touched || begun

		if err != nil {
			return s.halfDone(ctx, hold, touched, all, err)
		}
	}

	for _, r := range all {
		if err := s.waitBound(ctx, namespace, r); err != nil {
			return s.halfDone(ctx, hold, true, all, err)
		}
	}

	return s.run.Journal.FreeUndo(ctx, hold)
}

// halfDone says what is restored and what is not.
func (s *session) halfDone(ctx context.Context, hold string, touched bool, all []*restoration, cause error) error {
	if functions.Leaving(ctx) {
		return cause // a successor goes on
	}

	if !touched {
		return errors.Join(cause, s.run.Journal.FreeUndo(ctx, hold))
	}

	var restored, others []string

	for _, r := range all {
		if r.done {
			restored = append(restored, r.claim)
		} else {
			others = append(others, r.claim)
		}
	}

	s.run.Journal.Warn(fmt.Sprintf("half restored: claims made again: %s; not: %s. What was scaled down stays so on purpose: restore again, then start it",
		cmp.Or(strings.Join(restored, ", "), "none"), cmp.Or(strings.Join(others, ", "), "none")))

	return cause
}

// replace deletes the claim that is in the way and makes the new one. begun: the old one is not what it was.
func (s *session) replace(ctx context.Context, namespace string, r *restoration) (begun bool, err error) {
	client := s.run.Kube.Clientset.CoreV1().PersistentVolumeClaims(namespace)

	if r.there != nil {
		// Snapshots and volumes were waited for since. A claim that is deleted while a pod uses it goes when the pod does, and nobody makes it again.
		if err := s.unused(ctx, namespace, []*restoration{r}); err != nil {
			return false, err
		}

		if err := s.run.Kube.Retry(ctx, func(ctx context.Context) error {
			return client.Delete(ctx, r.claim, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &r.there.UID}})
		}); err != nil && !apierrors.IsNotFound(err) {
			return false, explain(fmt.Sprintf("deleting persistentvolumeclaim %q in namespace %q", r.claim, namespace), err)
		}

		s.run.Journal.Event(fmt.Sprintf("claim %s deleted, to make it again from snapshot %s", r.claim, r.SnapshotID))

		if err := s.run.Kube.WaitGone(ctx, corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"), namespace, r.claim, min(deleteLimit, max(s.Left(), time.Second))); err != nil {
			return true, err
		}
	}

	// The old one is gone: without the new one there would be none, so that a cancel comes too late here.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()

	wanted := s.claimOf(namespace, r)

	if err := s.run.Kube.Retry(ctx, func(ctx context.Context) error {
		_, err := client.Create(ctx, wanted, metav1.CreateOptions{})

		return err
	}); err != nil && !s.isOurs(ctx, namespace, r, err) {
		if apierrors.IsAlreadyExists(err) {
			return true, &kube.Error{
				Reason: "AlreadyExists", Message: fmt.Sprintf("making persistentvolumeclaim %q in namespace %q again: somebody else has made one in the meantime", r.claim, namespace),
				Hint: "scale down the StatefulSet or pause the tool that makes the claim, then restore again",
			}
		}

		return true, explain(fmt.Sprintf("making persistentvolumeclaim %q in namespace %q again", r.claim, namespace), err)
	}

	r.done = true

	s.run.Journal.Event(fmt.Sprintf("claim %s made again on volume %s", r.claim, r.volume))

	return true, nil
}

// deleteLimit is how long a claim may take to go: what holds it are pods that use it.
const deleteLimit = 5 * time.Minute

// isOurs tells whether a create that failed because the claim exists has, in an attempt without an answer, made it.
func (s *session) isOurs(ctx context.Context, namespace string, r *restoration, err error) bool {
	if !apierrors.IsAlreadyExists(err) {
		return false
	}

	claim, err := s.run.Kube.Claim(ctx, namespace, r.claim)

	return err == nil && claim.Annotations[annotationPhase] == s.id && claim.DeletionTimestamp == nil
}
