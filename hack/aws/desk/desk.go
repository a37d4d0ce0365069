// Package desk is where requests to a stand-in for an AWS service come in: it checks them against AWS's description of the service, notes
// them, and writes the answers. Tests look into and disturb it by files of its directory:
//
//	requests   the actions asked for, one per line, with their main identifiers
//	fail       lines "ACTION CODE": the action is refused with this code as long as the line is there
//	slow       while it exists, nothing that is being created gets available
package desk

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/sigv4"
)

// Request is one that was checked.
type Request struct {
	Operation, Region string
	Input             map[string]any
	// Key is the one that it is signed with.
	Key Key
}

// Desk serves one service.
type Desk struct {
	Service *model.Service
	// Name is the service's in signatures: "rds".
	Name string
	Dir  string
	Keys *Keyring
	// Open are the operations that need no signature.
	Open []string
	// Do answers. Errors that are no *model.Error are mistakes of the stand-in.
	Do func(Request) (map[string]any, error)

	mu    sync.Mutex
	asked int
}

// identifiers are the parameters that are noted with a request.
var identifiers = []string{
	"DBInstanceIdentifier", "DBClusterIdentifier", "DBSnapshotIdentifier", "DBClusterSnapshotIdentifier", "SnapshotIdentifier",
	"VolumeId", "SnapshotId", "RoleArn",
}

// ServeHTTP implements http.Handler.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked++
	id := fmt.Sprintf("00000000-0000-0000-0000-%012d", d.asked)
	d.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	answer, refusal := d.answer(r, id)
	if refusal != nil {
		w.WriteHeader(refusal.Status)
		answer = d.Service.Refusal(refusal, id)
	}
	if _, err := w.Write(answer); err != nil {
		log.Print(err)
	}
}

func (d *Desk) answer(r *http.Request, id string) ([]byte, *model.Error) {
	signature, _ := sigv4.Parse(r) // Check tells what is wrong with it
	key, whose := d.Keys.Check(r)
	if err := r.ParseForm(); err != nil {
		return nil, &model.Error{Code: "MalformedQueryString", Message: err.Error(), Status: 400}
	}
	switch unsigned := errors.Is(whose, sigv4.ErrMissing); {
	case unsigned && slices.Contains(d.Open, r.PostForm.Get("Action")):
	case whose != nil:
		return nil, d.stranger(whose)
	case signature.Service != d.Name:
		return nil, d.stranger(fmt.Errorf("%w: it is for %q and not for %q", sigv4.ErrWrong, signature.Service, d.Name))
	}
	operation, input, err := d.Service.Parse(r.PostForm)
	if err != nil {
		return nil, asError(err)
	}
	d.note(operation, input)
	if code := d.disturbed(operation); code != "" {
		return nil, d.disturbance(operation, code)
	}
	if key.Only != "" && key.Only != d.Name {
		return nil, d.disturbance(operation, map[bool]string{true: "UnauthorizedOperation", false: "AccessDenied"}[d.Name == "ec2"])
	}
	result, err := d.Do(Request{Operation: operation, Region: signature.Region, Input: input, Key: key})
	if err != nil {
		return nil, asError(err)
	}
	body, err := d.Service.Answer(operation, result, id)
	if err != nil {
		return nil, asError(err)
	}
	return body, nil
}

// stranger is what one gets to hear whose key or signature is not good.
func (d *Desk) stranger(why error) *model.Error {
	ec2 := d.Name == "ec2"
	switch {
	case errors.Is(why, sigv4.ErrMissing):
		return &model.Error{Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token", Status: 403}
	case errors.Is(why, sigv4.ErrIncomplete):
		return &model.Error{Code: "IncompleteSignature", Message: why.Error(), Status: 400}
	case ec2 && (errors.Is(why, ErrExpired) || errors.Is(why, sigv4.ErrSkewed)):
		return &model.Error{Code: "RequestExpired", Message: "Request has expired.", Status: 400}
	case ec2:
		return &model.Error{Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", Status: 401}
	case errors.Is(why, ErrExpired):
		return &model.Error{Code: "ExpiredToken", Message: "The security token included in the request is expired", Status: 403}
	case errors.Is(why, sigv4.ErrSkewed), errors.Is(why, sigv4.ErrWrong):
		return &model.Error{Code: "SignatureDoesNotMatch", Message: why.Error(), Status: 403}
	case errors.Is(why, ErrStranger), errors.Is(why, ErrToken):
		return &model.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: 403}
	}
	return &model.Error{Code: "MalformedQueryString", Message: why.Error(), Status: 400}
}

func (d *Desk) disturbance(operation, code string) *model.Error {
	switch code {
	case "Throttling", "RequestLimitExceeded":
		return &model.Error{Code: code, Message: "Rate exceeded", Status: 400}
	case "AccessDenied":
		return &model.Error{Code: code, Message: "User: arn:aws:iam::1:user/test is not authorized to perform: " + d.Name + ":" + operation, Status: 403}
	case "UnauthorizedOperation":
		return &model.Error{Code: code, Message: "You are not authorized to perform this operation. Encoded authorization failure message: " + strings.Repeat("Zm9v", 200), Status: 403}
	}
	if d.Name == "ec2" { // whose errors are not described
		return &model.Error{Code: code, Message: "as the test wants it", Status: 400}
	}
	return d.Service.Fault(operation, code, "as the test wants it")
}

func asError(err error) *model.Error {
	if e, ok := err.(*model.Error); ok { //nolint:errorlint // errors are made here and not wrapped
		return e
	}
	log.Print(err)
	return &model.Error{Code: "InternalFailure", Message: err.Error(), Status: 500}
}

func (d *Desk) note(operation string, input map[string]any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(d.Dir, "requests"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = f.Close() }()
	ids := ""
	for _, key := range identifiers {
		if id, ok := input[key].(string); ok {
			ids += " " + id
		}
	}
	fmt.Fprintf(f, "%s%s\n", operation, ids)
}

func (d *Desk) disturbed(operation string) string {
	data, err := os.ReadFile(filepath.Join(d.Dir, "fail"))
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

// Slow tells whether nothing is to get available.
func (d *Desk) Slow() bool {
	_, err := os.Stat(filepath.Join(d.Dir, "slow"))
	return err == nil
}
