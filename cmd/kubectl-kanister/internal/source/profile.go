package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// createProfile is the next thing to type where there is no profile.
const createProfile = "kubectl kanister profile create --help, which has s3, gcs, azure and file"

// ErrNoProfile: none is named and the namespace has no default.
var ErrNoProfile = errors.New("no profile")

// Profile finds a profile by `[NAMESPACE/]NAME`: our labelled Secret first, then a Profile custom resource of an upstream
// installation. An empty word means the namespace's default: the Secret marked so, or the only one; ErrNoProfile if there is
// none. The result is resolved: it holds the credentials.
func (r *Resolver) Profile(ctx context.Context, word, namespace string) (*record.Profile, error) {
	if word == "" {
		return r.defaultProfile(ctx, namespace)
	}

	ns, name := place(word, namespace)

	if profile, err := r.givenProfile(ctx, ns, name); profile != nil || err != nil {
		return profile, err
	}

	secret, err := r.Kubernetes.CoreV1().Secrets(ns).Get(ctx, name, metav1.GetOptions{})
	if err == nil && secret.Labels[record.LabelProfile] == "true" {
		return r.fromSecret(secret, namespace)
	}

	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading profile %q: %w", word, coded(err))
	}

	isOther := err == nil

	profile, err := r.profileResource(ctx, ns, name)
	if err == nil {
		return r.resolved(ctx, profile, word, ns)
	}

	if !absent(err) {
		return nil, fmt.Errorf("reading profile %q: %w", word, coded(err))
	}

	text := fmt.Sprintf("neither a profile Secret (label %s=true) nor a Profile custom resource of this name in namespace %q", record.LabelProfile, ns)
	if isOther {
		text = fmt.Sprintf("Secret %q in namespace %q is no profile (it has no label %s=true)", name, ns, record.LabelProfile)
	}

	return nil, exit.New(exit.Usage, fmt.Errorf("looking for profile %q: %s%s", word, text, r.others(ctx, ns)), createProfile)
}

// ProfileFile reads a Profile manifest, with its Secrets in the same file or in the cluster.
func (r *Resolver) ProfileFile(ctx context.Context, file, namespace string) (*record.Profile, error) {
	data, err := r.readFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading profile %q: %w", file, err)
	}

	documents, err := blueprint.LoadAll(file, data)
	if err != nil {
		return nil, exit.New(exit.Usage, fmt.Errorf("reading profile %q: %w", file, err), "")
	}

	for i := range documents.Secrets { // what `profile get -o yaml` printed
		if secret := &documents.Secrets[i]; secret.Labels[record.LabelProfile] == "true" && len(documents.Profiles) == 0 {
			return r.fromSecret(secret, namespace)
		}
	}

	if len(documents.Profiles) != 1 {
		return nil, exit.New(exit.Usage, fmt.Errorf("reading profile %q: it holds %d documents of kind Profile, want one", file, len(documents.Profiles)), "")
	}

	profile := documents.Profiles[0]
	if profile.Namespace == "" {
		profile.Namespace = namespace
	}

	resolved, err := params.ResolveProfile(ctx, r.secretAmong(documents.Secrets, namespace), profile)
	if err != nil {
		return nil, fmt.Errorf("reading profile %q: %w", file, coded(err))
	}

	return record.ProfileOf(resolved), nil
}

// withData moves stringData where the API server would.
func withData(secret *corev1.Secret) *corev1.Secret {
	secret = secret.DeepCopy()
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}

	for key, value := range secret.StringData {
		secret.Data[key] = []byte(value)
	}

	secret.StringData = nil

	return secret
}

