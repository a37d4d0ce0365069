// Package sts is a loopback STS for tests: requests and answers are checked against AWS's own description of the service. It hands out
// temporary keys that the other stand-ins know until they expire. It is no AWS: policies are only about who may assume a role. Beside the files of its desk there is in its directory
//
//	session   how long sessions live, a Go duration, whatever is asked for
package sts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/desk"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
)

// Durations of sessions, in seconds.
const (
	usual   = 3600
	chained = 3600 // at most, for who is in a role already
)

// Server is the service.
type Server struct {
	*desk.Desk

	// roles are whom each role trusts, by its ARN.
	roles    map[string][]string
	provider *Provider
}

// New serves roles, each as "ARN TRUSTED…": key ids, ARNs of roles, and subjects of web identities
// ("system:serviceaccount:NAMESPACE:NAME"), whose tokens the provider has signed; nil takes none.
func New(service *model.Service, dir string, keys *desk.Keyring, provider *Provider, roles ...string) *Server {
	s := &Server{roles: map[string][]string{}, provider: provider}
	for _, role := range roles {
		if f := strings.Fields(role); len(f) > 0 {
			s.roles[f[0]] = f[1:]
		}
	}
	s.Desk = &desk.Desk{Service: service, Name: "sts", Dir: dir, Keys: keys, Open: []string{"AssumeRoleWithWebIdentity"}, Do: s.do}
	return s
}

func (s *Server) do(r desk.Request) (map[string]any, error) {
	switch r.Operation {
	case "GetCallerIdentity":
		return map[string]any{"Arn": r.Key.ARN, "Account": desk.Account, "UserId": r.Key.ID}, nil
	case "AssumeRole":
		return s.assume(r)
	case "AssumeRoleWithWebIdentity":
		return s.assumeByToken(r)
	}
	return nil, refuse("InvalidAction", 400, "%s is not served here", r.Operation)
}

func (s *Server) assume(r desk.Request) (map[string]any, error) {
	role := text(r.Input, "RoleArn")
	if !slices.Contains(s.roles[role], r.Key.Trusted) {
		return nil, refuse("AccessDenied", 403, "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", r.Key.ARN, role)
	}
	if asked, _ := r.Input["DurationSeconds"].(int64); asked > chained && r.Key.Token != "" {
		return nil, refuse("ValidationError", 400, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	return s.session(role, r.Input)
}

func (s *Server) assumeByToken(r desk.Request) (map[string]any, error) {
	role := text(r.Input, "RoleArn")
	if s.provider == nil {
		return nil, s.Service.Fault(r.Operation, "InvalidIdentityToken", "No OpenIDConnect provider found in your account")
	}
	claims, err := s.provider.check(text(r.Input, "WebIdentityToken"), time.Now())
	switch {
	case errors.Is(err, errExpired):
		return nil, s.Service.Fault(r.Operation, "ExpiredTokenException", err.Error())
	case err != nil:
		return nil, s.Service.Fault(r.Operation, "InvalidIdentityToken", err.Error())
	case !slices.Contains(s.roles[role], claims.Subject):
		return nil, refuse("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	}
	answer, err := s.session(role, r.Input)
	if err != nil {
		return nil, err
	}
	answer["SubjectFromWebIdentityToken"], answer["Audience"] = claims.Subject, audience
	return answer, nil
}

func (s *Server) session(role string, input map[string]any) (map[string]any, error) {
	seconds, asked := input["DurationSeconds"].(int64)
	if !asked {
		seconds = usual
	}
	length := time.Duration(seconds) * time.Second
	if data, err := os.ReadFile(filepath.Join(s.Dir, "session")); err == nil {
		if length, err = time.ParseDuration(strings.TrimSpace(string(data))); err != nil {
			return nil, err
		}
	}
	key := s.Keys.Issue(role, text(input, "RoleSessionName"), time.Now().Add(length))
	return map[string]any{
		"Credentials": map[string]any{
			"AccessKeyId": key.ID, "SecretAccessKey": key.Secret, "SessionToken": key.Token, "Expiration": key.Expires,
		},
		"AssumedRoleUser": map[string]any{"Arn": key.ARN, "AssumedRoleId": "AROATEST0000000000000:" + text(input, "RoleSessionName")},
	}, nil
}

func text(input map[string]any, member string) string {
	s, _ := input[member].(string)
	return s
}

func refuse(code string, status int, format string, args ...any) *model.Error {
	return &model.Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}
