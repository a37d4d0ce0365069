package record

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
)

// wire is a Record as it is written: large values taken out, compressed, each once however often it is used.
type wire struct {
	*Record
	// Packed maps the id in a packed mark to the value: gzip, base64.
	Packed map[string]string `json:"packed,omitempty"`
}

// Encoder turns records into the data of a ConfigMap. It remembers what it compressed and spilled, so that frequent writes of
// the same record are cheap. Safe for concurrent use.
type Encoder struct {
	// Spill takes values that do not fit; nil: such a record is a TooLargeError.
	Spill Spill
	// SpillPrefix is where in the location; "runs/<namespace>/<run>".
	SpillPrefix string
	// Limit in bytes; 0 is Budget.
	Limit int

	mu         sync.Mutex
	compressor *gzip.Writer
	packed     map[string]string // SHA-256 -> gzip, base64
	spilled    map[string]spilled
}

// Encode gives the keys of the ConfigMap. others is the size of the keys that are not ours and stay.
func (e *Encoder) Encode(ctx context.Context, r *Record, others int) (map[string]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()

	limit := e.Limit
	if limit == 0 {
		limit = Budget
	}

	r = r.Clone()
	bound(r)

	// Values go out, largest first, until the rest fits: first compressed in place, then into the location.
	out := map[string]bool{}
	threshold := packThreshold

	for {
		data, candidates, err := e.encode(r, threshold, out)
		if err != nil {
			return nil, err
		}

		size, whole := others+dataSize(data), 0
		for _, c := range candidates {
			whole += len(c.text)
		}

		if size <= limit && whole <= maxWhole {
			return data, nil
		}

		// Many values below the threshold can be too much as well.
		if size > limit && threshold > 256 {
			threshold /= 4

			continue
		}

		largest := ""

		for _, c := range candidates {
			if e.Spill == nil {
				if size <= limit {
					size, limit = whole, maxWhole
				}

				return nil, &TooLargeError{Size: size, Limit: limit, Whole: limit == maxWhole, Largest: c.describe(), Spill: true}
			}

			if largest == "" {
				largest = c.describe()
			}

			if err := e.spill(ctx, c.text); err != nil {
				return nil, &TooLargeError{Size: size, Limit: limit, Largest: c.describe(), Cause: err}
			}

			out[hash(c.text)] = true

			size -= c.stored
			if whole -= len(c.text); size <= limit && whole <= maxWhole {
				break
			}
		}

		if largest == "" { // nothing left to take out
			return nil, &TooLargeError{Size: size, Limit: limit}
		}
	}
}

// candidate is a value that could be spilled.
type candidate struct {
	where  string
	text   string
	stored int // bytes in the ConfigMap
}

func (c candidate) describe() string {
	return fmt.Sprintf("%s (%s)", c.where, Bytes(int64(len(c.text))))
}

// encode writes r with every value of at least threshold bytes compressed and those in out spilled. candidates are the
// compressed values, largest first.
func (e *Encoder) encode(r *Record, threshold int, out map[string]bool) (map[string]string, []candidate, error) {
	w := wire{Record: r.Clone(), Packed: map[string]string{}}
	found := map[string]*candidate{}

	err := values(w.Record, func(where, text string) (string, error) {
		if len(text) < threshold || IsSpilled(text) {
			return text, nil
		}

		sum := hash(text)
		if out[sum] {
			return e.spilled[sum].String(), nil
		}

		packed := e.pack(sum, text)

		if c := found[sum]; c != nil {
			return c.mark(sum), nil
		}

		c := &candidate{where: where, text: text, stored: len(packed)}
		found[sum] = c

		// What does not shrink stays readable, but is still a candidate for spilling.
		if len(packed) >= jsonSize(text) {
			c.stored = jsonSize(text)

			return text, nil
		}

		w.Packed[sum[:16]] = packed

		return c.mark(sum), nil
	})
	if err != nil {
		return nil, nil, err
	}

	raw, err := json.Marshal(w)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the run record: %w", err)
	}

	data := flat(w.Record)
	data[KeyRecord] = string(raw)

	candidates := make([]candidate, 0, len(found))
	for _, c := range found {
		candidates = append(candidates, *c)
	}

	slices.SortFunc(candidates, func(a, b candidate) int { return b.stored - a.stored })

	return data, candidates, nil
}

// mark is what stands for the candidate in the JSON: itself where compression did not help.
func (c *candidate) mark(sum string) string {
	if c.stored == jsonSize(c.text) {
		return c.text
	}

	return packedMark + sum[:16]
}

func (e *Encoder) pack(sum, text string) string {
	if packed, ok := e.packed[sum]; ok {
		return packed
	}

	if e.packed == nil {
		e.packed = map[string]string{}
	}

	e.packed[sum] = encode64(e.zip(text))

	return e.packed[sum]
}

