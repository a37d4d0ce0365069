//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// eavesdropper looks for secret values in everything that somebody may read who may not read Secrets.
type eavesdropper struct {
	w       *World
	needles map[string]string // spelling: which value, and how it is spelt

	mu     sync.Mutex
	seen   map[string]int    // what was looked at, by kind
	found  map[string]string // where: what
	logged map[string]bool   // containers whose log is being read
	wg     sync.WaitGroup
}

// Eavesdrop listens from now on: to every version of every object of every kind in the namespace but Secrets and of every kind that is in
// none, to the whole log of every container, to what the plugin says, to the arguments and the environment of the runner's processes and
// to the arguments of restic's. Stop ends it and fails the test with what it has heard. The values are by a name that may be told.
func (w *World) Eavesdrop(values map[string]string) (stop func()) {
	w.Helper()

	e := &eavesdropper{w: w, needles: spellings(values), seen: map[string]int{}, found: map[string]string{}, logged: map[string]bool{}}
	ctx, cancel := context.WithCancel(w.Context())
	w.ears = e

	for gvr, namespace := range w.watchable() {
		e.wg.Go(func() { e.watch(ctx, gvr, namespace) })
	}

	e.wg.Go(func() { e.processes(ctx) })
	w.Cleanup(cancel)

	return func() {
		w.Helper()
		// What was written last has to arrive.
		time.Sleep(time.Second)
		cancel()
		e.wg.Wait()
		e.audit()

		for where, what := range e.found {
			w.Errorf("%s holds %s", where, what)
		}

		w.Logf("looked at %v", e.seen)

		for _, kind := range []string{"pods", "configmaps", "jobs", "events", "logs", "processes", "requests", "words"} {
			if e.seen[kind] == 0 {
				w.Errorf("heard nothing of %s: the test proves nothing", kind)
			}
		}
	}
}

// spellings are those in which a value may be somewhere, written here without the product's own help.
func spellings(values map[string]string) map[string]string {
	all := map[string]string{}

	for name, value := range values {
		all[value] = name
		encoded, _ := json.Marshal(value)
		all[string(encoded[1:len(encoded)-1])] = name + " in JSON"

		twice, _ := json.Marshal(string(encoded[1 : len(encoded)-1]))
		all[string(twice[1:len(twice)-1])] = name + " in JSON in JSON"

		// In base64 of something longer, a value shows from one of three offsets.
		for offset := range 3 {
			b := base64.StdEncoding.EncodeToString(append(make([]byte, offset), value...))
			if from, to := []int{0, 2, 3}[offset], len(b)-4; to-from >= 8 {
				all[b[from:to]] = name + " in base64"
			}
		}
	}

	return all
}

func (e *eavesdropper) look(kind, where, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()

	e.seen[kind]++

	for needle, name := range e.needles {
		if strings.Contains(text, needle) {
			e.found[kind+" "+where] = name
		}
	}
}

// watchable are the kinds of objects that can be watched, without Secrets, and the namespace to watch them in: "" for those that are in none.
func (w *World) watchable() map[schema.GroupVersionResource]string {
	w.Helper()

	lists, err := w.Client.Discovery().ServerPreferredResources()
	if err != nil {
		w.Fatal(err)
	}

	all := map[schema.GroupVersionResource]string{}

	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			w.Fatal(err)
		}

		for _, r := range list.APIResources {
			switch {
			case !slices.Contains(r.Verbs, "watch") || gv.Group == "" && r.Name == "secrets":
			case r.Namespaced:
				all[gv.WithResource(r.Name)] = w.Namespace
			default:
				all[gv.WithResource(r.Name)] = ""
			}
		}
	}

	return all
}

func (e *eavesdropper) watch(ctx context.Context, gvr schema.GroupVersionResource, namespace string) {
	for ctx.Err() == nil {
		// Without a version it begins with what is there.
		w, err := e.w.Dynamic.Resource(gvr).Namespace(namespace).Watch(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			return // another test's kind, which is gone
		}

		if err != nil {
			if ctx.Err() == nil {
				e.w.Errorf("watching %s: %v", gvr.Resource, err)
			}

			return
		}

		for event := range w.ResultChan() {
			e.event(ctx, gvr, event)
		}
	}
}

func (e *eavesdropper) event(ctx context.Context, gvr schema.GroupVersionResource, event watch.Event) {
	o, ok := event.Object.(*unstructured.Unstructured)
	if !ok {
		return
	}

	raw, err := o.MarshalJSON()
	if err != nil {
		e.w.Errorf("reading %s: %v", gvr.Resource, err)
	}

	e.look(gvr.Resource, o.GetName(), string(raw))

	if gvr.Resource != "pods" {
		return
	}

	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		return
	}

	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		// A command that prints its own secret does so into its own log.
		if status.State.Waiting == nil && !strings.HasSuffix(pod.Name, "-careless") {
			e.log(ctx, pod.Name, status.Name)
		}
	}
}

// log reads a container's log to its end, once.
func (e *eavesdropper) log(ctx context.Context, pod, container string) {
	e.mu.Lock()
	defer e.mu.Unlock()

	if e.logged[pod+"/"+container] {
		return
	}

	e.logged[pod+"/"+container] = true

	e.wg.Go(func() {
		stream, err := e.w.Client.CoreV1().Pods(e.w.Namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Follow: true}).Stream(ctx)
		if err != nil {
			return // gone already
		}
		defer stream.Close()

		for lines := bufio.NewReader(stream); ; {
			line, err := lines.ReadString('\n')
			e.look("logs", pod+"/"+container, line)

			if err != nil {
				return
			}
		}
	})
}

// processes looks at those of the runner in pods of this node.
func (e *eavesdropper) processes(ctx context.Context) {
	for ctx.Err() == nil {
		all, _ := filepath.Glob("/proc/[0-9]*")

		for _, dir := range all {
			line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
			if err != nil {
				continue
			}

			where := filepath.Base(dir) + " " + strings.ReplaceAll(string(line), "\x00", " ")

			switch program, _, _ := bytes.Cut(line, []byte{0}); {
			case string(program) == "/runner":
				environment, _ := os.ReadFile(filepath.Join(dir, "environ"))
				e.look("processes", where, string(line)+string(environment))
			case filepath.Base(string(program)) == "restic":
				e.look("restic", where, string(line))
			}
		}

		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// audit looks at the addresses of the requests that concern the namespace.
func (e *eavesdropper) audit() {
	file, err := os.Open(env(e.w.T, "KANISTER_AUDIT_LOG"))
	if err != nil {
		e.w.Fatal(err)
	}
	defer file.Close()

	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 16<<20)

	for scanner.Scan() {
		var entry struct {
			RequestURI string `json:"requestURI"`
		}

		if json.Unmarshal(scanner.Bytes(), &entry) == nil && strings.Contains(entry.RequestURI, "/"+e.w.Namespace+"/") {
			e.look("requests", strconv.Quote(entry.RequestURI), entry.RequestURI+"\n"+unescaped(entry.RequestURI))
		}
	}

	if err := scanner.Err(); err != nil {
		e.w.Error(fmt.Errorf("reading the audit log: %w", err))
	}
}
