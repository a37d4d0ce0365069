//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// request is one request in the API server's audit log.
type request struct {
	Stage      string `json:"stage"`
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	Object struct {
		Group       string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
	Annotations map[string]string `json:"annotations"`
}

func (r request) resource() string {
	if r.Object.Subresource == "" {
		return r.Object.Resource
	}

	return r.Object.Resource + "/" + r.Object.Subresource
}

func (r request) denied() bool {
	return r.Annotations["authorization.k8s.io/decision"] == "forbid"
}

// mark is a place in the audit log, which is rotated when it is large.
type mark struct {
	file os.FileInfo
	from int64
}

// auditMark is the end of the audit log now; Requests need not look at what is before.
func (w *World) auditMark() mark {
	w.Helper()

	info, err := os.Stat(env(w.T, "KANISTER_AUDIT_LOG"))
	if err != nil {
		w.Fatal(err)
	}

	return mark{file: info, from: info.Size()}
}

// Requests are those of users whose name begins with prefix since the audit log was at m.
func (w *World) Requests(prefix string, m mark) []request {
	w.Helper()

	current := env(w.T, "KANISTER_AUDIT_LOG")

	rotated, err := filepath.Glob(strings.TrimSuffix(current, ".log") + "-*.log") // their names are times
	if err != nil {
		w.Fatal(err)
	}

	logs := append(rotated, current)
	begin := slices.IndexFunc(logs, func(path string) bool {
		info, err := os.Stat(path)

		return err == nil && os.SameFile(info, m.file)
	})

	if begin < 0 {
		w.Fatalf("the audit log of the test's beginning is not among %q any more", logs)
	}

	var found []request

	for i, path := range logs[begin:] {
		from := m.from
		if i > 0 {
			from = 0
		}

		found = append(found, w.requestsIn(path, prefix, from)...)
	}

	return found
}

func (w *World) requestsIn(path, prefix string, from int64) []request {
	w.Helper()

	log, err := os.Open(path)
	if err != nil {
		w.Fatal(err)
	}
	defer log.Close()

	if _, err := log.Seek(from, io.SeekStart); err != nil {
		w.Fatal(err)
	}

	var found []request

	needle := []byte(`"username":"` + prefix)
	scanner := bufio.NewScanner(log)
	scanner.Buffer(nil, 16<<20)

	for scanner.Scan() {
		if !bytes.Contains(scanner.Bytes(), needle) {
			continue
		}

		var r request
		if json.Unmarshal(scanner.Bytes(), &r) == nil && strings.HasPrefix(r.User.Username, prefix) {
			found = append(found, r)
		}
	}

	if err := scanner.Err(); err != nil {
		w.Fatal(err)
	}

	return found
}

// declared is one rule that the plan declares for a run. Namespace is "" for the cluster.
type declared struct {
	rbacv1.PolicyRule

	Namespace string
}

func (d declared) String() string {
	return fmt.Sprintf("%s: %s %s/%s %s", cmp.Or(d.Namespace, "cluster"), strings.Join(d.Verbs, ","), strings.Join(d.APIGroups, ","),
		strings.Join(d.Resources, ","), strings.Join(d.ResourceNames, ","))
}

// allows tells whether the rule is what allows r.
func (d declared) allows(r request) bool {
	return slices.Contains(d.Verbs, r.Verb) && slices.Contains(d.APIGroups, r.Object.Group) && slices.Contains(d.Resources, r.resource()) &&
		(d.Namespace == "" || d.Namespace == r.Object.Namespace) &&
		(len(d.ResourceNames) == 0 || slices.Contains(d.ResourceNames, r.Object.Name))
}

// Declared are the rules that a run of this name would get, by its dry run, without those that only a dry run has.
func (w *World) Declared(run string, args ...string) []declared {
	w.Helper()

	var rules []declared

	dry := w.Want(0, append(slices.Clone(args), "--name", run, "--dry-run=client", "-o", "yaml")...)
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(dry.Stdout)))

	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			w.Fatal(err)
		}

		var role rbacv1.Role // a ClusterRole has the same rules, and no namespace
		if err := yaml.Unmarshal(text, &role); err != nil {
			w.Fatal(err)
		}

		if role.Kind != "Role" && role.Kind != "ClusterRole" {
			continue
		}

		for _, rule := range role.Rules {
			adoption := slices.Equal(rule.ResourceNames, []string{run}) && !slices.Contains(rule.Resources, "configmaps")
			if !adoption {
				rules = append(rules, declared{rule, role.Namespace})
			}
		}
	}

	if len(rules) == 0 {
		w.Fatalf("no rules in the dry run:\n%s", dry.Stdout)
	}

	return rules
}