func (e *Encoder) spill(ctx context.Context, text string) error {
	sum := hash(text)
	if _, ok := e.spilled[sum]; ok {
		return nil
	}

	// Nothing else is journalled meanwhile.
	ctx, cancel := context.WithTimeout(ctx, spillLimit)
	defer cancel()

	ref := spilled{sum: sum, size: len(text), key: path.Join(e.SpillPrefix, sum+".gz")}
	if err := e.Spill.Put(ctx, ref.key, e.zip(text)); err != nil {
		return fmt.Errorf("storing a value of %s beside the data, as %q: %w", Bytes(int64(len(text))), ref.key, err)
	}

	if e.spilled == nil {
		e.spilled = map[string]spilled{}
	}

	e.spilled[sum] = ref

	return nil
}

// spillLimit bounds one request to the location.
const spillLimit = 2 * time.Minute

// UnresolvedError says that values of the record lie in the location and could not be fetched: in their place the record has references
// to them, which can be stored again as they are.
type UnresolvedError struct{ Err error }

func (e *UnresolvedError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *UnresolvedError) Unwrap() error { return e.Err }

// Resolve fetches the values of r that were spilled, in place, and remembers where they lie. Its error is an UnresolvedError: r is
// of use all the same.
func (e *Encoder) Resolve(ctx context.Context, r *Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()

	var unresolved error

	err := values(r, func(where, text string) (string, error) {
		ref, err := parseSpilled(text)
		if err != nil {
			return text, nil //nolint:nilerr // an ordinary value
		}

		if unresolved != nil { // the location is not asked a thousand times
			return text, nil //nolint:nilerr // it is given to the caller at the end
		}

		value, err := Unspill(ctx, e.Spill, text)
		if err != nil {
			unresolved = fmt.Errorf("reading %s: %w", where, err)

			return text, nil
		}

		if e.spilled == nil {
			e.spilled = map[string]spilled{}
		}

		e.spilled[ref.sum] = ref

		return value, nil
	})

	if err == nil && unresolved != nil {
		err = &UnresolvedError{unresolved}
	}

	return err
}

// Slim is r with every value of more than limit bytes spilled, for readers elsewhere.
func (e *Encoder) Slim(ctx context.Context, r *Record, limit int) (*Record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()

	r = r.Clone()

	err := values(r, func(_, text string) (string, error) {
		if len(text) <= limit || IsSpilled(text) {
			return text, nil
		}

		if err := e.spill(ctx, text); err != nil {
			return "", err
		}

		return e.spilled[hash(text)].String(), nil
	})

	return r, err
}

// Encode gives the keys of a ConfigMap for a record without a location to spill to.
func Encode(r *Record) (map[string]string, error) {
	return (&Encoder{}).Encode(context.Background(), r, 0)
}

// flat are the keys that a runbook reads with -o jsonpath.
func flat(r *Record) map[string]string {
	data := map[string]string{KeyState: string(r.State)}

	if phase := r.current(); phase != "" {
		data[KeyPhase] = phase
	}

	data[KeyProgress] = r.progress()

	switch {
	case r.Error != nil:
		data[KeyError] = r.Error.Message
	case r.DeferError != nil:
		data[KeyError] = r.DeferError.Message
	case r.State == Cancelled:
		data[KeyError] = "cancelled: " + r.CancelReason
	}

	if r.State == Complete {
		artifacts := r.Artifacts
		if artifacts == nil {
			data[KeyArtifacts] = "{}"
		} else if raw, err := json.Marshal(artifacts); err == nil { // maps of strings always marshal
			data[KeyArtifacts] = string(raw)
		}
	}

	return data
}

// current is the phase that runs, or the one that failed.
func (r *Record) current() string {
	name := ""

	for _, p := range r.all() {
		switch p.State {
		case Running:
			return p.Name
		case Failed, Cancelled:
			if name == "" {
				name = p.Name
			}
		}
	}

	return name
}

// progress is one line: "1/3", and what the running phase says of itself.
func (r *Record) progress() string {
	done := 0
	text := ""

	for i := range r.Phases {
		if r.Phases[i].State == Complete {
			done++
		}
	}

	for _, p := range r.all() {
		if p.State == Running {
			text = " " + p.Name

			if p.Progress != nil {
				if said := p.Progress.String(); said != "" {
					text += ": " + said
				}
			}
		}
	}

	return strconv.Itoa(done) + "/" + strconv.Itoa(len(r.Phases)) + text
}

// Labels are the labels of the record's ConfigMap.
func Labels(r *Record) map[string]string {
	labels := map[string]string{
		LabelRecord:     "true",
		LabelRun:        LabelValue(r.Run),
		LabelAction:     LabelValue(r.Action),
		LabelTargetKind: LabelValue(strings.ToLower(r.Target.Kind)),
		LabelTargetName: LabelValue(r.Target.Name),
		LabelBlueprint:  LabelValue(r.Blueprint.Name),
		LabelState:      string(r.State),
	}

	return labels
}

