package record

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Spill keeps values that are too large for a ConfigMap beside the data, in the run's location.
type Spill interface {
	// Put stores data under key; storing it again is harmless. It has reached the location when Put returns nil.
	Put(ctx context.Context, key string, data []byte) error
	// Get reads what Put stored.
	Get(ctx context.Context, key string) ([]byte, error)
}

// How values that were taken out of the record's JSON are spelt in their place.
const (
	packedMark  = "\x00kanister.io/packed:"  // + id in wire.Packed
	spilledMark = "\x00kanister.io/spilled:" // + SHA-256:bytes:location key; self-contained
)

// MaxValue bounds a spilled value as it lies in the location, in bytes.
const MaxValue = 64 << 20

// maxUnpacked bounds what one record may decompress to, and maxWhole what is put into one: more than any real record holds,
// less than a bomb. A single value may be as long as an output may be.
const (
	maxUnpacked = 64 << 20
	maxWhole    = 8 << 20
)

// IsSpilled tells whether value stands for one that lies in the location. Such strings are handed on unchanged; the runner
// fetches what they stand for.
func IsSpilled(value string) bool {
	_, err := parseSpilled(value)

	return err == nil
}

// Reserved tells whether value begins like one of our marks; no output may.
func Reserved(value string) bool {
	return strings.HasPrefix(value, packedMark) || strings.HasPrefix(value, spilledMark)
}

// Unspill is value, or what it stands for if it was spilled. What comes back is checked against the hash that was recorded.
func Unspill(ctx context.Context, spill Spill, value string) (string, error) {
	if !strings.HasPrefix(value, spilledMark) {
		return value, nil
	}

	ref, err := parseSpilled(value)
	if err != nil {
		return "", err
	}

	if spill == nil {
		return "", fmt.Errorf("fetching %q (%d bytes): the value lies in a location, and the run has no profile", ref.key, ref.size)
	}

	data, err := spill.Get(ctx, ref.key)
	if err != nil {
		return "", fmt.Errorf("fetching %q (%d bytes) from the location: %w", ref.key, ref.size, err)
	}

	text, err := unzip(data, maxUnpacked)
	if err != nil {
		return "", fmt.Errorf("fetching %q from the location: %w", ref.key, err)
	}

	if hash(text) != ref.sum {
		return "", fmt.Errorf("fetching %q from the location: the object there is not the one that was recorded (SHA-256 differs)", ref.key)
	}

	return text, nil
}

type spilled struct {
	sum  string
	size int
	key  string
}

func (s spilled) String() string { return fmt.Sprintf("%s%s:%d:%s", spilledMark, s.sum, s.size, s.key) }

func parseSpilled(value string) (spilled, error) {
	rest, ok := strings.CutPrefix(value, spilledMark)
	parts := strings.SplitN(rest, ":", 3)

	if !ok || len(parts) != 3 || len(parts[0]) != sha256.Size*2 || parts[2] == "" {
		return spilled{}, fmt.Errorf("reading a spilled value: %q is no reference to one", Shorten(value, 80, "…"))
	}

	size, err := strconv.Atoi(parts[1])
	if err != nil || size < 0 {
		return spilled{}, fmt.Errorf("reading a spilled value: %q is no size", parts[1])
	}

	return spilled{sum: parts[0], size: size, key: parts[2]}, nil
}

// values calls visit for every string in the record that may be large, and stores what it returns. where names the value.
func values(r *Record, visit func(where, text string) (string, error)) error {
	for _, p := range r.all() {
		output, err := walk(p.Output, func(path, text string) (string, error) {
			return visit(fmt.Sprintf("output %q of phase %q", path, p.Name), text)
		})
		if err != nil {
			return err
		}

		p.Output, _ = output.(map[string]any)
	}

	for i := range r.Undo {
		args, err := walk(r.Undo[i].Args, func(path, text string) (string, error) {
			return visit(fmt.Sprintf("argument %q of undo %q", path, r.Undo[i].Key), text)
		})
		if err != nil {
			return err
		}

		r.Undo[i].Args, _ = args.(map[string]any)
	}

	for name, artifact := range r.Artifacts {
		changed := artifact
		changed.KeyValue = make(map[string]string, len(artifact.KeyValue))

		for key, text := range artifact.KeyValue {
			value, err := visit(fmt.Sprintf("%q of artifact %q", key, name), text)
			if err != nil {
				return err
			}

			changed.KeyValue[key] = value
		}

		if artifact.KeyValue == nil {
			changed.KeyValue = nil
		}

		snapshot, err := visit(fmt.Sprintf("the snapshot of artifact %q", name), artifact.KopiaSnapshot)
		if err != nil {
			return err
		}

		changed.KopiaSnapshot = snapshot
		r.Artifacts[name] = changed
	}

	if r.Origin != nil && r.Origin.Object != nil {
		object, err := walk(r.Origin.Object, func(path, text string) (string, error) {
			return visit(fmt.Sprintf("%q of the target", path), text)
		})
		if err != nil {
			return err
		}

		origin := *r.Origin
		origin.Object, _ = object.(map[string]any)
		r.Origin = &origin
	}

	return nil
}

// walk copies v with every string replaced by what visit returns.
func walk(v any, visit func(path, text string) (string, error)) (any, error) {
	return walkAt("", v, visit)
}

func walkAt(path string, v any, visit func(path, text string) (string, error)) (any, error) {
	switch v := v.(type) {
	case string:
		return visit(path, v)
	case map[string]any:
		if v == nil {
			return v, nil
		}

		out := make(map[string]any, len(v))

		for key, item := range v {
			child := key
			if path != "" {
				child = path + "." + key
			}

			changed, err := walkAt(child, item, visit)
			if err != nil {
				return nil, err
			}

			out[key] = changed
		}

		return out, nil
	case []any:
		out := make([]any, len(v))

		for i, item := range v {
			changed, err := walkAt(fmt.Sprintf("%s[%d]", path, i), item, visit)
			if err != nil {
				return nil, err
			}

			out[i] = changed
		}

		return out, nil
	default:
		return v, nil
	}
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))

	return hex.EncodeToString(sum[:])
}

// zip reuses one compressor: making one costs more than most values.
func (e *Encoder) zip(text string) []byte {
	var buffer bytes.Buffer

	if e.compressor == nil {
		e.compressor = gzip.NewWriter(&buffer)
	} else {
		e.compressor.Reset(&buffer)
	}

	_, _ = io.WriteString(e.compressor, text) // a bytes.Buffer takes everything
	_ = e.compressor.Close()

	return buffer.Bytes()
}

func unzip(data []byte, limit int64) (string, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("decompressing a value: %w", err)
	}

	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", fmt.Errorf("decompressing a value: %w", err)
	}

	if int64(len(text)) > limit {
		return "", fmt.Errorf("decompressing a value: it is larger than %d bytes", limit)
	}

	return string(text), nil
}

func encode64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func decode64(text string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("decompressing a value: %w", err)
	}

	return data, nil
}

// jsonSize is how many bytes text takes in the record's JSON, roughly.
func jsonSize(text string) int {
	raw, err := json.Marshal(text)
	if err != nil { // strings always marshal
		return len(text)
	}

	return len(raw)
}
