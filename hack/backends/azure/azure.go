// Package azure runs a server with the API of Azure's blob storage, Azurite, in the test cluster.
package azure

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/deploy"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/recipe"
)

// Account of the store; with Domain it makes the host name, as clients of Azure do.
const (
	Account = "azure"
	Domain  = deploy.Namespace + ".svc"
)

const (
	accountsSecret = "azure-accounts"
	accountsKey    = "AZURITE_ACCOUNTS"
	tlsPort        = 7443
)

//go:embed manifest.yaml
var manifest string

// Server is the Azure server of one cluster.
type Server struct {
	cluster *deploy.Cluster
	spec    deploy.Server
}

// Access is what a client needs.
type Access struct {
	// Endpoint is for pods, over TLS with a certificate of CA. It is https://ACCOUNT.DOMAIN.
	Endpoint string `json:"endpoint"`
	Account  string `json:"account"`
	Domain   string `json:"domain"`
	// Key of the account, in base64.
	Key string `json:"key"`
	// CA is the authority's certificate in PEM.
	CA string `json:"ca"`
}

// Vars are the shell variables of this access.
func (a Access) Vars() [][2]string {
	return [][2]string{
		{"AZURE_ENDPOINT", a.Endpoint}, {"AZURE_STORAGE_ACCOUNT", a.Account}, {"AZURE_STORAGE_KEY", a.Key}, {"AZURE_STORAGE_DOMAIN", a.Domain},
	}
}

// Authority is CA.
func (a Access) Authority() string { return a.CA }

// New returns the Azure server of a cluster, running or not.
func New(cluster *deploy.Cluster) (*Server, error) {
	image, err := recipe.AzuriteTag()
	if err != nil {
		return nil, err
	}
	return &Server{cluster: cluster, spec: deploy.Server{Name: Account, Manifest: manifest, Image: image, ImageName: "azurite"}}, nil
}

// Up deploys the server and waits until it serves.
func (s *Server) Up(ctx context.Context) error {
	var key [64]byte
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("making key: %w", err)
	}
	spec := s.spec
	spec.Secrets = map[string]map[string]string{accountsSecret: {accountsKey: Account + ":" + base64.StdEncoding.EncodeToString(key[:])}}
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
	if _, err := s.cluster.Address(ctx, s.spec); err != nil {
		return Access{}, err
	}
	accounts, err := s.cluster.Client.CoreV1().Secrets(deploy.Namespace).Get(ctx, accountsSecret, metav1.GetOptions{})
	if err != nil {
		return Access{}, fmt.Errorf("reading key of Azure server: %w", err)
	}
	ca, err := s.cluster.Authority(ctx, s.spec)
	if err != nil {
		return Access{}, err
	}
	_, key, _ := strings.Cut(string(accounts.Data[accountsKey]), ":")
	return Access{Endpoint: "https://" + Account + "." + Domain, Account: Account, Domain: Domain, Key: key, CA: ca}, nil
}

// CreateBucket makes a container unless the server has it.
func (s *Server) CreateBucket(ctx context.Context, container string) error {
	return s.withClient(ctx, func(c *azblob.Client) error {
		if _, err := c.CreateContainer(ctx, container, nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
			return fmt.Errorf("creating container %q: %w", container, err)
		}
		return nil
	})
}

// DeleteBucket removes a container with all that is in it. One that is not there is no error.
func (s *Server) DeleteBucket(ctx context.Context, container string) error {
	return s.withClient(ctx, func(c *azblob.Client) error {
		if _, err := c.DeleteContainer(ctx, container, nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerNotFound) {
			return fmt.Errorf("deleting container %q: %w", container, err)
		}
		return nil
	})
}

// withClient calls do with a client of a forwarded port. The account is in the path there, as the host is an address.
func (s *Server) withClient(ctx context.Context, do func(*azblob.Client) error) error {
	access, err := s.access(ctx)
	if err != nil {
		return err
	}
	port, stop, err := s.cluster.Forward(ctx, s.spec, tlsPort)
	if err != nil {
		return err
	}
	defer stop()
	credential, err := azblob.NewSharedKeyCredential(access.Account, access.Key)
	if err != nil {
		return fmt.Errorf("reading key of Azure server: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(access.CA))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	client, err := azblob.NewClientWithSharedKeyCredential(fmt.Sprintf("https://127.0.0.1:%d/%s", port, access.Account), credential,
		&azblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: transport, Timeout: time.Minute}}})
	if err != nil {
		return fmt.Errorf("making client: %w", err)
	}
	return do(client)
}
