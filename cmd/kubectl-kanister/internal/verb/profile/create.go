package profile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// createOptions are what both kinds of profiles share.
type createOptions struct {
	genericiooptions.IOStreams

	Getter  genericclioptions.RESTClientGetter
	Session *session.Session
	Environ func(string) (string, bool)

	Name         string
	Prefix       string
	Default      bool
	PasswordFile string
	DryRun       bool

	stdinTaken bool
}

func (o *createOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.Prefix, "prefix", "p", o.Prefix, "Path in the location below which everything is kept")
	fs.BoolVar(&o.Default, "default", false, "Make it the namespace's default; the first profile becomes that anyway")
	fs.StringVar(&o.PasswordFile, "repository-password-file", "", "File with the password that encrypts the data, - for standard input; one is generated otherwise")
	fs.BoolVar(&o.DryRun, "dry-run", false, "Print the Secret as YAML, with what is secret in it, and create nothing")
}

// label makes a name of a bucket or a claim.
func label(text string) string {
	return strings.Trim(strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(text)), "-")
}

func (o *createOptions) checkName() error {
	if problems := validation.IsDNS1123Subdomain(o.Name); len(problems) > 0 {
		return exit.New(exit.Usage, fmt.Errorf("naming the profile %q: %s", o.Name, problems[0]), "give a name before the flags")
	}

	return nil
}

// readSecret reads the first line of a file, or of standard input, which can be used once.
func (o *createOptions) readSecret(flag, file string) (string, error) {
	var (
		data []byte
		err  error
	)

	switch {
	case file == "-" && o.stdinTaken:
		return "", exit.New(exit.Usage, fmt.Errorf("flag --%s: standard input is used by another flag already", flag), "")
	case file == "-":
		o.stdinTaken = true
		data, err = io.ReadAll(io.LimitReader(o.In, 1<<20))
	default:
		data, err = os.ReadFile(file) // the user's own file, named on his command line
	}

	if err != nil {
		return "", exit.New(exit.Usage, fmt.Errorf("flag --%s: %w", flag, err), "")
	}

	value := strings.TrimRight(string(data), "\r\n")
	if value == "" {
		return "", exit.New(exit.Usage, fmt.Errorf("flag --%s: %q is empty", flag, file), "")
	}

	return value, nil
}

// password is the given repository password, or a new one.
func (o *createOptions) password() (password string, generated bool, err error) {
	if o.PasswordFile == "" {
		return rand.Text(), true, nil // 130 bits
	}

	password, err = o.readSecret("repository-password-file", o.PasswordFile)

	return password, false, err
}

// store creates the Secret and tells what one must know.
func (o *createOptions) store(ctx context.Context, profile *params.Profile) error {
	if err := o.checkName(); err != nil {
		return err
	}

	password, generated, err := o.password()
	if err != nil {
		return err
	}

	profile.Name, profile.RepositoryPassword = o.Name, password

	secret, err := params.SecretFromProfile(o.Session.Namespace, profile)
	if err != nil {
		return exit.New(exit.Usage, fmt.Errorf("creating profile %q: %w", o.Name, err), "")
	}

	places, err := list(ctx, o.Session, o.Session.Namespace)
	if apierrors.IsForbidden(err) {
		fmt.Fprintf(o.ErrOut, "warning: whether this is the first profile cannot be seen: %v\n", err)

		places, err = nil, nil
	} else if err == nil && len(places) == 0 {
		o.Default = true
	}

	if err != nil {
		return err
	}

	if o.Default {
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, record.AnnotationDefaultProfile, "true")
	}

	if o.DryRun {
		return o.printSecret(secret)
	}

	if _, err := o.Session.Kubernetes.CoreV1().Secrets(secret.Namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return o.explain(ctx, err)
	}

	text := ""
	if o.Default {
		text = ", the default of namespace " + o.Session.Namespace
	}

	fmt.Fprintf(o.ErrOut, "profile/%s created%s\n", o.Name, text)

	var later error
	if o.Default {
		later = makeDefault(ctx, o.Session, o.Name, places)
	}

	if generated {
		fmt.Fprintf(o.ErrOut, `
  repository password  %s

Keep it in a safe place, outside this cluster: it is shown this once, and without it no backup can be read when the
Secret %q is lost with the cluster.

`, password, o.Name)
	}

	fmt.Fprintf(o.ErrOut, "check it with: kubectl kanister profile check %s%s\n", o.Name, o.Session.Commands.Suffix(o.Session.Namespace))

	return later
}

func (o *createOptions) explain(ctx context.Context, err error) error {
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating profile %q: %w", o.Name, err)
	}

	what := "a Secret"

	if existing, getErr := o.Session.Kubernetes.CoreV1().Secrets(o.Session.Namespace).Get(ctx, o.Name, metav1.GetOptions{}); getErr == nil {
		what = "a Secret that is no profile"
		if existing.Labels[record.LabelProfile] == "true" {
			what = "a profile"
		}
	}

	return exit.New(exit.Usage, fmt.Errorf("creating profile %q: %s of this name exists in namespace %q", o.Name, what, o.Session.Namespace),
		"give another name before the flags, or see it with: kubectl kanister profile get "+o.Name+o.Session.Commands.Suffix(o.Session.Namespace))
}

func (o *createOptions) printSecret(secret *corev1.Secret) error {
	text, err := yaml.Marshal(secret)
	if err != nil {
		return fmt.Errorf("printing profile %q: %w", o.Name, err)
	}

	_, err = o.Out.Write(text)

	return err
}

var errTwice = errors.New("give it once")

// oneOf is the value that was given, by flag or by file; giving both is an error.
func (o *createOptions) oneOf(flag, value, file string) (string, error) {
	switch {
	case value != "" && file != "":
		return "", exit.New(exit.Usage, fmt.Errorf("flags --%s and --%s-file: %w", flag, flag, errTwice), "")
	case file != "":
		return o.readSecret(flag+"-file", file)
	default:
		return value, nil
	}
}
