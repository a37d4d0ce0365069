package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// CreateBucket makes a bucket unless the server has it.
func (s *Server) CreateBucket(ctx context.Context, bucket string) error {
	return s.withClient(ctx, func(c *s3.Client) error {
		_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
		if mine := (*types.BucketAlreadyOwnedByYou)(nil); err != nil && !errors.As(err, &mine) {
			return fmt.Errorf("creating bucket %q: %w", bucket, err)
		}
		return nil
	})
}

// DeleteBucket removes a bucket with all that is in it. One that is not there is no error.
func (s *Server) DeleteBucket(ctx context.Context, bucket string) error {
	return s.withClient(ctx, func(c *s3.Client) error {
		pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if gone := (*types.NoSuchBucket)(nil); errors.As(err, &gone) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("listing bucket %q: %w", bucket, err)
			}
			for _, o := range page.Contents {
				if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: o.Key}); err != nil {
					return fmt.Errorf("deleting %q from bucket %q: %w", *o.Key, bucket, err)
				}
			}
		}
		if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
			return fmt.Errorf("deleting bucket %q: %w", bucket, err)
		}
		return nil
	})
}

// withClient calls do with a client that reaches the server through the API server, as any kubectl can.
func (s *Server) withClient(ctx context.Context, do func(*s3.Client) error) error {
	access, err := s.Access(ctx)
	if err != nil {
		return err
	}
	port, stop, err := s.forward(ctx)
	if err != nil {
		return err
	}
	defer stop()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(access.CA))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	return do(s3.New(s3.Options{
		BaseEndpoint: aws.String(fmt.Sprintf("https://127.0.0.1:%d", port)),
		Region:       Region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(access.AccessKey, access.SecretKey, ""),
		HTTPClient:   &http.Client{Transport: transport, Timeout: time.Minute},
	}))
}

// forward opens a local port to the TLS port of the running pod, until stop is called.
func (s *Server) forward(ctx context.Context) (port uint16, stop func(), err error) {
	pods, err := s.client.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name, FieldSelector: "status.phase=Running"})
	if err != nil {
		return 0, nil, fmt.Errorf("finding pod of S3 server: %w", err)
	}
	var pod *corev1.Pod
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp == nil {
			pod = &pods.Items[i]
		}
	}
	if pod == nil {
		return 0, nil, errors.New("finding pod of S3 server: none is running: run backends up")
	}
	round, upgrader, err := spdy.RoundTripperFor(s.config)
	if err != nil {
		return 0, nil, fmt.Errorf("forwarding port: %w", err)
	}
	url := s.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(Namespace).Name(pod.Name).SubResource("portforward").URL()
	done, ready := make(chan struct{}), make(chan struct{})
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: round}, http.MethodPost, url)
	f, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:7443"}, done, ready, io.Discard, io.Discard)
	if err != nil {
		return 0, nil, fmt.Errorf("forwarding port: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- f.ForwardPorts() }()
	select {
	case err := <-ended:
		return 0, nil, fmt.Errorf("forwarding port to pod %q: %w", pod.Name, err)
	case <-ctx.Done():
		close(done)
		<-ended
		return 0, nil, ctx.Err()
	case <-ready:
	}
	stop = func() { close(done); <-ended }
	ports, err := f.GetPorts()
	if err != nil {
		stop()
		return 0, nil, fmt.Errorf("forwarding port: %w", err)
	}
	return ports[0].Local, stop, nil
}
