package source

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// RepositoryServer finds a RepositoryServer by FILE (its Secrets in the same file or in the cluster) or `[NAMESPACE/]NAME`, a custom
// resource that an upstream installation has left. The result is resolved: it holds the passwords of the server's user.
func (r *Resolver) RepositoryServer(ctx context.Context, word, namespace string) (*params.RepositoryServer, error) {
	var (
		documents *blueprint.Documents
		err       error
	)

	if isFile(word) {
		documents, err = r.serverFile(word)
	} else {
		documents, err = r.serverResource(ctx, word, namespace)
	}

	if err != nil {
		return nil, err
	}

	server := documents.RepositoryServers[0]
	if server.Namespace == "" {
		server.Namespace = namespace
	}

	resolved, err := params.ResolveRepositoryServer(ctx, r.secretAmong(documents.Secrets, server.Namespace), server)
	if err != nil {
		err = coded(err)
		if exit.Of(err) == exit.NotPermitted {
			return nil, err
		}

		return nil, exit.New(exit.Usage, err, "")
	}

	return resolved, nil
}

func (r *Resolver) serverFile(file string) (*blueprint.Documents, error) {
	data, err := r.readFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading RepositoryServer %q: %w", file, err)
	}

	documents, err := blueprint.LoadAll(file, data)
	if err != nil {
		return nil, exit.New(exit.Usage, fmt.Errorf("reading RepositoryServer %q: %w", file, err), "")
	}

	if n := len(documents.RepositoryServers); n != 1 {
		return nil, exit.New(exit.Usage, fmt.Errorf("reading RepositoryServer %q: it holds %d documents of this kind, want one", file, n), "")
	}

	return documents, nil
}

func (r *Resolver) serverResource(ctx context.Context, word, namespace string) (*blueprint.Documents, error) {
	ns, name := place(word, namespace)

	if given := r.givenServer(ns, name); given != nil {
		return given, nil
	}

	data, err := r.customYAML(ctx, "repositoryservers", ns, name)
	if absent(err) {
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for RepositoryServer %q: no custom resource of this name in namespace %q", word, ns),
			"a manifest of it will do: --repository-server FILE.yaml")
	}

	if err != nil {
		return nil, fmt.Errorf("reading RepositoryServer %q: %w", word, coded(err))
	}

	server, err := blueprint.LoadRepositoryServer("repositoryserver.cr.kanister.io "+ns+"/"+name, data)
	if err != nil {
		return nil, exit.New(exit.Usage, err, "")
	}

	return &blueprint.Documents{RepositoryServers: []*blueprint.RepositoryServer{server}}, nil
}

// secretAmong reads Secrets from a manifest's documents, else from the cluster.
func (r *Resolver) secretAmong(given []corev1.Secret, fallback string) params.GetSecret {
	return func(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
		for i := range given {
			secret := &given[i]
			if secret.Name == name && (secret.Namespace == "" || namespace == "" || secret.Namespace == namespace) {
				return withData(secret), nil
			}
		}

		return r.secret(fallback)(ctx, namespace, name)
	}
}