// ErrNewer says that a record was written by a newer version than this one can read.
var ErrNewer = errors.New("written by a newer version of kubectl kanister")

// Decode reads the record in a ConfigMap. Compressed values come back as they were; spilled ones stay references (IsSpilled).
// The error is ErrNewer for a schema of the future, and otherwise says what is wrong with which ConfigMap.
func Decode(cm *corev1.ConfigMap) (*Record, error) {
	r, err := DecodeData(cm.Data)
	if err != nil {
		return nil, fmt.Errorf("reading run record %q in namespace %q: %w", cm.Name, cm.Namespace, err)
	}

	return r, nil
}

// DecodeData is Decode on the data alone.
func DecodeData(data map[string]string) (*Record, error) {
	raw, ok := data[KeyRecord]
	if !ok {
		return nil, fmt.Errorf("the key %q is missing", KeyRecord)
	}

	var schema struct {
		SchemaVersion string `json:"schemaVersion"`
	}

	if err := json.Unmarshal([]byte(raw), &schema); err != nil {
		return nil, fmt.Errorf("key %q: %w", KeyRecord, err)
	}

	if err := CheckSchema(schema.SchemaVersion); err != nil {
		return nil, err
	}

	w := wire{Record: &Record{}}
	if err := unmarshal([]byte(raw), &w); err != nil {
		return nil, fmt.Errorf("key %q: %w", KeyRecord, err)
	}

	if w.Record == nil {
		return nil, fmt.Errorf("key %q: there is no record in it", KeyRecord)
	}

	unpacked := map[string]string{}
	room := int64(maxUnpacked)

	err := values(w.Record, func(where, text string) (string, error) {
		id, ok := strings.CutPrefix(text, packedMark)
		if !ok {
			return text, nil
		}

		if value, ok := unpacked[id]; ok {
			return value, nil
		}

		packed, ok := w.Packed[id]
		if !ok {
			return "", fmt.Errorf("%s: the compressed value %q is missing", where, id)
		}

		zipped, err := decode64(packed)
		if err != nil {
			return "", fmt.Errorf("%s: %w", where, err)
		}

		value, err := unzip(zipped, room)
		if err != nil {
			return "", fmt.Errorf("%s: %w", where, err)
		}

		room -= int64(len(value))
		unpacked[id] = value

		return value, nil
	})
	if err != nil {
		return nil, err
	}

	for _, p := range w.Record.all() {
		numbers(p.Output)
	}

	for i := range w.Undo {
		numbers(w.Undo[i].Args)
	}

	if w.Origin != nil {
		numbers(w.Origin.Object)
	}

	return w.Record, nil
}

// CheckSchema accepts every minor version of the schema that this program knows.
func CheckSchema(version string) error {
	major, ok := majorVersion(version)

	switch known, _ := majorVersion(SchemaVersion); {
	case !ok:
		return fmt.Errorf("%q is no schema version", version)
	case major > known:
		return fmt.Errorf("schema %s, this program knows %s: %w; update kubectl kanister", version, SchemaVersion, ErrNewer)
	default:
		return nil
	}
}

func majorVersion(version string) (int, bool) {
	rest, ok := strings.CutPrefix(version, "v")
	if !ok {
		return 0, false
	}

	digits := strings.TrimLeftFunc(rest, unicode.IsDigit)
	number := strings.TrimSuffix(rest, digits)

	if digits != "" && !strings.HasPrefix(digits, ".") && !strings.HasPrefix(digits, "alpha") && !strings.HasPrefix(digits, "beta") {
		return 0, false
	}

	major, err := strconv.Atoi(number)

	return major, err == nil && major > 0
}

// dataSize is what Kubernetes counts: keys and values.
func dataSize(data map[string]string) int {
	size := 0
	for key, value := range data {
		size += len(key) + len(value)
	}

	return size
}

// ours are the keys that an Encoder writes; all others in a ConfigMap are kept.
func ours() []string {
	return []string{KeyState, KeyPhase, KeyProgress, KeyError, KeyArtifacts, KeyRecord}
}

// merge puts encoded over existing: our keys are replaced or go, all others stay.
func merge(existing, encoded map[string]string) map[string]string {
	merged := maps.Clone(existing)
	if merged == nil {
		merged = map[string]string{}
	}

	for _, key := range ours() {
		delete(merged, key)
	}

	maps.Copy(merged, encoded)

	return merged
}

// othersSize is the size of the keys that merge keeps.
func othersSize(existing map[string]string) int {
	kept := merge(existing, nil)

	return dataSize(kept)
}
