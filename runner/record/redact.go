package record

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Redacted stands where a secret value stood.
const Redacted = "[redacted]"

// How long a secret must be. Shorter ones than minSecret would hide nothing but the text around them; up to wordSecret they are
// hidden only where they stand alone ("admin", not "administrator").
const (
	minSecret  = 4
	wordSecret = 7
)

// A Redactor hides a run's secret values in text for people: log lines, events, errors, progress, termination messages. It never
// touches outputs and artifacts, which later phases and restores depend on. It knows a value in the forms in which it gets
// around: as it is, line by line, base64 (alone or inside something longer), in JSON, in URLs, quoted for a shell or by Go.
// Safe for concurrent use; the zero value hides nothing.
type Redactor struct {
	mu       sync.RWMutex
	known    map[string]bool
	public   map[string]bool
	patterns []string // what is hidden anywhere, longest first
	words    []string // what is hidden only as a word
	replace  *strings.Replacer
	word     *regexp.Regexp
}

// Public names values that are never hidden, because they stand everywhere: the run's name, its namespace, the target's name.
func (r *Redactor) Public(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.public == nil {
		r.public = map[string]bool{}
	}

	for _, v := range values {
		r.public[v] = true
	}
}

// Add makes the redactor hide value from now on.
func (r *Redactor) Add(value string) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.known[value] || r.public[value] {
		return
	}

	if r.known == nil {
		r.known = map[string]bool{}
	}

	r.known[value] = true
	before := len(r.patterns) + len(r.words)

	trimmed := strings.TrimSpace(value)
	r.add(trimmed)

	if lines := strings.Split(trimmed, "\n"); len(lines) > 1 {
		for _, line := range lines {
			// Markers such as "-----BEGIN CERTIFICATE-----" and the braces of a JSON document are no secrets.
			if line = strings.TrimSpace(line); len(line) > wordSecret && !strings.HasPrefix(line, "-----") {
				r.add(line)
			}
		}
	}

	if len(r.patterns)+len(r.words) != before {
		r.build()
	}
}

// AddData adds the values of a Secret, except those under keys that by their name hold no secret (user names, hosts, …): hiding
// "postgres" wherever it stands would make a log unreadable.
func (r *Redactor) AddData(data map[string][]byte) {
	for key, value := range data {
		if !harmlessKey(key) && utf8.Valid(value) {
			r.Add(string(value))
		} else if !utf8.Valid(value) {
			r.Add(base64.StdEncoding.EncodeToString(value))
		}
	}
}

var harmless = regexp.MustCompile(`(?i)^(.*[-_.])?(user|username|user[-_]?name|login|host|hostname|port|address|endpoint|` +
	`database|db|dbname|db[-_]?name|schema|type|engine|region|bucket|namespace|name|service|ca\.crt|tls\.crt|ca\.pem|role)$`)

func harmlessKey(key string) bool { return harmless.MatchString(key) }

// HarmlessKey tells whether a key of a Secret by its name holds no secret: user names, hosts, ports, ….
func HarmlessKey(key string) bool { return harmlessKey(key) }

// add takes one value in all its forms.
func (r *Redactor) add(value string) {
	if utf8.RuneCountInString(value) < minSecret || r.public[value] {
		return
	}

	if len(value) <= wordSecret {
		r.words = append(r.words, value)
	} else {
		r.patterns = append(r.patterns, forms(value)...)
	}

	// Base64 of a short value is long enough to be hidden anywhere.
	r.patterns = append(r.patterns, Base64Forms(value)...)
}

// forms are the spellings of value in quoted text.
func forms(value string) []string {
	all := []string{value, url.QueryEscape(value), url.PathEscape(value), strconv.Quote(value), shellSingle(value), shellBackslash(value)}

	if raw, err := json.Marshal(value); err == nil {
		all = append(all, string(raw))
	}

	all = append(all, plainJSON(value))

	for i, form := range all {
		if len(form) > 2 && form[0] == '"' {
			all[i] = form[1 : len(form)-1]
		}
	}

	return all
}

// plainJSON is JSON as most programs write it, without Go's escapes for HTML.
func plainJSON(value string) string {
	var b strings.Builder

	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)

	if encoder.Encode(value) != nil {
		return value
	}

	return strings.TrimSuffix(b.String(), "\n")
}

// shellSingle is the inside of value in single quotes.
func shellSingle(value string) string { return strings.ReplaceAll(value, "'", `'\''`) }

