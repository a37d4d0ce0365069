package diagnose

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

// Bounds of Tail.
const (
	tailTime  = 5 * time.Second
	tailBytes = 64 << 10
)

// Tail reads the last lines of a container's log, within five seconds.
func Tail(ctx context.Context, client kubernetes.Interface, namespace, pod, container string, lines int64) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, tailTime)
	defer cancel()

	stream, err := client.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, TailLines: &lines}).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the log of pod %s/%s: %w", namespace, pod, err)
	}
	defer stream.Close()

	text, err := io.ReadAll(io.LimitReader(stream, tailBytes))
	if err != nil {
		return nil, fmt.Errorf("reading the log of pod %s/%s: %w", namespace, pod, err)
	}

	trimmed := strings.TrimRight(string(text), "\n")
	if trimmed == "" {
		return nil, nil
	}

	return strings.Split(trimmed, "\n"), nil
}
