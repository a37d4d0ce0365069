package profile

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// bucketOptions are what profiles of object stores share.
type bucketOptions struct {
	createOptions

	Bucket, Endpoint, Region string
	SkipVerify               bool
	CABundle                 string
}

func newBucketOptions(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) bucketOptions {
	return bucketOptions{createOptions: createOptions{IOStreams: streams, Getter: getter, Environ: os.LookupEnv}}
}

// addFlags adds those of all object stores, in kanctl's words.
func (o *bucketOptions) addFlags(fs *pflag.FlagSet, bucket, endpoint string) {
	fs.StringVarP(&o.Bucket, "bucket", "b", "", bucket)
	fs.StringVarP(&o.Endpoint, "endpoint", "e", "", endpoint)
	fs.BoolVar(&o.SkipVerify, "skip-ssl-verification", false, "Trust any certificate; better --ca-bundle")
	fs.StringVar(&o.CABundle, "ca-bundle", "", "File with PEM certificates to trust in addition to the system's")
	o.createOptions.addFlags(fs)
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if strings.EqualFold(name, "skip-SSL-verification") { // kanctl's spelling
			name = "skip-ssl-verification"
		}

		return pflag.NormalizedName(name)
	})
}

// name takes the profile's name from the arguments, or the bucket's.
func (o *bucketOptions) name(args []string) {
	o.Name = label(o.Bucket)
	if len(args) > 0 {
		o.Name = args[0]
	}
}

func wrong(hint, format string, args ...any) error {
	return exit.New(exit.Usage, fmt.Errorf(format, args...), hint)
}

// checkBucket refuses what cannot be meant.
func (o *bucketOptions) checkBucket() error {
	switch {
	case o.Bucket == "":
		return wrong("", "flag --bucket: it is missing")
	case strings.ContainsAny(o.Bucket, "/:"):
		return wrong("the path in the bucket goes into --prefix", "flag --bucket: %q is no bucket name", o.Bucket)
	case o.SkipVerify && o.CABundle != "":
		return wrong("", "flags --skip-ssl-verification and --ca-bundle: give one of them")
	default:
		return nil
	}
}

// profile is what the shared flags say of it.
func (o *bucketOptions) profile(kind blueprint.LocationType) (*params.Profile, error) {
	profile := &params.Profile{
		Location:      blueprint.Location{Type: kind, Bucket: o.Bucket, Endpoint: o.Endpoint, Prefix: strings.Trim(o.Prefix, "/"), Region: o.Region},
		SkipSSLVerify: o.SkipVerify,
	}

	if o.CABundle != "" {
		bundle, err := os.ReadFile(o.CABundle) // the user's own file, named on his command line
		if err != nil {
			return nil, exit.New(exit.Usage, fmt.Errorf("flag --ca-bundle: %w", err), "")
		}

		profile.CABundle = string(bundle)
	}

	return profile, nil
}

// checkEndpoint refuses what is no URL of a service; exposed is what an unencrypted one gives away.
func (o *createOptions) checkEndpoint(flag, endpoint, example, exposed string) error {
	if endpoint == "" {
		return nil
	}

	u, err := url.Parse(endpoint)
	if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		err = errors.New("it must begin with https:// or http:// and name a host")
	}

	if err == nil && (u.User != nil || u.RawQuery != "") {
		err = errors.New("it must hold neither user nor query")
	}

	if err != nil {
		return exit.New(exit.Usage, fmt.Errorf("flag --%s: %w", flag, err), example)
	}

	if u.Scheme == "http" {
		fmt.Fprintf(o.ErrOut, "warning: %s is not encrypted: %s the network in the clear\n", endpoint, exposed)
	}

	return nil
}
