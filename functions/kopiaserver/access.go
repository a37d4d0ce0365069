// Package kopiaserver holds the functions that work through a kopia repository server (COMPAT §4.29): one that a RepositoryServer
// describes, or, without such, one that the runner serves for the time of the phase. Files are moved by package data.
package kopiaserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/data"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// defaultPrefix is where the repository lies that the runner serves.
const defaultPrefix = "kopia"

// access are the arguments about the server.
type access struct {
	Hostname string `mapstructure:"repositoryServerUserHostname"`
	Prefix   string `mapstructure:"backupArtifactPrefix"`
}

func (a access) prefix() string {
	if a.Prefix == "" {
		return defaultPrefix
	}

	return a.Prefix
}

// given is the server that the run was given; nil if it was given none.
func (a access) given(run *functions.Run) (*kopia.Server, error) {
	if run.Params == nil || run.Params.RepositoryServer == nil {
		if a.Hostname != "" {
			run.Journal.Event("repositoryServerUserHostname means nothing here: the run has no RepositoryServer and serves the repository itself")
		}

		return nil, nil //nolint:nilnil // none is no error
	}

	server, err := kopia.ServerOf(run.Params.RepositoryServer, a.Hostname)
	if err != nil {
		return nil, data.Failure(err)
	}

	run.Journal.Secret(server.Password)
	run.Journal.Event(fmt.Sprintf("the repository is reached through the server %s as %s", server.URL, server.Account()))

	return server, nil
}

// through calls do with the server that the run was given, or with one of its own, and then with an index for its workers. namespace is
// whose snapshots are made; for a restore it is found by backupID.
func (a access) through(ctx context.Context, run *functions.Run, namespace, backupID string, do func(server *kopia.Server, index string) error) error {
	server, err := a.given(run)
	if err != nil {
		return err
	}

	if server != nil {
		return do(server, "")
	}

	request, err := data.RepositoryAt(run, a.prefix())
	if err != nil {
		return err
	}

	options := request.Options()

	if err := a.forget(ctx, run, namespace); err != nil {
		return err
	}

	if backupID != "" {
		if namespace, err = owner(ctx, options, backupID); err != nil {
			return missing(err)
		}
	}

	address, err := ownAddress(ctx, run.Kube)
	if err != nil {
		return err
	}

	run.Journal.Progress(record.Progress{Message: "starting a repository server in the runner"})

	serving, err := kopia.Serve(ctx, options, address, namespace)
	if err != nil {
		return data.Failure(err)
	}

	run.Journal.Secret(serving.Access.Password)
	run.Journal.Event(fmt.Sprintf("the runner serves the repository at %s to %s, for this phase", serving.Access.URL, serving.Access.Account()))

	err = do(&serving.Access, index(run.Attempt))

	return errors.Join(err, data.Failure(serving.Close(ctx)))
}

// index tells the workers of one runner from those of its predecessors: those know a server that went with its runner.
func index(attempt int) string { return fmt.Sprintf("served-%d", attempt) }

// forget deletes the workers of earlier runners, which have nobody to talk to any more.
func (a access) forget(ctx context.Context, run *functions.Run, namespace string) error {
	for attempt := 1; attempt < run.Attempt; attempt++ {
		pod, err := run.Kube.Adopt(ctx, namespace, record.ObjectName(run.Name, run.Phase, index(attempt)), run.Labels)
		if err != nil {
			return err
		}

		if pod == nil {
			continue
		}

		run.Journal.Event(fmt.Sprintf("pod %s belongs to a runner that is gone, and so is its repository server: it is deleted", pod.Name))

		if err := pod.Delete(ctx); err != nil {
			return err
		}
	}

	return nil
}

// owner is the namespace whose snapshot it is: a server shows it to nobody else.
func owner(ctx context.Context, options kopia.Options, backupID string) (string, error) {
	r, err := kopia.Open(ctx, options)
	if err != nil {
		return "", err
	}

	found, err := r.Find(ctx, backupID, "")

	return found.Source.Namespace, errors.Join(err, r.Close(ctx))
}

// missing adds to an error about a backup that is not there where else it may be.
func missing(err error) error {
	if errors.Is(err, kopia.ErrNotFound) || errors.Is(err, kopia.ErrNoRepository) {
		return &record.Failure{
			Reason: string(location.NotFound), Message: err.Error(),
			Hint: "check the ID, backupArtifactPrefix and the profile; a backup that was made through a repository server is found with --repository-server",
		}
	}

	return data.Failure(err)
}

// ownAddress is this pod's address as other pods reach it: that from which it reaches the API server. Nothing is sent.
func ownAddress(ctx context.Context, client *kube.Client) (string, error) {
	u, err := url.Parse(client.Config.Host)
	if err != nil {
		return "", fmt.Errorf("finding the runner's own address: %w", err)
	}

	host, port := u.Hostname(), u.Port()
	if host == "" { // without a scheme
		host, _, _ = net.SplitHostPort(client.Config.Host)
	}

	if port == "" {
		port = "443"
	}

	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(host, port))
	if err != nil {
		return "", fmt.Errorf("finding the runner's own address: %w", err)
	}
	defer conn.Close() // nothing was sent

	address, _, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		return "", fmt.Errorf("finding the runner's own address: %w", err)
	}

	return address, nil
}
