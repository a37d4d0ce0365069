// Package model checks requests against AWS's own description of a service (api-2.json of github.com/aws/aws-sdk-go) and writes
// answers by it: what a server says and hears is what the real service's clients expect, or an error. It speaks the query protocol and that of EC2, which
// differs in names and in lists.
package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "github.com/aws/aws-sdk-go" // the module whose models are read
)

// Service is a service's description.
type Service struct {
	Metadata struct {
		APIVersion, Protocol, EndpointPrefix, XMLNamespace string
	}
	Operations map[string]Operation
	Shapes     map[string]Shape
}

// Operation is one action.
type Operation struct {
	Name   string
	Input  *Ref
	Output *Ref
	Errors []Ref
}

// Ref refers to a shape.
type Ref struct {
	Shape         string
	LocationName  string
	QueryName     string
	ResultWrapper string
}

// Shape is the type of a value.
type Shape struct {
	Type      string
	Required  []string
	Members   map[string]Ref
	Member    *Ref
	Enum      []string
	Flattened bool
	Error     *struct {
		Code           string
		HTTPStatusCode int
	}
}

// Load reads a description.
func Load(path string) (*Service, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading service model: %w", err)
	}
	s := &Service{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("reading service model %s: %w", path, err)
	}
	if s.Metadata.Protocol != "query" && !s.isEC2() {
		return nil, fmt.Errorf("reading service model %s: protocol %q is neither query nor ec2", path, s.Metadata.Protocol)
	}
	return s, nil
}

func (s *Service) isEC2() bool { return s.Metadata.Protocol == "ec2" }

// parameter is the name of a member in a request.
func (s *Service) parameter(member string, ref Ref) string {
	switch {
	case s.isEC2() && ref.QueryName != "":
		return ref.QueryName
	case s.isEC2() && ref.LocationName != "":
		return strings.ToUpper(ref.LocationName[:1]) + ref.LocationName[1:]
	case ref.LocationName != "":
		return ref.LocationName
	default:
		return member
	}
}

// Error is an error as the service gives it.
type Error struct {
	Code, Message string
	Status        int
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func invalid(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: 400}
}

// Fault is one of the errors that the description gives the operation; another is a mistake of the server's.
func (s *Service) Fault(operation, code, message string) *Error {
	for _, ref := range s.Operations[operation].Errors {
		if e := s.Shapes[ref.Shape].Error; e != nil && e.Code == code {
			return &Error{Code: code, Message: message, Status: e.HTTPStatusCode}
		}
	}
	return &Error{Code: "InternalFailure", Message: fmt.Sprintf("%s gives no error %s (%s)", operation, code, message), Status: 500}
}

// Parse reads the parameters of a request: structures are maps, lists slices, booleans and integers (int64) themselves.
func (s *Service) Parse(form map[string][]string) (operation string, input map[string]any, err error) {
	values := map[string]string{}
	for key, all := range form {
		if len(all) != 1 {
			return "", nil, invalid("MalformedQueryString", "parameter %s is given %d times", key, len(all))
		}
		values[key] = all[0]
	}
	operation, version := values["Action"], values["Version"]
	delete(values, "Action")
	delete(values, "Version")
	op, known := s.Operations[operation]
	if !known || version != s.Metadata.APIVersion {
		return operation, nil, invalid("InvalidAction", "there is no action %q in version %q", operation, version)
	}
	if op.Input == nil {
		return operation, map[string]any{}, nil
	}
	value, err := s.parse(op.Input.Shape, "", values)
	if err != nil {
		return operation, nil, err
	}
	if len(values) > 0 {
		return operation, nil, invalid("UnknownParameter", "%s has no parameters %v", operation, slices.Sorted(maps.Keys(values)))
	}
	input, _ = value.(map[string]any)
	return operation, input, nil
}

// below tells whether values has a key or keys under it.
func below(values map[string]string, key string) bool {
	for k := range values {
		if k == key || strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

func (s *Service) parse(name, key string, values map[string]string) (any, error) {
	shape := s.Shapes[name]
	switch shape.Type {
	case "structure":
		out := map[string]any{}
		for member, ref := range shape.Members {
			at := s.parameter(member, ref)
			if key != "" {
				at = key + "." + at
			}
			if !below(values, at) {
				continue
			}
			value, err := s.parse(ref.Shape, at, values)
			if err != nil {
				return nil, err
			}
			out[member] = value
		}
		for _, member := range shape.Required {
			if _, given := out[member]; !given {
				return nil, invalid("MissingParameter", "the request must contain the parameter %s", strings.TrimPrefix(key+"."+member, "."))
			}
		}
		return out, nil
	case "list":
		prefix := key
		if !shape.Flattened && !s.isEC2() {
			element := shape.Member.LocationName
			if element == "" {
				element = "member"
			}
			prefix += "." + element
		}
		out := []any{}
		for i := 1; below(values, prefix+"."+strconv.Itoa(i)); i++ {
			value, err := s.parse(shape.Member.Shape, prefix+"."+strconv.Itoa(i), values)
			if err != nil {
				return nil, err
			}
			out = append(out, value)
		}
		return out, nil
	}
	text := values[key]
	delete(values, key)
	return s.scalar(shape, key, text)
}

func (s *Service) scalar(shape Shape, key, text string) (any, error) {
	var (
		value any = text
		err   error
	)
	switch shape.Type {
	case "boolean":
		value, err = strconv.ParseBool(text)
	case "integer", "long":
		value, err = strconv.ParseInt(text, 10, 64)
	case "float", "double":
		value, err = strconv.ParseFloat(text, 64)
	case "timestamp":
		value, err = time.Parse(time.RFC3339, text)
	case "string":
		if len(shape.Enum) > 0 && !slices.Contains(shape.Enum, text) {
			err = fmt.Errorf("it is none of %v", shape.Enum)
		}
	default:
		err = fmt.Errorf("type %q is not known here", shape.Type)
	}
	if err != nil {
		return nil, invalid("InvalidParameterValue", "parameter %s is %q: %v", key, text, err)
	}
	return value, nil
}
