package kube

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// secretVar is the prefix of the environment variables that carry secret parts of commands.
const secretVar = "KANISTER_SECRET_"

// hide moves every secret value in the commands, arguments and environments of spec into data for the Secret called name, and
// leaves $(KANISTER_SECRET_n) in its place. Kubernetes expands that before it starts the container, so the process sees
// exactly what the blueprint wrote; all text around it, with its own $(…) and $$, is left as it is.
func hide(spec *corev1.PodSpec, name string, material Material) map[string][]byte {
	data := map[string][]byte{}
	keys := map[string]string{} // secret text -> variable

	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			hideContainer(&containers[i], name, material, data, keys)
		}
	}

	return data
}

func hideContainer(c *corev1.Container, name string, material Material, data map[string][]byte, keys map[string]string) {
	var variables []corev1.EnvVar

	used := map[string]bool{}

	replace := func(text string) string {
		if !material.In(text) {
			return text
		}

		var out strings.Builder

		for _, p := range references(material.split(text)) {
			if !p.secret {
				out.WriteString(p.text)

				continue
			}

			variable, known := keys[p.text]
			if !known {
				variable = fmt.Sprintf("%s%d", secretVar, len(keys))
				keys[p.text] = variable
				data[variable] = []byte(p.text)
			}

			if !used[variable] {
				used[variable] = true

				variables = append(variables, corev1.EnvVar{Name: variable, ValueFrom: &corev1.EnvVarSource{
					SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: variable},
				}})
			}

			out.WriteString("$(" + variable + ")")
		}

		return out.String()
	}

	for i := range c.Command {
		c.Command[i] = replace(c.Command[i])
	}

	for i := range c.Args {
		c.Args[i] = replace(c.Args[i])
	}

	for i := range c.Env {
		c.Env[i].Value = replace(c.Env[i].Value)
	}

	// First in the list: an environment variable may only use those before it.
	c.Env = append(variables, c.Env...)
}

// opaque stands for a secret while the text around it is read; no argument can hold a NUL.
const opaque = '\x00'

// references cuts pieces again, so that Kubernetes' own reading of the plain text stays what it was without secrets in it:
// it turns $$ into $, and takes everything from $( to the next ) for the name of a variable, leaving it alone if there is no
// such variable. A shell's $(echo SECRET) is such a text, and must go into the Secret as a whole.
func references(pieces []piece) []piece {
	var (
		text    strings.Builder
		secrets []string
		out     []piece
	)

	for _, p := range pieces {
		if p.secret {
			text.WriteByte(opaque)
			secrets = append(secrets, p.text)
		} else {
			text.WriteString(p.text)
		}
	}

	// restore puts the next secrets back into a text that was cut off.
	restore := func(s string) string {
		var b strings.Builder

		for i := range len(s) {
			if s[i] == opaque {
				b.WriteString(secrets[0])
				secrets = secrets[1:]
			} else {
				b.WriteByte(s[i])
			}
		}

		return b.String()
	}

	emit := func(s string) {
		secret := strings.IndexByte(s, opaque) >= 0
		s = restore(s)

		if last := len(out) - 1; !secret && last >= 0 && !out[last].secret {
			out[last].text += s
		} else {
			out = append(out, piece{text: s, secret: secret})
		}
	}

	rest := text.String()
	for rest != "" {
		n := strings.IndexAny(rest, "$"+string(opaque))

		switch {
		case n < 0:
			n = len(rest)
		case n > 0:
		case rest[0] == opaque || len(rest) == 1:
			n = 1
		case rest[1] != '(':
			n = 2
		default:
			if n = strings.IndexByte(rest, ')') + 1; n > 0 {
				break
			}

			if strings.IndexByte(rest, opaque) < 0 {
				n = len(rest)

				break
			}

			// Unclosed: it must not find the ) of a reference of ours.
			emit("$(" + strings.ReplaceAll(rest[2:], "$$", "$"))

			return out
		}

		emit(rest[:n])
		rest = rest[n:]
	}

	return out
}
