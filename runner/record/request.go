package record

import (
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// ParamsRequest is what the input asks of the template parameters; now becomes .Time.
func (in *Input) ParamsRequest(now time.Time) params.Request {
	return params.Request{
		Namespace: in.Namespace, Target: in.Target, Profile: in.Profile.Params(), RepositoryServer: in.RepositoryServer, Artifacts: in.Artifacts, Options: in.Options,
		ConfigMaps: in.ConfigMaps, Secrets: in.Secrets, Stopped: in.Stopped,
		PodOverride: in.PodOverride, PodLabels: in.PodLabels, PodAnnotations: in.PodAnnotations,
		Now: now,
	}
}

// ProfileOf is a resolved profile as it travels in the Input. A nil profile gives nil.
func ProfileOf(p *params.Profile) *Profile {
	if p == nil {
		return nil
	}

	return &Profile{
		Name: p.Name, Location: p.Location, Credential: p.Credential, SkipSSLVerify: p.SkipSSLVerify,
		CABundle: p.CABundle, RepositoryPassword: p.RepositoryPassword,
	}
}
