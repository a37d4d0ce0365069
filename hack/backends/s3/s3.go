// Package s3 runs an S3 server, versitygw, in the test cluster.
package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/kubectl-kanister/kubectl-kanister/hack/apply"
	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/certs"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/recipe"
)

const (
	// Namespace of the server.
	Namespace = "kanister-backends"
	// Region that the server says it is in.
	Region = "us-east-1"

	name = "s3"
	host = name + "." + Namespace + ".svc"
)

var (
	//go:embed manifest.yaml
	manifest []byte
	//go:embed deployment.yaml
	deployment string
)

// Server is the S3 server of one cluster.
type Server struct {
	config *rest.Config
	client kubernetes.Interface
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

// New returns the server of the cluster that config points to, running or not.
func New(config *rest.Config) (*Server, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making client: %w", err)
	}
	return &Server{config: config, client: client}, nil
}

// Up deploys the server and waits until it serves, two minutes at most. Keys, certificate and data of one that runs are kept.
func (s *Server) Up(ctx context.Context) error {
	a, err := apply.New(s.config)
	if err != nil {
		return err
	}
	if err := a.Manifests(ctx, manifest); err != nil {
		return err
	}
	if err := s.keys(ctx); err != nil {
		return err
	}
	tls, err := s.certificate(ctx)
	if err != nil {
		return err
	}
	image, err := recipe.VersityTag()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(tls.Cert)
	filled := strings.NewReplacer("IMAGE", image, "CERTIFICATE", hex.EncodeToString(sum[:8])).Replace(deployment)
	if err := a.Manifests(ctx, []byte(filled)); err != nil {
		return err
	}
	return s.rollOut(ctx)
}

// Down removes the server with all that is stored in it and waits until it is gone.
func (s *Server) Down(ctx context.Context) error {
	err := s.client.CoreV1().Namespaces().Delete(ctx, Namespace, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting namespace %q: %w", Namespace, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	one := fields.OneTermEqualSelector("metadata.name", Namespace).String()
	lw := cache.NewListWatchFromClient(s.client.CoreV1().RESTClient(), "namespaces", "", fields.ParseSelectorOrDie(one))
	_, err = watchtools.UntilWithSync(ctx, lw, &corev1.Namespace{}, func(store cache.Store) (bool, error) {
		return len(store.List()) == 0, nil
	}, func(e watch.Event) (bool, error) { return e.Type == watch.Deleted, nil })
	if err != nil {
		return fmt.Errorf("waiting for namespace %q to go: %w", Namespace, err)
	}
	return nil
}

// Access of a server that is up.
func (s *Server) Access(ctx context.Context) (Access, error) {
	keys, err := s.client.CoreV1().Secrets(Namespace).Get(ctx, "s3-keys", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Access{}, errors.New("finding S3 server: it is not deployed: run backends up")
	}
	if err != nil {
		return Access{}, fmt.Errorf("reading keys of S3 server: %w", err)
	}
	ca, err := s.client.CoreV1().ConfigMaps(Namespace).Get(ctx, "s3-ca", metav1.GetOptions{})
	if err != nil {
		return Access{}, fmt.Errorf("reading certificate authority of S3 server: %w", err)
	}
	svc, err := s.client.CoreV1().Services(Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return Access{}, fmt.Errorf("reading service of S3 server: %w", err)
	}
	return Access{
		Endpoint: "https://" + host, PlainEndpoint: "http://" + host, HostEndpoint: "https://" + svc.Spec.ClusterIP,
		AccessKey: string(keys.Data["ROOT_ACCESS_KEY"]), SecretKey: string(keys.Data["ROOT_SECRET_KEY"]),
		Region: Region, CA: ca.Data["ca.crt"],
	}, nil
}

// keys makes the root keys unless they are there.
func (s *Server) keys(ctx context.Context) error {
	var random [30]byte
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("making keys: %w", err)
	}
	_, err := s.client.CoreV1().Secrets(Namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "s3-keys"},
		StringData: map[string]string{
			"ROOT_ACCESS_KEY": "KANISTER" + strings.ToUpper(hex.EncodeToString(random[:6])),
			"ROOT_SECRET_KEY": hex.EncodeToString(random[6:]),
		},
	}, metav1.CreateOptions{FieldManager: apply.FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("storing keys: %w", err)
	}
	return nil
}

// certificate returns the server's, a new one when that in the cluster would not do.
func (s *Server) certificate(ctx context.Context) (certs.Bundle, error) {
	svc, err := s.client.CoreV1().Services(Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return certs.Bundle{}, fmt.Errorf("reading service of S3 server: %w", err)
	}
	names := []string{host, host + ".cluster.local", name + "." + Namespace, name, "localhost", "127.0.0.1", svc.Spec.ClusterIP}
	var b certs.Bundle
	secrets, maps := s.client.CoreV1().Secrets(Namespace), s.client.CoreV1().ConfigMaps(Namespace)
	if old, err := secrets.Get(ctx, "s3-tls", metav1.GetOptions{}); err == nil {
		b = certs.Bundle{CA: old.Data["ca.crt"], Cert: old.Data["tls.crt"], Key: old.Data["tls.key"]}
	} else if !apierrors.IsNotFound(err) {
		return b, fmt.Errorf("reading certificate of S3 server: %w", err)
	}
	if b.Check(time.Now(), names...) != nil {
		if b, err = certs.New(time.Now(), names...); err != nil {
			return b, err
		}
		// A Secret's type cannot change, and this one's says that both halves belong together: replace it whole.
		if err := secrets.Delete(ctx, "s3-tls", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return b, fmt.Errorf("removing old certificate: %w", err)
		}
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "s3-tls"}, Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{"ca.crt": b.CA, "tls.crt": b.Cert, "tls.key": b.Key},
		}, metav1.CreateOptions{FieldManager: apply.FieldManager})
		if err != nil {
			return b, fmt.Errorf("storing certificate: %w", err)
		}
	}
	ca := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "s3-ca"}, Data: map[string]string{"ca.crt": string(b.CA)}}
	if _, err = maps.Update(ctx, ca, metav1.UpdateOptions{FieldManager: apply.FieldManager}); apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, ca, metav1.CreateOptions{FieldManager: apply.FieldManager})
	}
	if err != nil {
		return b, fmt.Errorf("storing certificate authority: %w", err)
	}
	return b, nil
}

// rollOut waits until the newest pod, and no other, serves. On failure it says what the pods wait for.
func (s *Server) rollOut(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	lw := cache.NewListWatchFromClient(s.client.AppsV1().RESTClient(), "deployments", Namespace, fields.OneTermEqualSelector("metadata.name", name))
	_, err := watchtools.UntilWithSync(ctx, lw, &appsv1.Deployment{}, nil, func(e watch.Event) (bool, error) {
		d, ok := e.Object.(*appsv1.Deployment)
		return ok && d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == 1 && d.Status.AvailableReplicas == 1 && d.Status.Replicas == 1, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for S3 server: %w%s", err, s.troubles())
	}
	return nil
}

// troubles lists what containers wait for.
func (s *Server) troubles() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	pods, err := s.client.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		return ""
	}
	var b bytes.Buffer
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			if w := c.State.Waiting; w != nil {
				fmt.Fprintf(&b, "\n  pod %s, container %s: %s: %s", p.Name, c.Name, w.Reason, w.Message)
				if strings.Contains(w.Reason, "Image") {
					fmt.Fprintf(&b, "\n  bring the image into the cluster: go run ./cluster load-image $(go run ./image versitygw)")
				}
			}
		}
	}
	return b.String()
}
