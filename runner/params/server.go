package params

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Of a repository server, as upstream's controller made them (COMPAT §1.7).
const (
	serverPort      = 51515
	metadataCacheMB = 500
)

// ServerError is a RepositoryServer that cannot be used as it is.
type ServerError struct {
	// Server is its name; Field is the faulty member: "spec.server.tlsSecretRef".
	Server, Field string
	// Message says what is wrong and what to do.
	Message string
	// Err is the cause, if there is one.
	Err error
}

// Error names server, field and fix.
func (e *ServerError) Error() string {
	text := fmt.Sprintf("resolving RepositoryServer %q: %s: %s", e.Server, e.Field, e.Message)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}

	return text
}

// Unwrap gives the cause.
func (e *ServerError) Unwrap() error { return e.Err }

// ResolveRepositoryServer reads the Secrets that a client of the server needs, its certificate and its users, and checks them (COMPAT
// §1.7). The error is a *ServerError. Those of the store, of the repository's password and of the server's administrator are not
// read: they are the server's own. The certificate's private key is left out for the same reason.
func ResolveRepositoryServer(ctx context.Context, get GetSecret, server *blueprint.RepositoryServer) (*RepositoryServer, error) {
	bad := func(field, message string, err error) error {
		return &ServerError{Server: server.Name, Field: field, Message: message, Err: err}
	}

	out := &RepositoryServer{
		Name: server.Name, Namespace: server.Namespace, Username: server.Spec.Server.UserAccess.Username, Address: server.Spec.Server.Address,
		ServerInfo:      ServerInfo{PodName: server.Status.ServerInfo.PodName, ServiceName: server.Status.ServerInfo.ServiceName},
		MetadataCacheMB: metadataCacheMB,
	}

	if out.Username == "" {
		return nil, bad("spec.server.userAccess.username", "it is missing; it names the user of the server, without his hostname", nil)
	}

	service := out.ServerInfo.ServiceName

	switch {
	case out.Address != "" && !strings.HasPrefix(out.Address, "https://"):
		return nil, bad("spec.server.address", fmt.Sprintf("%q is no server's address; write it as https://HOST:PORT", out.Address), nil)
	case out.Address == "" && service == "":
		return nil, bad("status.serverInfo.serviceName", fmt.Sprintf("it is missing: Kanister has not started the server, or does not run any more; name the server's Service there, or "+
			"its address in spec.server.address (https://HOST:%d)", serverPort), nil)
	case out.Address == "":
		out.Address = fmt.Sprintf("https://%s.%s.svc.cluster.local:%d", service, server.Namespace, serverPort)
	}

	if cache := server.Spec.Repository.CacheSizeSettings; cache.Metadata != nil {
		out.MetadataCacheMB = *cache.Metadata
	}

	if cache := server.Spec.Repository.CacheSizeSettings; cache.Content != nil {
		out.ContentCacheMB = *cache.Content
	}

	for _, part := range []struct {
		field, fix string
		ref        blueprint.SecretReference
		into       *corev1.Secret
	}{
		{"spec.server.tlsSecretRef", "it names the Secret with the server's certificate, tls.crt", server.Spec.Server.TLSSecretRef, &out.Credentials.ServerTLS},
		{
			"spec.server.userAccess.userAccessSecretRef", "it names the Secret with a password for each hostname of the user", server.Spec.Server.UserAccess.UserAccessSecretRef,
			&out.Credentials.ServerUserAccess,
		},
	} {
		if part.ref.Name == "" {
			return nil, bad(part.field+".name", "it is missing; "+part.fix, nil)
		}

		namespace := part.ref.Namespace
		if namespace == "" {
			namespace = server.Namespace
		}

		at := fmt.Sprintf("Secret %q", strings.TrimPrefix(namespace+"/"+part.ref.Name, "/"))

		secret, err := get(ctx, namespace, part.ref.Name)
		if err != nil {
			return nil, bad(part.field, "reading "+at, err)
		}

		if len(secret.Data) == 0 {
			return nil, bad(part.field, at+" is empty; "+part.fix, nil)
		}

		*part.into = *secret.DeepCopy()
		part.into.ManagedFields = nil
		delete(part.into.Annotations, corev1.LastAppliedConfigAnnotation)
	}

	tls := &out.Credentials.ServerTLS
	if err := checkBundle(tls.Data[corev1.TLSCertKey]); err != nil {
		return nil, bad("spec.server.tlsSecretRef", fmt.Sprintf("Secret %q, key %s", tls.Namespace+"/"+tls.Name, corev1.TLSCertKey), err)
	}

	delete(tls.Data, corev1.TLSPrivateKeyKey)

	return out, nil
}
