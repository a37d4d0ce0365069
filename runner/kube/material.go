package kube

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// shortestSecret is the least length of a value that is treated as secret: shorter ones ("1", "on") are words of everyday
// commands and guessable anyway.
const shortestSecret = 4

// Material is the set of secret values of a run, in every spelling in which templates put them into arguments: as they are,
// base64, alone or inside something longer ("user:password"), JSON-escaped, quoted, URL-escaped, a line of several, a member of a Google
// service account. The zero Material knows none.
type Material struct {
	spellings []string // longest first
}

// NewMaterial makes the Material of these values. Values shorter than four bytes are left out.
func NewMaterial(values ...string) Material {
	seen := map[string]bool{}

	add := func(s string) {
		if len(s) >= shortestSecret {
			seen[s] = true
		}
	}

	for _, value := range values {
		for _, v := range parts(value) {
			if len(v) < shortestSecret {
				continue
			}

			for _, form := range record.Base64Forms(v) {
				add(form)
			}

			add(v)
			add(base64.StdEncoding.EncodeToString([]byte(v)))
			add(base64.RawStdEncoding.EncodeToString([]byte(v)))
			add(base64.URLEncoding.EncodeToString([]byte(v)))
			add(url.QueryEscape(v))
			add(url.PathEscape(v))

			if utf8.ValidString(v) {
				quoted := strconv.Quote(v)
				add(quoted[1 : len(quoted)-1])
				addJSON(v, add)
			}
		}
	}

	m := Material{}
	for s := range seen {
		m.spellings = append(m.spellings, s)
	}

	slices.SortFunc(m.spellings, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}

		return strings.Compare(a, b)
	})

	return m
}

// secretLine is the least length of a line of a longer value that is secret by itself: those of keys are longer, words of a
// configuration are not.
const secretLine = 24

// parts are the value and what stands in it that is taken out of it.
func parts(value string) []string {
	all := append([]string{value, strings.TrimSpace(value)}, record.SecretMembers(value)...)

	for _, whole := range slices.Clone(all[1:]) {
		lines := strings.Split(whole, "\n")
		if len(lines) == 1 || json.Valid([]byte(whole)) {
			continue
		}

		for _, line := range lines {
			if line = strings.TrimSpace(line); len(line) >= secretLine && !strings.HasPrefix(line, "-----") {
				all = append(all, line)
			}
		}
	}

	return all
}

// addJSON adds v as encoding/json writes it, and once more as it stands inside a JSON text that is itself a JSON string.
func addJSON(v string, add func(string)) {
	for range 2 {
		encoded, err := json.Marshal(v)
		if err != nil {
			return
		}

		v = string(encoded[1 : len(encoded)-1])
		add(v)
		// The runner's own toJson also escapes the single quote (COMPAT §1.6).
		add(strings.ReplaceAll(v, "'", `\u0027`))
	}

	var plain strings.Builder

	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)

	if encoder.Encode(v) == nil {
		s := strings.TrimSpace(plain.String())
		add(s[1 : len(s)-1])
	}
}

// In tells whether text holds a secret value.
func (m Material) In(text string) bool {
	return slices.ContainsFunc(m.spellings, func(s string) bool { return strings.Contains(text, s) })
}

// InAny tells whether one of texts holds a secret value.
func (m Material) InAny(texts []string) bool { return slices.ContainsFunc(texts, m.In) }

// piece is a part of a text.
type piece struct {
	text   string
	secret bool
}

// split cuts text into plain and secret pieces; secrets that overlap or touch become one piece.
func (m Material) split(text string) []piece {
	type span struct{ from, to int }

	var spans []span

	for _, s := range m.spellings {
		for from := 0; ; {
			i := strings.Index(text[from:], s)
			if i < 0 {
				break
			}

			spans = append(spans, span{from + i, from + i + len(s)})
			from += i + 1
		}
	}

	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })

	var (
		pieces []piece
		at     int
	)

	for i := 0; i < len(spans); {
		joined := spans[i]
		for i++; i < len(spans) && spans[i].from <= joined.to; i++ {
			joined.to = max(joined.to, spans[i].to)
		}

		if joined.from > at {
			pieces = append(pieces, piece{text: text[at:joined.from]})
		}

		pieces = append(pieces, piece{text: text[joined.from:joined.to], secret: true})
		at = joined.to
	}

	if at < len(text) {
		pieces = append(pieces, piece{text: text[at:]})
	}

	return pieces
}

// Redact replaces every secret value in text by ***.
func (m Material) Redact(text string) string {
	if !m.In(text) {
		return text
	}

	var out strings.Builder

	for _, p := range m.split(text) {
		if p.secret {
			out.WriteString("***")
		} else {
			out.WriteString(p.text)
		}
	}

	return out.String()
}
