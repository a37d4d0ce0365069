package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
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
	access, err := s.access(ctx)
	if err != nil {
		return err
	}
	port, stop, err := s.cluster.Forward(ctx, s.spec, tlsPort)
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
