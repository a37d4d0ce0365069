package kube

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// expand does to an argument what Kubernetes does before it starts a container: $$ becomes $, $(NAME) the value of a variable
// that is defined, anything else stays.
func expand(text string, env map[string]string) string {
	var out strings.Builder

	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])

			continue
		}

		switch text[i+1] {
		case '$':
			out.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(text[i:], ')')
			if end < 0 {
				out.WriteString("$(")
				i++

				break
			}

			name := text[i+2 : i+end]
			if value, ok := env[name]; ok {
				out.WriteString(value)
			} else {
				out.WriteString(text[i : i+end+1])
			}

			i += end
		default:
			out.WriteByte('$')
			out.WriteByte(text[i+1])
			i++
		}
	}

	return out.String()
}

// hidden runs hide over one argument and gives what the process sees, and what the pod shows.
func hidden(argument string, secrets ...string) (seen, shown string) {
	spec := &corev1.PodSpec{Containers: []corev1.Container{{Name: ContainerName, Args: []string{argument}}}}
	data := hide(spec, "name", NewMaterial(secrets...))
	env := map[string]string{"DEFINED": "value"}

	for _, v := range spec.Containers[0].Env {
		env[v.Name] = string(data[v.ValueFrom.SecretKeyRef.Key])
	}

	shown = spec.Containers[0].Args[0]

	return expand(shown, env), shown
}

func TestHideLeavesTheProcessWhatItWas(t *testing.T) {
	const secret = "s3cr3t"

	env := map[string]string{"DEFINED": "value"}

	for _, argument := range []string{
		secret, "a " + secret + " b", "$" + secret, "$$" + secret, "$$$" + secret, "$(echo " + secret + ")", "$(echo " + secret + " $$ x) $$ $(DEFINED)",
		"$(DEFINED)" + secret + "$(DEFINED)", "$( " + secret, "$(a $$ " + secret + " $$", "x$", secret + secret, secret + "$", secret + "$$" + secret, "$(" + secret + ")" + secret,
		"$(DEFINED) $$(DEFINED) $(UNDEFINED)", `{"Secret":"` + secret + `"}`, "$((1+2)) " + secret,
	} {
		seen, shown := hidden(argument, secret)
		if want := expand(argument, env); seen != want {
			t.Errorf("%q: the process sees %q, want %q (the pod shows %q)", argument, seen, want, shown)
		}

		if strings.Contains(shown, secret) {
			t.Errorf("%q: the pod shows %q", argument, shown)
		}
	}
}

// A secret that looks like Kubernetes' own syntax arrives as it is; upstream would have changed it.
func TestHideKeepsSecretsLiteral(t *testing.T) {
	for _, secret := range []string{"a$$b$(DEFINED)", "$(DEFINED)", "ends with $", "line\nbreak", `quote"'\`} {
		if seen, _ := hidden("x "+secret+" y", secret); seen != "x "+secret+" y" {
			t.Errorf("%q arrives as %q", secret, seen)
		}
	}
}

func TestHideSpellings(t *testing.T) {
	secret := `pa&ss"<w>'rd/+`

	for spelling, text := range map[string]string{
		"JSON":          `{"Secret":"pa\u0026ss\"\u003cw\u003e'rd/+"}`,
		"JSON, our own": `{"Secret":"pa\u0026ss\"\u003cw\u003e\u0027rd/+"}`,
		"JSON, plain":   `{"Secret":"pa&ss\"<w>'rd/+"}`,
		"base64":        "cGEmc3MiPHc+J3JkLys=",
		"URL":           "postgres://u:pa%26ss%22%3Cw%3E%27rd%2F%2B@h/d",
	} {
		seen, shown := hidden(text, secret)
		if seen != text || !strings.Contains(shown, "$("+secretVar+"0)") {
			t.Errorf("%s: shown %q, seen %q", spelling, shown, seen)
		}
	}

	if m := NewMaterial("", "abc", "  \n"); m.In("abc abc") || m.In("") {
		t.Error("values that are too short count as secrets")
	}
}

func TestRedact(t *testing.T) {
	m := NewMaterial("secret1", "secret1-long")
	if got := m.Redact("a secret1-long b secret1 c"); got != "a *** b *** c" {
		t.Errorf("got %q", got)
	}
}

func FuzzHide(f *testing.F) {
	f.Add("$(a $$ SECRET) $$$SECRET", "SECRET")
	f.Add("$(SECRET", "SECRET")
	f.Fuzz(func(t *testing.T, argument, secret string) {
		// A secret with a $ arrives literally, which is different on purpose; no argument has a NUL.
		if strings.ContainsAny(secret, "$\x00()") || strings.ContainsRune(argument, 0) || strings.Contains(argument, secretVar) || len(secret) < shortestSecret || strings.TrimSpace(secret) != secret {
			t.Skip()
		}

		seen, shown := hidden(argument, secret)
		if want := expand(argument, map[string]string{"DEFINED": "value"}); seen != want {
			t.Errorf("%q with %q: the process sees %q, want %q; the pod shows %q", argument, secret, seen, want, shown)
		}
	})
}
