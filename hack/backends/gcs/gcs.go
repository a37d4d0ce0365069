// Package gcs runs a server with the API of Google Cloud Storage, fake-gcs-server, in the test cluster.
package gcs

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/deploy"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/recipe"
)

// Project that buckets are made in; the server takes any.
const Project = "kanister"

const plainPort = 7080

//go:embed manifest.yaml
var manifest string

// Server is the GCS server of one cluster.
type Server struct {
	cluster *deploy.Cluster
	spec    deploy.Server
}

// Access is what a client needs. The server asks for no credentials.
type Access struct {
	// Endpoint is for pods, over TLS with a certificate of CA; PlainEndpoint, without TLS, is for STORAGE_EMULATOR_HOST.
	Endpoint      string `json:"endpoint"`
	PlainEndpoint string `json:"plainEndpoint"`
	Project       string `json:"project"`
	// CA is the authority's certificate in PEM.
	CA string `json:"ca"`
}

// Vars are the shell variables of this access.
func (a Access) Vars() [][2]string {
	return [][2]string{{"GCS_ENDPOINT", a.Endpoint}, {"GCS_PLAIN_ENDPOINT", a.PlainEndpoint}, {"GCS_PROJECT", a.Project}}
}

// Authority is CA.
func (a Access) Authority() string { return a.CA }

// New returns the GCS server of a cluster, running or not.
func New(cluster *deploy.Cluster) (*Server, error) {
	image, err := recipe.FakeGCSTag()
	if err != nil {
		return nil, err
	}
	return &Server{cluster: cluster, spec: deploy.Server{Name: "gcs", Manifest: manifest, Image: image, ImageName: "fakegcs"}}, nil
}

// Up deploys the server and waits until it serves.
func (s *Server) Up(ctx context.Context) error { return s.cluster.Up(ctx, s.spec) }

// Access of a server that is up.
func (s *Server) Access(ctx context.Context) (deploy.Access, error) {
	if _, err := s.cluster.Address(ctx, s.spec); err != nil {
		return nil, err
	}
	ca, err := s.cluster.Authority(ctx, s.spec)
	if err != nil {
		return nil, err
	}
	return Access{Endpoint: "https://" + s.spec.Host(), PlainEndpoint: "http://" + s.spec.Host(), Project: Project, CA: ca}, nil
}

// CreateBucket makes a bucket unless the server has it.
func (s *Server) CreateBucket(ctx context.Context, bucket string) error {
	return s.withAPI(ctx, func(a api) error {
		code, _, err := a.call(ctx, http.MethodPost, "b?project="+Project, map[string]string{"name": bucket})
		if err == nil && code != http.StatusOK && code != http.StatusConflict {
			err = fmt.Errorf("server answers %d", code)
		}
		if err != nil {
			return fmt.Errorf("creating bucket %q: %w", bucket, err)
		}
		return nil
	})
}

// DeleteBucket removes a bucket with all that is in it. One that is not there is no error.
func (s *Server) DeleteBucket(ctx context.Context, bucket string) error {
	return s.withAPI(ctx, func(a api) error {
		path := "b/" + url.PathEscape(bucket)
		for {
			code, body, err := a.call(ctx, http.MethodGet, path+"/o", nil)
			if err != nil || code == http.StatusNotFound {
				return err
			}
			var page struct {
				Items []struct{ Name string }
			}
			if err := json.Unmarshal(body, &page); err != nil {
				return fmt.Errorf("listing bucket %q: %w", bucket, err)
			}
			if len(page.Items) == 0 {
				break
			}
			for _, o := range page.Items {
				if code, _, err := a.call(ctx, http.MethodDelete, path+"/o/"+url.PathEscape(o.Name), nil); err != nil || code >= 300 {
					return fmt.Errorf("deleting %q from bucket %q: server answers %d: %w", o.Name, bucket, code, err)
				}
			}
		}
		if code, _, err := a.call(ctx, http.MethodDelete, path, nil); err != nil || code >= 300 {
			return fmt.Errorf("deleting bucket %q: server answers %d: %w", bucket, code, err)
		}
		return nil
	})
}

// api is the JSON API at a forwarded port.
type api struct {
	base   string
	client *http.Client
}

func (s *Server) withAPI(ctx context.Context, do func(api) error) error {
	port, stop, err := s.cluster.Forward(ctx, s.spec, plainPort)
	if err != nil {
		return err
	}
	defer stop()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	return do(api{base: fmt.Sprintf("http://127.0.0.1:%d/storage/v1/", port), client: &http.Client{Transport: transport, Timeout: time.Minute}})
}

func (a api) call(ctx context.Context, method, path string, in any) (code int, out []byte, err error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return 0, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, &body)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	out, err = io.ReadAll(resp.Body)
	return resp.StatusCode, out, err
}
