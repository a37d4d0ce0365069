package params_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

func TestResolveRepositoryServer(t *testing.T) {
	t.Parallel()

	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()

	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	secrets := map[string]map[string][]byte{
		"demo/tls":   {"tls.crt": certificate, "tls.key": []byte("private")},
		"demo/users": {"alpha.host": []byte("password")},
		"demo/empty": {},
		"demo/odd":   {"tls.crt": []byte("no PEM")},
	}
	get := func(_ context.Context, namespace, name string) (*corev1.Secret, error) {
		data, ok := secrets[namespace+"/"+name]
		if !ok {
			return nil, errors.New("not found")
		}

		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: data}, nil
	}
	server := func(change func(*blueprint.RepositoryServer)) *blueprint.RepositoryServer {
		s := &blueprint.RepositoryServer{ObjectMeta: metav1.ObjectMeta{Name: "server", Namespace: "demo"}}
		s.Spec.Server.UserAccess.Username = "app"
		s.Spec.Server.UserAccess.UserAccessSecretRef.Name = "users"
		s.Spec.Server.TLSSecretRef.Name = "tls"
		s.Status.ServerInfo.ServiceName = "kopia"

		if change != nil {
			change(s)
		}

		return s
	}

	got, err := params.ResolveRepositoryServer(t.Context(), get, server(nil))
	if err != nil {
		t.Fatal(err)
	}

	if got.Address != "https://kopia.demo.svc.cluster.local:51515" || got.Username != "app" || got.MetadataCacheMB != 500 || got.ContentCacheMB != 0 {
		t.Errorf("resolved %+v", got)
	}

	if _, leaked := got.Credentials.ServerTLS.Data["tls.key"]; leaked {
		t.Error("the server's private key is handed on")
	}

	if len(secrets["demo/tls"]) != 2 {
		t.Error("the Secret itself was changed")
	}

	got, err = params.ResolveRepositoryServer(t.Context(), get, server(func(s *blueprint.RepositoryServer) { s.Spec.Server.Address = "https://elsewhere:1" }))
	if err != nil || got.Address != "https://elsewhere:1" {
		t.Errorf("address %+v, %v", got, err)
	}

	for field, change := range map[string]func(*blueprint.RepositoryServer){
		"spec.server.userAccess.username":                 func(s *blueprint.RepositoryServer) { s.Spec.Server.UserAccess.Username = "" },
		"spec.server.userAccess.userAccessSecretRef.name": func(s *blueprint.RepositoryServer) { s.Spec.Server.UserAccess.UserAccessSecretRef.Name = "" },
		"spec.server.userAccess.userAccessSecretRef: Secret \"demo/empty\" is empty": func(s *blueprint.RepositoryServer) {
			s.Spec.Server.UserAccess.UserAccessSecretRef.Name = "empty"
		},
		"spec.server.tlsSecretRef: reading Secret \"demo/missing\"": func(s *blueprint.RepositoryServer) { s.Spec.Server.TLSSecretRef.Name = "missing" },
		"demo/odd":                            func(s *blueprint.RepositoryServer) { s.Spec.Server.TLSSecretRef.Name = "odd" },
		"status.serverInfo.serviceName":       func(s *blueprint.RepositoryServer) { s.Status.ServerInfo.ServiceName = "" },
		"spec.server.address: \"http://odd\"": func(s *blueprint.RepositoryServer) { s.Spec.Server.Address = "http://odd" },
	} {
		_, err := params.ResolveRepositoryServer(t.Context(), get, server(change))

		var e *params.ServerError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
