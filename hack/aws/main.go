// Command aws is a loopback server of the AWS services that Kanister Functions use, for tests: see hack/aws/rds, hack/aws/ec2 and
// hack/aws/sts.
//
//	aws install DIR             copies itself and the models to DIR, for a container of another image
//	aws serve MODELS            serves; the environment says what:
//	  LISTEN      address to listen on, :8080
//	  DIR         where everything is kept
//	  HOST        under which name or address instances are reached
//	  KEY_IDS     keys that are known, separated by blanks: ID:SECRET, or ID:SECRET:SERVICE (it may ask no other)
//	  ROLES       roles and whom they trust, separated by semicolons: "ARN KEY-ID|ROLE-ARN|SUBJECT…"
//	  ISSUER, JWKS   of the cluster's ServiceAccount tokens and the keys that it signs them with; empty: no SUBJECT is let in
//	  S3_ENDPOINT, S3_KEY_ID, S3_SECRET   an S3 server to which requests for S3 are passed on, and its own keys
//	  DATABASES   instances to begin with: "id user password engine [security-group…]" separated by semicolons
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/desk"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/ec2"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/rds"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/s3"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/sigv4"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/sts"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // nothing is deferred that matters
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: aws install DIR | aws serve MODELS")
	}
	switch args[0] {
	case "install":
		return install(args[1])
	case "serve":
		return serve(ctx, args[1])
	}
	return fmt.Errorf("there is no word %q", args[0])
}

// install puts the program and the models that its image has beside it into dir.
func install(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	models, err := filepath.Glob(filepath.Join(filepath.Dir(self), "*.json"))
	if err != nil {
		return err
	}
	for _, path := range append(models, self) {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), data, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func serve(ctx context.Context, models string) error {
	dir := os.Getenv("DIR")
	keys, err := desk.NewKeyring(strings.Fields(os.Getenv("KEY_IDS"))...)
	if err != nil {
		return err
	}
	service, err := model.Load(filepath.Join(models, "rds.json"))
	if err != nil {
		return err
	}
	server, err := rds.New(service, dir, os.Getenv("HOST"), keys)
	if err != nil {
		return err
	}
	service, err = model.Load(filepath.Join(models, "ec2.json"))
	if err != nil {
		return err
	}
	volumes, err := ec2.New(service, dir, keys)
	if err != nil {
		return err
	}
	service, err = model.Load(filepath.Join(models, "sts.json"))
	if err != nil {
		return err
	}
	var provider *sts.Provider
	if issuer := os.Getenv("ISSUER"); issuer != "" {
		if provider, err = sts.NewProvider(issuer, os.Getenv("JWKS")); err != nil {
			return err
		}
	}
	services := map[string]http.Handler{"ec2": volumes, "sts": sts.New(service, dir, keys, provider, strings.Split(os.Getenv("ROLES"), ";")...)}
	if endpoint := os.Getenv("S3_ENDPOINT"); endpoint != "" {
		if services["s3"], err = s3.New(dir, endpoint, os.Getenv("S3_KEY_ID"), os.Getenv("S3_SECRET"), keys); err != nil {
			return err
		}
	}
	for line := range strings.SplitSeq(os.Getenv("DATABASES"), ";") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 4 {
			return fmt.Errorf("reading DATABASES: %q is not: id user password engine [security-group…]", line)
		}
		if err := server.Add(f[0], f[1], f[2], f[3], f[4:]...); err != nil {
			return fmt.Errorf("making database %q: %w", f[0], err)
		}
	}
	listen := os.Getenv("LISTEN")
	if listen == "" {
		listen = ":8080"
	}
	h := &http.Server{Addr: listen, Handler: byService(server, services), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = h.Close() // the database servers go with the pod
	}()
	if err := h.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// byService gives a request to the service that it is signed for, or to the first; one that is not signed asks STS.
func byService(first http.Handler, others map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signature, err := sigv4.Parse(r)
		if err != nil {
			signature.Service = "sts"
		}
		if other := others[signature.Service]; other != nil {
			other.ServeHTTP(w, r)
			return
		}
		first.ServeHTTP(w, r)
	})
}
