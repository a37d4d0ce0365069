// Package deploy puts a server with a TLS certificate into the test cluster: what the backends have in common.
package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
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
)

// Namespace of all backends.
const Namespace = "kanister-backends"

const patience = 2 * time.Minute

//go:embed namespace.yaml
var namespace []byte

// Cluster is where servers are deployed.
type Cluster struct {
	Config *rest.Config
	Client kubernetes.Interface
}

// New returns the cluster that config points to.
func New(config *rest.Config) (*Cluster, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making client: %w", err)
	}
	return &Cluster{Config: config, Client: client}, nil
}

// Server is a Deployment behind a Service of the same name.
type Server struct {
	// Name of Service and Deployment. Secret NAME-tls and ConfigMap NAME-ca hold its certificate and authority.
	Name string
	// Manifest has the Service first, the Deployment last, as a YAML stream in which IMAGE, CERTIFICATE (a mark that changes with
	// the certificate) and ADDRESS (the Service's) are filled in.
	Manifest string
	// Image of the server.
	Image string
	// ImageName is what hack/image calls it.
	ImageName string
	// Secrets are made with these values unless they are there.
	Secrets map[string]map[string]string
	// Names of DNS for which the certificate is good beside those of the Service.
	Names []string
}

// Host is the server's name for pods.
func (s Server) Host() string { return s.Name + "." + Namespace + ".svc" }

// Up deploys the server and waits until it serves, two minutes at most. Secrets, certificate and data of one that runs are kept.
func (c *Cluster) Up(ctx context.Context, s Server) error {
	a, err := apply.New(c.Config)
	if err != nil {
		return err
	}
	service, rest, ok := strings.Cut(s.Manifest, "\n---\n")
	if !ok {
		return fmt.Errorf("reading manifest of %s: it has no second document", s.Name)
	}
	if err := a.Manifests(ctx, namespace, []byte(service)); err != nil {
		return err
	}
	for name, data := range s.Secrets {
		_, err := c.Client.CoreV1().Secrets(Namespace).Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data,
		}, metav1.CreateOptions{FieldManager: apply.FieldManager})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("storing keys: %w", err)
		}
	}
	address, err := c.Address(ctx, s)
	if err != nil {
		return err
	}
	tls, err := c.certificate(ctx, s, address)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(tls.Cert)
	filled := strings.NewReplacer("IMAGE", s.Image, "CERTIFICATE", hex.EncodeToString(sum[:8]), "ADDRESS", address).Replace(rest)
	if err := a.Manifests(ctx, []byte(filled)); err != nil {
		return err
	}
	return c.rollOut(ctx, s)
}

// Address is the IP address of the server's Service.
func (c *Cluster) Address(ctx context.Context, s Server) (string, error) {
	svc, err := c.Client.CoreV1().Services(Namespace).Get(ctx, s.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", fmt.Errorf("finding server %s: it is not deployed: run backends up", s.Name)
	}
	if err != nil {
		return "", fmt.Errorf("reading service %q: %w", s.Name, err)
	}
	if net.ParseIP(svc.Spec.ClusterIP) == nil {
		return "", fmt.Errorf("reading service %q: cluster IP is %q", s.Name, svc.Spec.ClusterIP)
	}
	return svc.Spec.ClusterIP, nil
}

// Authority is the certificate, in PEM, that a client of the server must trust.
func (c *Cluster) Authority(ctx context.Context, s Server) (string, error) {
	ca, err := c.Client.CoreV1().ConfigMaps(Namespace).Get(ctx, s.Name+"-ca", metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("reading certificate authority of %s: %w", s.Name, err)
	}
	return ca.Data["ca.crt"], nil
}