// Exactly runs an action (args as on the command line) that has to end with code, and checks by the audit log that the run has
// used exactly the rules that its plan declares: no request was denied, and no verb is unused but those that not every run uses
// (spec.Rule: Spare, Optional).
func (w *World) Exactly(code int, args ...string) record.Record {
	w.Helper()

	run := fmt.Sprintf("run-%x", time.Now().UnixNano()&0xffffff)
	from := w.auditMark()
	rules := w.Declared(run, args...)
	rec := w.Finished(w.Want(code, append(slices.Clone(args), "--name", run, "-o", "json")...))
	requests := w.Requests("system:serviceaccount:"+w.Namespace+":", from)

	w.nothingDenied(&rec, requests)
	w.usedExactly(&rec, rules, requests, true)

	return rec
}

// rulesWereRight checks every run of the test that is still there, whatever the test was about: no request of a run was denied,
// and no rule of a completed one is unused. Verbs of used rules are left to Exactly.
func (w *World) rulesWereRight() {
	w.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	runs, err := w.Client.CoreV1().ConfigMaps(w.Namespace).List(ctx, metav1.ListOptions{LabelSelector: record.LabelRecord})
	if err != nil || len(runs.Items) == 0 {
		return
	}

	requests := w.Requests("system:serviceaccount:"+w.Namespace+":", w.audit)

	for i := range runs.Items {
		rec, err := record.Decode(&runs.Items[i])
		if err != nil {
			continue
		}

		role, err := w.Client.RbacV1().Roles(w.Namespace).Get(ctx, rec.Run, metav1.GetOptions{})
		if err != nil {
			continue // it has a ServiceAccount of somebody else's, or its Job is gone and the Role with it
		}

		w.nothingDenied(rec, requests)

		if rec.State != record.Complete {
			continue
		}

		var rules []declared
		for _, rule := range role.Rules {
			rules = append(rules, declared{rule, w.Namespace})
		}

		w.usedExactly(rec, rules, requests, false)
	}
}

// nothingDenied checks that no request of the run was denied, but for what a run may lack.
func (w *World) nothingDenied(rec *record.Record, requests []request) {
	w.Helper()

	spare := spareOf(rec)

	for _, r := range w.ofRun(rec, requests) {
		one := declared{rbacv1.PolicyRule{
			Verbs: []string{r.Verb}, APIGroups: []string{r.Object.Group}, Resources: []string{r.resource()}, ResourceNames: []string{r.Object.Name},
		}, r.Object.Namespace}
		if r.denied() && !spare(one) {
			w.Errorf("run %s: denied: %s %s: %s", rec.Run, r.Verb, r.RequestURI, r.Status.Message)
		}
	}
}

func (w *World) ofRun(rec *record.Record, requests []request) []request {
	return slices.DeleteFunc(slices.Clone(requests), func(r request) bool {
		return r.User.Username != "system:serviceaccount:"+w.Namespace+":"+rec.Run
	})
}

// usedExactly checks that the run has used every rule, and if strict every verb of them.
func (w *World) usedExactly(rec *record.Record, rules []declared, requests []request, strict bool) {
	w.Helper()

	requests = w.ofRun(rec, requests)
	if len(requests) < 3 {
		w.Errorf("the audit log has %d requests of run %s: too few to be all", len(requests), rec.Run)

		return
	}

	spare := spareOf(rec)

	for _, rule := range rules {
		var unused []string

		used := func(verb string) bool {
			one := rule
			one.Verbs = []string{verb}

			return slices.ContainsFunc(requests, one.allows) || spare(one)
		}

		for _, verb := range rule.Verbs {
			// What the list has shown already need not be watched for.
			if !used(verb) && (verb != "watch" || !used("list")) {
				unused = append(unused, verb)
			}
		}

		switch {
		case len(unused) == 0:
		case strict || len(unused) == len(rule.Verbs):
			w.Errorf("run %s: declared and not used: %s of %s", rec.Run, strings.Join(unused, ","), rule)
		}
	}
}

// spareOf tells which rules with one verb may be unused in rec: those of the functions that ran, and those that every run has.
func spareOf(rec *record.Record) func(declared) bool {
	bad := []spec.Rule{
		{Resources: []string{"events"}, Verbs: []string{"list"}},
		{Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch", "update", "patch"}, NamesArg: rec.Run},
		{Group: "batch", Resources: []string{"jobs"}, Verbs: []string{"get"}, NamesArg: rec.Run}, // when it is told to go
	}

	phases := slices.Clone(rec.Phases)
	if rec.Defer != nil {
		phases = append(phases, *rec.Defer)
	}

	for _, phase := range phases {
		function, _ := spec.Lookup(phase.Func)
		for _, rule := range function.Rules {
			if rule.Spare || rule.Optional {
				bad = append(bad, rule)
			}
		}
	}

	return func(d declared) bool {
		return slices.ContainsFunc(bad, func(rule spec.Rule) bool {
			if !slices.Contains(rule.Verbs, d.Verbs[0]) {
				return false
			}

			if rule.NamesArg == rec.Run && !slices.Equal(d.ResourceNames, []string{rec.Run}) {
				return false
			}

			if rule.Where == spec.InDocument {
				return true
			}

			return d.APIGroups[0] == rule.Group && !slices.ContainsFunc(d.Resources, func(r string) bool { return !slices.Contains(rule.Resources, r) })
		})
	}
}
