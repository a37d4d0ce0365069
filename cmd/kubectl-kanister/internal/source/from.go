package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Latest as the word after --from means the newest backup of the target.
const Latest = "latest"

// ActionSetPrefix is what From.Name begins with if it is an ActionSet.
const ActionSetPrefix = "actionset/"

// recordWords stand before the slash of a run record's name; the long ones are what get -o name prints.
var recordWords = []string{"run", "runs", "run.kanister.io", "backup", "backups", "backup.kanister.io"}

// From is what a finished run gives to a restore or a delete.
type From struct {
	// Name is the run's name, or actionset/NAME.
	Name      string
	Artifacts map[string]blueprint.Artifact
	Target    blueprint.ObjectReference
	// Profile is the name of the profile that the run used; "" if none, or not known.
	Profile string
	// Blueprint is the word by which the run's blueprint is found again; Kept is the copy in the run's record, which wins.
	Blueprint string
	Kept      *Blueprint
	// Server is the word for the run's RepositoryServer; "" if it had none.
	Server string
	// Options, ConfigMaps and Secrets of the run's action; known for ActionSets only.
	Options             map[string]string
	ConfigMaps, Secrets map[string]blueprint.ObjectReference
	// Created is when the run was asked for; zero if not known.
	Created metav1.Time
}

// From finds the run by the word the user gave:
//
//	RUN, run/RUN, backup/RUN   a run record in namespace; also as -o name prints it
//	latest                     the newest backup that is complete and was not deleted; of target, if one is given, else of the
//	                           only target in namespace that has any
//	actionset/[NAMESPACE/]NAME an ActionSet of an upstream installation
//	FILE                       a run record or an ActionSet in a file
//
// A run that is not complete, or has left nothing, is refused with the reason.
func (r *Resolver) From(ctx context.Context, word, namespace string, target *blueprint.ObjectReference) (*From, error) {
	switch kind, rest, prefixed := strings.Cut(word, "/"); {
	case isFile(word):
		return r.fromFile(word, target)
	case prefixed && slices.Contains([]string{"actionset", "actionsets", "actionset.cr.kanister.io"}, kind):
		ns, name := place(rest, namespace)

		data, err := r.customYAML(ctx, "actionsets", ns, name)
		if err != nil {
			code := exit.Of(coded(err))

			return nil, exit.New(code, fmt.Errorf("reading ActionSet %q: %w", ns+"/"+name, err),
				"upstream's ActionSets lie where its controller was installed: --from actionset/NAMESPACE/NAME; a file of it will do: --from FILE.yaml")
		}

		return fromActionSet("actionset.cr.kanister.io "+ns+"/"+name, data, target)
	case prefixed && !slices.Contains(recordWords, kind):
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for run %q: %q is neither a file (./%s) nor actionset/", word, kind, word), "kubectl kanister get runs -n "+namespace)
	case word == Latest:
		return r.latest(ctx, namespace, target)
	case prefixed:
		return r.fromRun(ctx, rest, namespace)
	default:
		return r.fromRun(ctx, word, namespace)
	}
}

func (r *Resolver) fromRun(ctx context.Context, run, namespace string) (*From, error) {
	held, err := r.Kubernetes.CoreV1().ConfigMaps(namespace).Get(ctx, run, metav1.GetOptions{})

	switch {
	case apierrors.IsNotFound(err), err == nil && held.Labels[record.LabelRecord] != "true":
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for run %q: no run record of this name in namespace %q", run, namespace),
			"kubectl kanister get backups -n "+namespace)
	case err != nil:
		return nil, fmt.Errorf("reading run %q: %w", run, coded(err))
	}

	from, err := r.fromRecord(held)
	if err != nil {
		return nil, err
	}

	if deletion, err := r.deletedBy(ctx, namespace, run, from.Created.Time); err != nil {
		return nil, err
	} else if deletion != "" {
		return nil, exit.New(exit.Usage, fmt.Errorf("using run %q: what it stored was deleted by run %q", run, deletion), "kubectl kanister get backups -n "+namespace)
	}

	return from, nil
}