var shellSpecial = regexp.MustCompile(`[^A-Za-z0-9_@%+=:,./-]`)

// shellBackslash is value as bash's printf %q writes it.
func shellBackslash(value string) string { return shellSpecial.ReplaceAllString(value, `\$0`) }

// SecretMembers are the secret members of a Google service account's JSON; none of other values.
func SecretMembers(value string) []string {
	var (
		account map[string]any
		secrets []string
	)

	if json.Unmarshal([]byte(value), &account) != nil {
		return nil
	}

	for _, key := range []string{"private_key", "private_key_id", "client_secret", "refresh_token"} {
		if secret, ok := account[key].(string); ok {
			secrets = append(secrets, secret)
		}
	}

	return secrets
}

// Base64Forms are the parts of base64 text that value determines, for each of the three places at which it can begin inside
// something longer ("user:password"), in both alphabets.
func Base64Forms(value string) []string {
	var all []string

	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range 3 {
			encoded := encoding.EncodeToString(append(make([]byte, offset), value...))

			// Characters that also depend on what stands before and after are left out.
			first := (offset*8 + 5) / 6
			last := (offset + len(value)) * 8 / 6

			if first < last && last-first >= 6 {
				all = append(all, encoded[first:last])
			}
		}
	}

	return all
}

func (r *Redactor) build() {
	byLength := func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}

		return strings.Compare(a, b)
	}

	slices.SortFunc(r.patterns, byLength)
	r.patterns = slices.Compact(r.patterns)
	slices.SortFunc(r.words, byLength)
	r.words = slices.Compact(r.words)

	pairs := make([]string, 0, 2*len(r.patterns))
	for _, p := range r.patterns {
		pairs = append(pairs, p, Redacted)
	}

	r.replace = strings.NewReplacer(pairs...)

	if len(r.words) > 0 {
		quoted := make([]string, len(r.words))
		for i, w := range r.words {
			quoted[i] = regexp.QuoteMeta(w)
		}

		r.word = regexp.MustCompile(`(^|[^\pL\pN_])(?:` + strings.Join(quoted, "|") + `)($|[^\pL\pN_])`)
	}
}

// String is text with every known secret replaced by Redacted.
func (r *Redactor) String(text string) string {
	if r == nil {
		return text
	}

	r.mu.RLock()
	defer r.mu.RUnlock()

	if r.replace != nil {
		text = r.replace.Replace(text)
	}

	if r.word != nil {
		// Twice: two secrets may share the character between them.
		text = r.word.ReplaceAllString(text, "${1}"+Redacted+"${2}")
		text = r.word.ReplaceAllString(text, "${1}"+Redacted+"${2}")
	}

	return text
}

// Contains tells whether text holds a secret that is long enough to be sure of.
func (r *Redactor) Contains(text string) bool {
	if r == nil {
		return false
	}

	r.mu.RLock()
	defer r.mu.RUnlock()

	return r.replace != nil && r.replace.Replace(text) != text
}

func (r *Redactor) lines(lines []string) {
	for i := range lines {
		lines[i] = r.String(lines[i])
	}
}

// Failure is f redacted; f itself does not change.
func (r *Redactor) Failure(f *Failure) *Failure {
	f = f.Clone()
	if f == nil {
		return nil
	}

	f.Message, f.Hint = r.String(f.Message), r.String(f.Hint)
	r.lines(f.LastLogs)
	r.lines(f.Events)

	return f
}

// Record is a copy of record with all text for people redacted. Outputs, artifacts, the arguments of undo and the origin are
// not: see Redactor.
func (r *Redactor) Record(record *Record) *Record {
	c := record.Clone()
	c.Error, c.DeferError = r.Failure(c.Error), r.Failure(c.DeferError)
	c.CancelReason = r.String(c.CancelReason)
	r.lines(c.UndoErrors)
	r.lines(c.Warnings)

	for i := range c.Events {
		c.Events[i].Message = r.String(c.Events[i].Message)
	}

	for i := range c.Holds {
		c.Holds[i].Why = r.String(c.Holds[i].Why)
	}

	for i := range c.Undo {
		c.Undo[i].Text, c.Undo[i].Failed = r.String(c.Undo[i].Text), r.String(c.Undo[i].Failed)
	}

	for _, p := range c.all() {
		p.Error = r.Failure(p.Error)

		if p.Progress != nil {
			p.Progress.Message = r.String(p.Progress.Message)
		}
	}

	return c
}