// Down removes all backends with all that is stored in them and waits until they are gone.
func (c *Cluster) Down(ctx context.Context) error {
	err := c.Client.CoreV1().Namespaces().Delete(ctx, Namespace, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting namespace %q: %w", Namespace, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lw := cache.NewListWatchFromClient(c.Client.CoreV1().RESTClient(), "namespaces", "", fields.OneTermEqualSelector("metadata.name", Namespace))
	_, err = watchtools.UntilWithSync(ctx, lw, &corev1.Namespace{}, func(store cache.Store) (bool, error) {
		return len(store.List()) == 0, nil
	}, func(e watch.Event) (bool, error) { return e.Type == watch.Deleted, nil })
	if err != nil {
		return fmt.Errorf("waiting for namespace %q to go: %w", Namespace, err)
	}
	return nil
}

// Pod is the name of a running pod of the server.
func (c *Cluster) Pod(ctx context.Context, s Server) (string, error) {
	pods, err := c.Client.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + s.Name, FieldSelector: "status.phase=Running"})
	if err != nil {
		return "", fmt.Errorf("finding pod of %s: %w", s.Name, err)
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			return p.Name, nil
		}
	}
	return "", errors.New("finding pod of " + s.Name + ": none is running: run backends up")
}

// certificate returns the server's, a new one when that in the cluster would not do.
func (c *Cluster) certificate(ctx context.Context, s Server, address string) (certs.Bundle, error) {
	names := append([]string{s.Host(), s.Host() + ".cluster.local", s.Name + "." + Namespace, s.Name, "localhost", "127.0.0.1", address}, s.Names...)
	var b certs.Bundle
	secrets, maps := c.Client.CoreV1().Secrets(Namespace), c.Client.CoreV1().ConfigMaps(Namespace)
	name := s.Name + "-tls"
	old, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return b, fmt.Errorf("reading certificate of %s: %w", s.Name, err)
	}
	if err == nil {
		b = certs.Bundle{CA: old.Data["ca.crt"], Cert: old.Data["tls.crt"], Key: old.Data["tls.key"]}
	}
	if b.Check(time.Now(), names...) != nil {
		if b, err = certs.New(time.Now(), names...); err != nil {
			return b, err
		}
		if err := secrets.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return b, fmt.Errorf("removing old certificate: %w", err)
		}
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{"ca.crt": b.CA, "tls.crt": b.Cert, "tls.key": b.Key},
		}, metav1.CreateOptions{FieldManager: apply.FieldManager})
		if err != nil {
			return b, fmt.Errorf("storing certificate: %w", err)
		}
	}
	ca := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: s.Name + "-ca"}, Data: map[string]string{"ca.crt": string(b.CA)}}
	if _, err = maps.Update(ctx, ca, metav1.UpdateOptions{FieldManager: apply.FieldManager}); apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, ca, metav1.CreateOptions{FieldManager: apply.FieldManager})
	}
	if err != nil {
		return b, fmt.Errorf("storing certificate authority: %w", err)
	}
	return b, nil
}

// rollOut waits until the newest pod, and no other, serves. On failure it says what the pods wait for.
func (c *Cluster) rollOut(ctx context.Context, s Server) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lw := cache.NewListWatchFromClient(c.Client.AppsV1().RESTClient(), "deployments", Namespace, fields.OneTermEqualSelector("metadata.name", s.Name))
	_, err := watchtools.UntilWithSync(ctx, lw, &appsv1.Deployment{}, nil, func(e watch.Event) (bool, error) {
		d, ok := e.Object.(*appsv1.Deployment)
		return ok && d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == 1 && d.Status.AvailableReplicas == 1 && d.Status.Replicas == 1, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for server %s: %w%s", s.Name, err, c.troubles(context.WithoutCancel(ctx), s))
	}
	return nil
}

// troubles lists what containers wait for.
func (c *Cluster) troubles(ctx context.Context, s Server) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	pods, err := c.Client.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + s.Name})
	if err != nil {
		return ""
	}
	var b bytes.Buffer
	for _, p := range pods.Items {
		for _, container := range p.Status.ContainerStatuses {
			if w := container.State.Waiting; w != nil {
				fmt.Fprintf(&b, "\n  pod %s, container %s: %s: %s", p.Name, container.Name, w.Reason, w.Message)
				if strings.Contains(w.Reason, "Image") {
					fmt.Fprintf(&b, "\n  bring the image into the cluster: go run ./cluster load-image $(go run ./image %s)", s.ImageName)
				}
			}
		}
	}
	return b.String()
}
