// Package rds is a loopback RDS for tests: requests and answers are checked against AWS's own description of the service, and behind every
// instance is a real PostgreSQL server. It is no AWS: only the actions that Kanister Functions use are there, and everything takes
// seconds. Tests look into and disturb it by files of its directory:
//
//	requests   the actions asked for, one per line, with their main identifier
//	state      what there is: kind, identifier, status and, of what has an address, the port, one per line
//	fail       lines "ACTION CODE": the action is refused with this code as long as the line is there
//	slow       while it exists, nothing that is being created gets available
package rds

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
)

// settle is how long everything takes at least.
const settle = 700 * time.Millisecond

// Server is the service.
type Server struct {
	service   *model.Service
	dir, host string
	keys      map[string]bool

	mu        sync.Mutex
	instances map[string]*instance
	clusters  map[string]*instance
	snapshots map[string]*snapshot // instances' and clusters' by prefix
	asked     int
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

// New serves instances at host, and keeps everything below dir. Requests must be signed with one of the key ids.
func New(service *model.Service, dir, host string, keyIDs ...string) (*Server, error) {
	s := &Server{
		service: service, dir: dir, host: host, keys: map[string]bool{},
		instances: map[string]*instance{}, clusters: map[string]*instance{}, snapshots: map[string]*snapshot{},
	}
	for _, id := range keyIDs {
		s.keys[id] = true
	}
	for _, sub := range []string{"data", "snapshots"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("making directory: %w", err)
		}
	}
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	id := fmt.Sprintf("00000000-0000-0000-0000-%012d", s.asked)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	answer, refusal := s.answer(r, id)
	if refusal != nil {
		w.WriteHeader(refusal.Status)
		answer = model.Refusal(refusal, id)
	}
	if _, err := w.Write(answer); err != nil {
		log.Print(err)
	}
}

func (s *Server) answer(r *http.Request, id string) ([]byte, *model.Error) {
	if refusal := s.signed(r); refusal != nil {
		return nil, refusal
	}
	if err := r.ParseForm(); err != nil {
		return nil, &model.Error{Code: "MalformedQueryString", Message: err.Error(), Status: 400}
	}
	operation, input, err := s.service.Parse(r.PostForm)
	if err != nil {
		return nil, asError(err)
	}
	s.note(operation, input)
	if code := s.disturbed(operation); code != "" {
		if code == "Throttling" {
			return nil, &model.Error{Code: code, Message: "Rate exceeded", Status: 400}
		}
		if code == "AccessDenied" {
			return nil, &model.Error{Code: code, Message: "User: arn:aws:iam::1:user/test is not authorized to perform: rds:" + operation, Status: 403}
		}
		return nil, s.service.Fault(operation, code, "as the test wants it")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.writeState()
	result, err := s.do(operation, input)
	if err != nil {
		return nil, asError(err)
	}
	body, err := s.service.Answer(operation, result, id)
	if err != nil {
		return nil, asError(err)
	}
	return body, nil
}

func asError(err error) *model.Error {
	if e, ok := err.(*model.Error); ok { //nolint:errorlint // errors are made here and not wrapped
		return e
	}
	log.Print(err)
	return &model.Error{Code: "InternalFailure", Message: err.Error(), Status: 500}
}

// signed looks whose request it is, and whether it is meant for this service; not at the signature itself.
func (s *Server) signed(r *http.Request) *model.Error {
	_, rest, ok := strings.Cut(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=")
	scope, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(scope, "/") // key/date/region/service/aws4_request
	if !ok || len(parts) != 5 || parts[3] != "rds" {
		return &model.Error{Code: "IncompleteSignature", Message: "the request is not signed for rds", Status: 400}
	}
	if !s.keys[parts[0]] {
		return &model.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: 403}
	}
	return nil
}

func (s *Server) note(operation string, input map[string]any) {
	f, err := os.OpenFile(filepath.Join(s.dir, "requests"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = f.Close() }()
	ids := ""
	for _, key := range []string{"DBInstanceIdentifier", "DBClusterIdentifier", "DBSnapshotIdentifier", "DBClusterSnapshotIdentifier", "SnapshotIdentifier"} {
		if id, ok := input[key].(string); ok {
			ids += " " + id
		}
	}
	fmt.Fprintf(f, "%s%s\n", operation, ids)
}

func (s *Server) disturbed(operation string) string {
	data, err := os.ReadFile(filepath.Join(s.dir, "fail"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == operation {
			return fields[1]
		}
	}
	return ""
}

func (s *Server) slow() bool {
	_, err := os.Stat(filepath.Join(s.dir, "slow"))
	return err == nil
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
		for i := 1; i <= 4 || s.slow(); i++ {
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