// latest takes the newest complete run with artifacts that is not itself a restore or a delete and was not deleted since. Without
// a target there must be only one that has such runs: which of several applications is overwritten must not depend on which was
// backed up last.
func (r *Resolver) latest(ctx context.Context, namespace string, target *blueprint.ObjectReference) (*From, error) {
	selector := []string{record.LabelRecord + "=true", record.LabelState + "=" + string(record.Complete)}
	of := ""

	if target != nil {
		selector = append(selector, record.LabelTargetKind+"="+record.LabelValue(target.Kind), record.LabelTargetName+"="+record.LabelValue(target.Name))
		of = " of " + target.Kind + "/" + target.Name
	}

	list, err := r.Kubernetes.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: strings.Join(selector, ",")})
	if err != nil {
		return nil, fmt.Errorf("listing the runs of namespace %q: %w", namespace, coded(err))
	}

	records := list.Items
	slices.SortFunc(records, func(a, b corev1.ConfigMap) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })

	var found *From

	for i := range records {
		action := records[i].Labels[record.LabelAction]
		if action == "restore" || action == "delete" || found != nil && labelled(&records[i], found.Target) {
			continue
		}

		from, err := r.fromRun(ctx, records[i].Name, namespace)

		switch {
		case err != nil && exit.Of(err) != exit.Usage:
			return nil, err
		case err != nil || len(from.Artifacts) == 0:
		case target != nil:
			return from, nil
		case found == nil:
			found = from
		default:
			return nil, exit.New(exit.Usage, fmt.Errorf("looking for the latest backup: namespace %q has backups of more than one target: %s/%s, %s/%s",
				namespace, found.Target.Kind, found.Target.Name, from.Target.Kind, from.Target.Name),
				fmt.Sprintf("name the target: %s/%s --from latest", found.Target.Kind, found.Target.Name))
		}
	}

	if found != nil {
		return found, nil
	}

	return nil, exit.New(exit.Usage, fmt.Errorf("looking for the latest backup%s: there is no complete one in namespace %q", of, namespace),
		"kubectl kanister get backups -n "+namespace)
}

// labelled tells whether a record is of a run on target.
func labelled(held *corev1.ConfigMap, target blueprint.ObjectReference) bool {
	return held.Labels[record.LabelTargetKind] == record.LabelValue(target.Kind) && held.Labels[record.LabelTargetName] == record.LabelValue(target.Name)
}

// deletedBy names a complete delete run that used run, or "". One from before created had another run of that name.
func (r *Resolver) deletedBy(ctx context.Context, namespace, run string, created time.Time) (string, error) {
	list, err := r.Kubernetes.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: strings.Join([]string{
		record.LabelRecord + "=true", record.LabelAction + "=delete", record.LabelState + "=" + string(record.Complete),
	}, ",")})
	if apierrors.IsForbidden(err) {
		return "", nil // a courtesy: the delete run itself is the guard
	}

	if err != nil {
		return "", fmt.Errorf("listing the delete runs of namespace %q: %w", namespace, err)
	}

	for i := range list.Items {
		if deletion, err := record.Decode(&list.Items[i]); err == nil && deletion.From == run && deletion.Created.After(created) {
			return deletion.Run, nil
		}
	}

	return "", nil
}

func (r *Resolver) fromRecord(held *corev1.ConfigMap) (*From, error) {
	run, err := record.Decode(held)
	if err != nil {
		return nil, fmt.Errorf("reading run %q: %w", held.Name, err)
	}

	switch run.State {
	case record.Complete:
	case record.Failed, record.Cancelled:
		text := string(run.State)
		if run.Error != nil {
			text += ": " + run.Error.Message
		}

		return nil, exit.New(exit.Usage, fmt.Errorf("using run %q: it is %s", run.Run, text), "kubectl kanister get backups -n "+run.Namespace)
	default:
		return nil, exit.New(exit.Usage, fmt.Errorf("using run %q: it is still %s", run.Run, run.State), fmt.Sprintf("kubectl kanister wait %s -n %s", run.Run, run.Namespace))
	}

	from := &From{
		Name: run.Run, Artifacts: run.Artifacts, Target: run.Target, Profile: run.Profile, Blueprint: again(run.Blueprint),
		Created: metav1.NewTime(run.Created), Server: run.Server,
	}

	if text := held.Data[record.KeyBlueprint]; text != "" {
		kept, err := r.parse("of run "+run.Run, []byte(text), FromRun)
		if err != nil {
			return nil, err
		}

		from.Kept = kept
	}

	return from, nil
}

// again is the word by which a record's blueprint is found again; "" for a file, which only the user knows.
func again(info record.BlueprintInfo) string {
	switch info.Source {
	case BuiltIn:
		return "builtin/" + info.Name
	case ConfigMap:
		return "configmap/" + info.Name
	case Cluster:
		return "blueprint/" + info.Name
	default:
		return ""
	}
}

