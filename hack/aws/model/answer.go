package model

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Answer writes the result of an operation. A member that the description does not have is an error.
func (s *Service) Answer(operation string, result map[string]any, requestID string) ([]byte, error) {
	op := s.Operations[operation]
	var body bytes.Buffer
	if s.isEC2() {
		return s.answerEC2(operation, result, requestID)
	}
	fmt.Fprintf(&body, `<%sResponse xmlns="%s">`, operation, s.Metadata.XMLNamespace)
	if op.Output != nil {
		if err := s.write(&body, op.Output.Shape, op.Output.ResultWrapper, result); err != nil {
			return nil, fmt.Errorf("answering %s: %w", operation, err)
		}
	}
	fmt.Fprintf(&body, `<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>`, requestID, operation)
	return body.Bytes(), nil
}

// answerEC2 has no wrapper: the members are those of the answer itself.
func (s *Service) answerEC2(operation string, result map[string]any, requestID string) ([]byte, error) {
	if op := s.Operations[operation]; op.Output != nil {
		var body bytes.Buffer
		if err := s.write(&body, op.Output.Shape, "answer", result); err != nil {
			return nil, fmt.Errorf("answering %s: %w", operation, err)
		}
		members := bytes.TrimSuffix(bytes.TrimPrefix(body.Bytes(), []byte("<answer>")), []byte("</answer>"))
		return fmt.Appendf(nil, `<%sResponse xmlns="%s"><requestId>%s</requestId>%s</%[1]sResponse>`, operation, s.Metadata.XMLNamespace, requestID, members), nil
	}
	return fmt.Appendf(nil, `<%sResponse xmlns="%s"><requestId>%s</requestId><return>true</return></%[1]sResponse>`, operation, s.Metadata.XMLNamespace, requestID), nil
}

// Refusal writes an error.
func (s *Service) Refusal(e *Error, requestID string) []byte {
	if s.isEC2() {
		return fmt.Appendf(nil, `<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>`,
			escape(e.Code), escape(e.Message), requestID)
	}
	kind := "Sender"
	if e.Status >= 500 {
		kind = "Receiver"
	}
	return fmt.Appendf(nil, `<ErrorResponse><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
		kind, escape(e.Code), escape(e.Message), requestID)
}

func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}

func (s *Service) write(out *bytes.Buffer, name, tag string, value any) error {
	shape, known := s.Shapes[name]
	if !known {
		return fmt.Errorf("there is no shape %q", name)
	}
	fmt.Fprintf(out, "<%s>", tag)
	switch shape.Type {
	case "structure":
		members, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %T, not a structure", tag, value)
		}
		for _, member := range slices.Sorted(maps.Keys(members)) {
			ref, known := shape.Members[member]
			if !known {
				return fmt.Errorf("%s has no member %q", name, member)
			}
			at := member
			if ref.LocationName != "" {
				at = ref.LocationName
			}
			if err := s.write(out, ref.Shape, at, members[member]); err != nil {
				return err
			}
		}
	case "list":
		items, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%s is %T, not a list", tag, value)
		}
		element := shape.Member.LocationName
		if element == "" {
			element = "member"
		}
		for _, item := range items {
			if err := s.write(out, shape.Member.Shape, element, item); err != nil {
				return err
			}
		}
	case "timestamp":
		at, ok := value.(time.Time)
		if !ok {
			return fmt.Errorf("%s is %T, not a time", tag, value)
		}
		out.WriteString(at.UTC().Format("2006-01-02T15:04:05.000Z"))
	default:
		text := fmt.Sprint(value)
		if _, err := s.scalar(shape, tag, text); err != nil {
			return err
		}
		out.WriteString(escape(text))
	}
	fmt.Fprintf(out, "</%s>", tag)
	return nil
}
