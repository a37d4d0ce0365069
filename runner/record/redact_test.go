package record_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestRedactorKnowsTheForms(t *testing.T) {
	for _, secret := range []string{
		"hunter2hunter2", `p@ss w'ord"<&>\$1`, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "пароль-пароль",
		"line one of it\nline two of it\n", "trailing newline\n",
	} {
		r := &record.Redactor{}
		r.Add(secret)

		value := strings.TrimSpace(secret)
		quoted, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}

		for form, text := range map[string]string{
			"plain":              value,
			"JSON":               string(quoted),
			"JSON without HTML":  strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(quoted)),
			"query":              url.QueryEscape(value),
			"path":               url.PathEscape(value),
			"Go":                 strconv.Quote(value),
			"shell":              "'" + strings.ReplaceAll(value, "'", `'\''`) + "'",
			"base64":             base64.StdEncoding.EncodeToString([]byte(value)),
			"base64 URL":         base64.URLEncoding.EncodeToString([]byte(value)),
			"basic auth":         base64.StdEncoding.EncodeToString([]byte("u:" + value)),
			"inside longer":      base64.StdEncoding.EncodeToString([]byte("us:" + value + " and more")),
			"with a line break":  base64.StdEncoding.EncodeToString([]byte(value + "\n")),
			"first line of many": strings.Split(value, "\n")[0],
		} {
			got := r.String("before " + text + " after")
			if !strings.Contains(got, record.Redacted) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Errorf("%s of %q: %q", form, secret, got)
			}

			// Base64 keeps at most the characters that it shares with what stands beside.
			if kept := strings.ReplaceAll(got, record.Redacted, ""); len(kept) > len("before  after")+20 {
				t.Errorf("%s of %q leaves %q", form, secret, got)
			}
		}
	}
}

func TestRedactorLeavesTheRestReadable(t *testing.T) {
	r := &record.Redactor{}
	r.Public("postgres")
	r.AddData(map[string][]byte{
		"username": []byte("administrator"), "postgres-password": []byte("postgres"), "host": []byte("db.example.org"), "password": []byte("admin"),
		"pin": []byte("123"), "empty": nil, "tls.key": []byte("-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END KEY-----\n"),
	})

	for text, want := range map[string]string{
		"administrator at db.example.org: statefulset postgres has 123 rows": "",
		"password is admin.":              "password is [redacted].",
		"admin admin":                     "[redacted] [redacted]",
		"administration of badmin":        "",
		"MIIEvQIBADANBgkqhkiG":            "[redacted]",
		"-----BEGIN KEY-----":             "",
		"nothing secret here, 100% plain": "",
	} {
		if want == "" {
			want = text
		}

		if got := r.String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestRedactorLeavesOutputsAlone(t *testing.T) {
	r := &record.Redactor{}
	r.Add("hunter2hunter2")

	before := &record.Record{
		Phases:    []record.Phase{{Output: map[string]any{"k": "hunter2hunter2"}, Error: &record.Failure{Message: "hunter2hunter2", LastLogs: []string{"hunter2hunter2"}}, Progress: &record.Progress{Message: "hunter2hunter2"}}},
		Artifacts: map[string]blueprint.Artifact{"a": {KeyValue: map[string]string{"k": "hunter2hunter2"}}},
		Events:    []record.Event{{Message: "hunter2hunter2"}}, Warnings: []string{"hunter2hunter2"}, UndoErrors: []string{"hunter2hunter2"},
		Error: &record.Failure{Hint: "hunter2hunter2", Events: []string{"hunter2hunter2"}}, DeferError: &record.Failure{Message: "hunter2hunter2"},
		CancelReason: "hunter2hunter2", Defer: &record.Phase{Error: &record.Failure{Message: "hunter2hunter2"}},
		Undo: []record.Undo{{Text: "hunter2hunter2", Failed: "hunter2hunter2"}},
	}

	after := r.Record(before)
	if after.Phases[0].Output["k"] != "hunter2hunter2" || after.Artifacts["a"].KeyValue["k"] != "hunter2hunter2" {
		t.Error("outputs and artifacts are data")
	}

	after.Phases[0].Output, after.Artifacts = nil, nil

	raw, err := json.Marshal(after)
	if err != nil {
		t.Fatal(err)
	}

	if strings.Contains(string(raw), "hunter2") {
		t.Errorf("got out: %s", raw)
	}

	if before.Error.Hint != "hunter2hunter2" || before.Events[0].Message != "hunter2hunter2" {
		t.Error("the record itself was changed")
	}

	if !r.Contains("x hunter2hunter2") || r.Contains("hunter") {
		t.Error("Contains")
	}
}

func BenchmarkRedactor(b *testing.B) {
	r := &record.Redactor{}
	for i := range 20 {
		r.Add(fmt.Sprintf("secret-value-number-%d", i))
	}

	line := strings.Repeat("an ordinary log line ", 10)
	b.SetBytes(int64(len(line)))

	for b.Loop() {
		r.String(line)
	}
}
