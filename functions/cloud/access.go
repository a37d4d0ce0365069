// Package cloud is what the functions around services of AWS share: with whose rights and where they ask, how they wait, and what
// they say of errors.
package cloud

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Attempts of one request, with the SDK's growing pauses: throttling is common where much is watched.
const Attempts = 8

// Values of the argument credentialsSource (COMPAT §4.21).
const (
	fromProfile = "profile"
	fromSecret  = "secret"
	fromPod     = "eks_service_account"
)

// Access are the arguments that say with whose rights a service is asked, and where.
type Access struct {
	Source   string `mapstructure:"credentialsSource"`
	Secret   string `mapstructure:"credentialsSecret"`
	Region   string `mapstructure:"region"`
	Endpoint string `mapstructure:"endpoint"`
}

// Arguments gives the access again as arguments, for the undo list. No secret is in it.
func (a Access) Arguments() map[string]any {
	all := map[string]any{}

	for name, value := range map[string]string{"credentialsSource": a.Source, "credentialsSecret": a.Secret, "region": a.Region, "endpoint": a.Endpoint} {
		if value != "" {
			all[name] = value
		}
	}

	return all
}

// Config is how to ask service ("RDS", for messages): in the region of the argument, else in elsewhere, else in that of the
// credentials. Errors are of type *record.Failure or name the argument.
func (a Access) Config(ctx context.Context, run *functions.Run, service, elsewhere string) (aws.Config, error) {
	profile, err := a.profile(run, service)
	if err != nil {
		return aws.Config{}, err
	}

	config, err := location.AWSConfig(ctx, profile, cmp.Or(a.Region, elsewhere, profile.Location.Region), nil)
	if err != nil {
		return aws.Config{}, &record.Failure{Reason: "Credentials", Message: fmt.Sprintf("opening %s: %v", service, err)}
	}

	if config.Region == "" {
		return aws.Config{}, &record.Failure{
			Reason: "Region", Message: fmt.Sprintf("opening %s: no AWS region is known", service),
			Hint: "give the argument region, or name the region in the profile's location",
		}
	}

	config.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(r *retry.StandardOptions) { r.MaxAttempts = Attempts })
	}

	return config, nil
}

// BaseEndpoint is the argument's, else what the SDK has found (AWS_ENDPOINT_URL_RDS): an option of every service's client.
func (a Access) BaseEndpoint(found *string) *string {
	if a.Endpoint != "" {
		return &a.Endpoint
	}

	return found
}

// profile is one whose credential is what the source names.
func (a Access) profile(run *functions.Run, service string) (*params.Profile, error) {
	switch source := cmp.Or(a.Source, fromProfile); source {
	case fromProfile:
		if run.Params == nil || run.Params.Profile == nil {
			return nil, &record.Failure{
				Reason: "Credentials", Message: fmt.Sprintf("opening %s: the run has no profile, and credentialsSource is profile", service),
				Hint: "name a profile with --profile, or set credentialsSource",
			}
		}

		if t := run.Params.Profile.Location.Type; t != blueprint.LocationS3 {
			return nil, &record.Failure{
				Reason: "Credentials", Message: fmt.Sprintf("opening %s: the profile is for %s and holds no AWS credentials", service, t),
				Hint: "set credentialsSource to secret or eks_service_account",
			}
		}

		return run.Params.Profile, nil
	case fromSecret:
		secret, err := secretOf(run, a.Secret)
		if err != nil {
			return nil, err
		}

		p := &params.Profile{Credential: params.Credential{Type: blueprint.CredentialSecret, Secret: secret}}
		p.Location.Region = cmp.Or(string(secret.Data["region"]), string(secret.Data["aws_region"]), profileRegion(run))

		return p, nil
	case fromPod:
		p := &params.Profile{}
		p.Location.Region = profileRegion(run)

		return p, nil
	default:
		return nil, fmt.Errorf("reading argument %q: %q is none of %s, %s, %s", "credentialsSource", source, fromProfile, fromSecret, fromPod)
	}
}

func profileRegion(run *functions.Run) string {
	if run.Params == nil || run.Params.Profile == nil {
		return ""
	}

	return run.Params.Profile.Location.Region
}

// secretOf finds a Secret of the run or of its phases' objects by the name it has there.
func secretOf(run *functions.Run, name string) (*corev1.Secret, error) {
	if name == "" {
		return nil, fmt.Errorf("reading argument %q: it is empty, and credentialsSource is secret", "credentialsSecret")
	}

	var all []map[string]corev1.Secret

	if p := run.Params; p != nil {
		for _, phase := range []*params.Phase{p.CurrentPhase, p.DeferPhase} {
			if phase != nil {
				all = append(all, phase.Secrets)
			}
		}

		all = append(all, p.Secrets)

		for _, key := range slices.Sorted(maps.Keys(p.Phases)) {
			if phase := p.Phases[key]; phase != nil {
				all = append(all, phase.Secrets)
			}
		}
	}

	for _, secrets := range all {
		if secret, ok := secrets[name]; ok {
			return &secret, nil
		}
	}

	return nil, fmt.Errorf("reading argument %q: neither the run's Secrets nor the objects of a phase have a Secret %q", "credentialsSecret", name)
}