func (r *Resolver) fromFile(file string, target *blueprint.ObjectReference) (*From, error) {
	data, err := r.readFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading run %q: %w", file, err)
	}

	var head metav1.TypeMeta
	if data, err = only(data, &head); err != nil {
		return nil, exit.New(exit.Usage, fmt.Errorf("reading run %q: %w", file, err), "")
	}

	switch head.Kind {
	case "ActionSet":
		return fromActionSet(file, data, target)
	case "ConfigMap", "Run", "Backup", "":
		held := &corev1.ConfigMap{}
		err := yaml.Unmarshal(data, held)

		if head.Kind != "ConfigMap" { // a bare record, as backup and get print it with -o json or yaml
			held, err = wrap(data)
		}

		if err != nil {
			return nil, exit.New(exit.Usage, fmt.Errorf("reading run %q: %w", file, err), "")
		}

		return r.fromRecord(held)
	default:
		return nil, exit.New(exit.Usage, fmt.Errorf("reading run %q: it is a %s, want one run record or ActionSet", file, head.Kind), "")
	}
}

// only is the object in data, or the only one in the list that get prints, and reads its head.
func only(data []byte, head *metav1.TypeMeta) ([]byte, error) {
	var list struct {
		metav1.TypeMeta `json:",inline"`

		Items []json.RawMessage `json:"items"`
	}

	err := yaml.Unmarshal(data, &list)
	if *head = list.TypeMeta; err != nil || head.Kind != "List" {
		return data, err
	}

	if len(list.Items) != 1 {
		return nil, fmt.Errorf("it is a list of %d, want one run record or ActionSet", len(list.Items))
	}

	return list.Items[0], yaml.Unmarshal(list.Items[0], head)
}

// wrap makes a record that stands alone readable like one from the cluster. What get prints has the run's name and namespace as
// metadata.
func wrap(data []byte) (*corev1.ConfigMap, error) {
	object := map[string]any{}
	if err := yaml.Unmarshal(data, &object); err != nil {
		return nil, err
	}

	if metadata, ok := object["metadata"].(map[string]any); ok {
		object["run"], object["namespace"] = metadata["name"], metadata["namespace"]
	}

	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}

	var r record.Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}

	if r.SchemaVersion == "" || r.Run == "" {
		return nil, errors.New("it has no schemaVersion, or no run")
	}

	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: r.Run, Namespace: r.Namespace},
		Data:       map[string]string{record.KeyState: string(r.State), record.KeyRecord: string(raw)},
	}, nil
}

// fromActionSet takes the artifacts of a complete ActionSet. One with several actions is used for the one on target, or for
// the only one that left artifacts.
func fromActionSet(where string, data []byte, target *blueprint.ObjectReference) (*From, error) {
	set, err := blueprint.LoadActionSet(where, data)
	if err != nil {
		return nil, exit.New(exit.Usage, fmt.Errorf("reading ActionSet %s: %w", where, err), "")
	}

	chosen, err := artifactsOf(where, set, target)
	if err != nil {
		return nil, err
	}

	action := set.Status.Actions[chosen]
	from := &From{
		Name: ActionSetPrefix + set.Name, Artifacts: action.Artifacts, Target: action.Object, Created: set.CreationTimestamp,
		Blueprint: "blueprint/" + set.Namespace + "/" + action.Blueprint,
	}

	if set.Namespace == "" {
		from.Blueprint = action.Blueprint
	}

	if set.Spec != nil && chosen < len(set.Spec.Actions) {
		asked := set.Spec.Actions[chosen]
		from.Options, from.ConfigMaps, from.Secrets = asked.Options, asked.ConfigMaps, asked.Secrets

		if asked.Profile != nil && asked.Profile.Name != "" {
			from.Profile = placed(*asked.Profile, set.Namespace)
		}

		if asked.RepositoryServer != nil && asked.RepositoryServer.Name != "" {
			from.Server = placed(*asked.RepositoryServer, set.Namespace)
		}
	}

	return from, nil
}

// placed is the word for an object that an ActionSet names: in the namespace that the reference names, else in the ActionSet's.
func placed(ref blueprint.ObjectReference, namespace string) string {
	return strings.TrimPrefix(cmp.Or(ref.Namespace, namespace)+"/"+ref.Name, "/")
}