func (r *Resolver) defaultProfile(ctx context.Context, namespace string) (*record.Profile, error) {
	secrets, err := r.profileSecrets(ctx, namespace)
	if err != nil {
		if exit.Of(coded(err)) == exit.NotPermitted {
			return nil, exit.New(exit.NotPermitted, fmt.Errorf("looking for the default profile of namespace %q: %w", namespace, err),
				"name one with --profile NAME: that needs no right to list Secrets")
		}

		return nil, fmt.Errorf("looking for the default profile of namespace %q: %w", namespace, err)
	}

	var marked []string

	for i := range secrets {
		if secrets[i].Annotations[record.AnnotationDefaultProfile] == "true" {
			marked = append(marked, secrets[i].Name)
		}
	}

	switch {
	case len(secrets) == 0:
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for a place to keep backups: %w in namespace %q", ErrNoProfile, namespace), createProfile)
	case len(marked) > 1:
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for the default profile of namespace %q: %s are all marked as default", namespace, strings.Join(marked, ", ")),
			"name one with --profile NAME")
	case len(marked) == 0 && len(secrets) > 1:
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for the default profile of namespace %q: none of %s is marked as default (annotation %s)",
			namespace, strings.Join(names(secrets), ", "), record.AnnotationDefaultProfile), "name one with --profile NAME")
	case len(marked) == 0:
		return r.fromSecret(&secrets[0], namespace)
	default:
		return r.fromSecret(&secrets[slices.Index(names(secrets), marked[0])], namespace)
	}
}

func (r *Resolver) profileSecrets(ctx context.Context, namespace string) ([]corev1.Secret, error) {
	list, err := r.Kubernetes.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{LabelSelector: record.LabelProfile + "=true"})
	if err != nil {
		return nil, err
	}

	return list.Items, nil
}

// others names the profiles that there are, for an error message; it stays silent if they cannot be listed.
func (r *Resolver) others(ctx context.Context, namespace string) string {
	secrets, err := r.profileSecrets(ctx, namespace)
	if err != nil || len(secrets) == 0 {
		return ""
	}

	return "; there are " + strings.Join(names(secrets), ", ")
}

func (r *Resolver) fromSecret(secret *corev1.Secret, runNamespace string) (*record.Profile, error) {
	resolved, err := params.ProfileFromSecret(secret) //nolint:contextcheck // it asks nobody
	if err != nil {
		return nil, exit.New(exit.Usage, fmt.Errorf("reading profile %q: %w", secret.Name, err), "kubectl kanister profile check "+secret.Name)
	}

	profile := record.ProfileOf(resolved)
	profile.Namespace = secret.Namespace

	if profile.Location.Type == blueprint.LocationFilestore && secret.Namespace != "" && secret.Namespace != runNamespace {
		return nil, exit.New(exit.Usage, fmt.Errorf("using profile %q: its claim %q lies in namespace %q, and a pod in namespace %q cannot mount it",
			secret.Name, profile.Location.ClaimName, secret.Namespace, runNamespace), "use an object store, or a file profile in namespace "+runNamespace)
	}

	return profile, nil
}

func (r *Resolver) profileResource(ctx context.Context, namespace, name string) (*blueprint.Profile, error) {
	data, err := r.customYAML(ctx, "profiles", namespace, name)
	if err != nil {
		return nil, err
	}

	profile, err := blueprint.LoadProfile("profile.cr.kanister.io "+namespace+"/"+name, data)
	if err != nil {
		return nil, exit.New(exit.Usage, err, "")
	}

	return profile, nil
}

// resolved is a Profile custom resource with its credentials.
func (r *Resolver) resolved(ctx context.Context, profile *blueprint.Profile, word, namespace string) (*record.Profile, error) {
	resolved, err := params.ResolveProfile(ctx, r.secret(namespace), profile)
	if err != nil {
		return nil, fmt.Errorf("reading profile %q: resolving its credential: %w", word, coded(err))
	}

	found := record.ProfileOf(resolved)
	found.Namespace = namespace

	return found, nil
}

// secret reads Secrets from the cluster; a reference without a namespace means the profile's own.
func (r *Resolver) secret(fallback string) func(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return func(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
		if namespace == "" {
			namespace = fallback
		}

		return r.Kubernetes.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	}
}

func names(secrets []corev1.Secret) []string {
	all := make([]string, len(secrets))
	for i := range secrets {
		all[i] = secrets[i].Name
	}

	return all
}
