// Package rds is a loopback RDS for tests: requests and answers are checked against AWS's own description of the service, and behind every
// instance is a real PostgreSQL server. It is no AWS: only the actions that Kanister Functions use are there, and everything takes
// seconds. Beside the files of its desk there is in its directory
//
//	state      what there is: kind, identifier, status and, of what has an address, the port, one per line
package rds

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/desk"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
)

// settle is how long everything takes at least.
const settle = 700 * time.Millisecond

// Server is the service.
type Server struct {
	*desk.Desk

	service   *model.Service
	dir, host string

	mu        sync.Mutex
	instances map[string]*instance
	clusters  map[string]*instance
	snapshots map[string]*snapshot // instances' and clusters' by prefix
}

// instance is an instance or a cluster.
type instance struct {
	id, status, class, engine, version, user string
	groups                                   []any
	subnets, parameters                      string
	storage                                  int64
	tags                                     []any
	protected                                bool
	cluster                                  string
	members                                  []string
	server                                   *postgres
	percent                                  int
	failed                                   error
}

// snapshot is a copy of a server's directory.
type snapshot struct {
	id, source, status, engine, version, user, dir string
	storage                                        int64
	tags                                           []any
	percent                                        int
}

// New serves instances at host, and keeps everything below dir. Requests must be signed with one of the keys.
func New(service *model.Service, dir, host string, keys *desk.Keyring) (*Server, error) {
	s := &Server{
		service: service, dir: dir, host: host,
		instances: map[string]*instance{}, clusters: map[string]*instance{}, snapshots: map[string]*snapshot{},
	}
	s.Desk = &desk.Desk{Service: service, Name: "rds", Dir: dir, Keys: keys, Do: func(r desk.Request) (map[string]any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		defer s.writeState()
		return s.do(r.Operation, r.Input)
	}}
	for _, sub := range []string{"data", "snapshots"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("making directory: %w", err)
		}
	}
	return s, nil
}

// writeState is called with mu held.
func (s *Server) writeState() {
	var b strings.Builder
	for _, kind := range []struct {
		name string
		all  map[string]*instance
	}{{"instance", s.instances}, {"cluster", s.clusters}} {
		for id, i := range kind.all {
			port := 0
			if i.server != nil {
				port = i.server.port
			}
			fmt.Fprintf(&b, "%s %s %s %d\n", kind.name, id, i.status, port)
		}
	}
	for id, snap := range s.snapshots {
		fmt.Fprintf(&b, "snapshot %s %s 0\n", id[strings.Index(id, "/")+1:], snap.status)
	}
	path := filepath.Join(s.dir, "state")
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o644); err != nil {
		log.Print(err)
	} else if err := os.Rename(path+".new", path); err != nil {
		log.Print(err)
	}
}

// later does work beside, then changes what there is.
func (s *Server) later(percent *int, work func() error, done func(error)) {
	go func() {
		began := time.Now()
		err := work()
		for i := 1; i <= 4 || s.Slow(); i++ {
			time.Sleep(settle / 4)
			s.mu.Lock()
			*percent = min(25*i, 99)
			s.mu.Unlock()
		}
		log.Printf("took %s: %v", time.Since(began).Round(time.Millisecond), err)
		s.mu.Lock()
		defer s.mu.Unlock()
		*percent = 100
		done(err)
		s.writeState()
	}()
}
