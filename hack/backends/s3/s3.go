// Package s3 runs an S3 server, versitygw, in the test cluster.
package s3

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/deploy"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/recipe"
)

// Region that the server says it is in.
const Region = "us-east-1"

const (
	keysSecret = "s3-keys"
	tlsPort    = 7443
)

//go:embed manifest.yaml
var manifest string

// Server is the S3 server of one cluster.
type Server struct {
	cluster *deploy.Cluster
	spec    deploy.Server
}

// Access is what a client needs.
type Access struct {
	// Endpoint is for pods, over TLS with a certificate of CA; PlainEndpoint without TLS.
	Endpoint      string `json:"endpoint"`
	PlainEndpoint string `json:"plainEndpoint"`
	// HostEndpoint works from a host that routes the cluster's service addresses, such as a native cluster's own.
	HostEndpoint string `json:"hostEndpoint"`
	AccessKey    string `json:"accessKey"`
	SecretKey    string `json:"secretKey"`
	Region       string `json:"region"`
	// CA is the authority's certificate in PEM.
	CA string `json:"ca"`
}

// Vars are the shell variables of this access.
func (a Access) Vars() [][2]string {
	return [][2]string{
		{"S3_ENDPOINT", a.Endpoint}, {"S3_PLAIN_ENDPOINT", a.PlainEndpoint}, {"S3_HOST_ENDPOINT", a.HostEndpoint}, {"S3_REGION", a.Region},
		{"AWS_ACCESS_KEY_ID", a.AccessKey}, {"AWS_SECRET_ACCESS_KEY", a.SecretKey},
	}
}

// Authority is CA.
func (a Access) Authority() string { return a.CA }

// New returns the S3 server of a cluster, running or not.
func New(cluster *deploy.Cluster) (*Server, error) {
	image, err := recipe.VersityTag()
	if err != nil {
		return nil, err
	}
	return &Server{cluster: cluster, spec: deploy.Server{Name: "s3", Manifest: manifest, Image: image, ImageName: "versitygw"}}, nil
}

// Up deploys the server and waits until it serves. Keys, certificate and data of one that runs are kept.
func (s *Server) Up(ctx context.Context) error {
	var random [30]byte
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("making keys: %w", err)
	}
	spec := s.spec
	spec.Secrets = map[string]map[string]string{keysSecret: {
		"ROOT_ACCESS_KEY": "KANISTER" + strings.ToUpper(hex.EncodeToString(random[:6])),
		"ROOT_SECRET_KEY": hex.EncodeToString(random[6:]),
	}}
	return s.cluster.Up(ctx, spec)
}

// Access of a server that is up.
func (s *Server) Access(ctx context.Context) (deploy.Access, error) {
	a, err := s.access(ctx)
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (s *Server) access(ctx context.Context) (Access, error) {
	address, err := s.cluster.Address(ctx, s.spec)
	if err != nil {
		return Access{}, err
	}
	keys, err := s.cluster.Client.CoreV1().Secrets(deploy.Namespace).Get(ctx, keysSecret, metav1.GetOptions{})
	if err != nil {
		return Access{}, fmt.Errorf("reading keys of S3 server: %w", err)
	}
	ca, err := s.cluster.Authority(ctx, s.spec)
	if err != nil {
		return Access{}, err
	}
	return Access{
		Endpoint: "https://" + s.spec.Host(), PlainEndpoint: "http://" + s.spec.Host(), HostEndpoint: "https://" + address,
		AccessKey: string(keys.Data["ROOT_ACCESS_KEY"]), SecretKey: string(keys.Data["ROOT_SECRET_KEY"]), Region: Region, CA: ca,
	}, nil
}
