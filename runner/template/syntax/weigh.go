package syntax

import (
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Limits of one rendering. They are far above what any blueprint needs and far below what hurts the process.
const (
	// MaxOutput is the largest result, and the largest value anywhere on the way to it, in bytes.
	MaxOutput = 64 << 20
	// maxNodes bounds the number of members of a value, maxDepth its nesting. A value that contains itself has no depth.
	maxNodes = 1 << 20
	maxDepth = 128
	// maxSteps bounds loops and calls together.
	maxSteps = 1 << 20
)

// LimitError says that a template was stopped because it went over a limit.
type LimitError struct {
	What string // e.g. "the result of repeat"
	Max  string // e.g. "64 MiB"
}

// Error names what was too much and the limit.
func (e *LimitError) Error() string { return fmt.Sprintf("%s is over the limit of %s", e.What, e.Max) }

func tooLarge(what string) error { return &LimitError{What: what, Max: "64 MiB"} }
func tooMany(what string) error {
	return &LimitError{What: what, Max: fmt.Sprintf("%d entries", maxNodes)}
}
func tooDeep(what string) error {
	return &LimitError{What: what, Max: fmt.Sprintf("%d levels", maxDepth)}
}
func tooLong() error {
	return &LimitError{What: "the work of the template", Max: fmt.Sprintf("%d steps", maxSteps)}
}

// weight is how large a value is.
type weight struct {
	bytes, nodes, depth int
}

var timeType = reflect.TypeFor[time.Time]()

// weigh measures v without printing it, and stops at the first limit. It never follows more than the limits allow, so that
// values that contain themselves, or share parts so often that they would print without end, are found out cheaply.
func weigh(what string, values ...reflect.Value) (weight, error) {
	var w weight

	for _, v := range values {
		if err := w.add(what, v, 1); err != nil {
			return w, err
		}
	}

	return w, nil
}

func (w *weight) add(what string, v reflect.Value, depth int) error {
	w.nodes++
	w.bytes += 8
	w.depth = max(w.depth, depth)

	switch {
	case w.bytes > MaxOutput:
		return tooLarge(what)
	case w.nodes > maxNodes:
		return tooMany(what)
	case depth > maxDepth:
		return tooDeep(what)
	case !v.IsValid():
		return nil
	}

	switch v.Kind() {
	case reflect.String:
		w.bytes += v.Len()
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			w.nodes--

			return w.add(what, v.Elem(), depth+1)
		}
	case reflect.Slice, reflect.Array:
		return w.addList(what, v, depth)
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := w.add(what, it.Key(), depth+1); err != nil {
				return err
			}

			if err := w.add(what, it.Value(), depth+1); err != nil {
				return err
			}
		}
	case reflect.Struct:
		if v.Type() == timeType {
			return nil
		}

		for i := range v.NumField() {
			if err := w.add(what, v.Field(i), depth+1); err != nil {
				return err
			}
		}
	}

	if w.bytes > MaxOutput {
		return tooLarge(what)
	}

	return nil
}

func (w *weight) addList(what string, v reflect.Value, depth int) error {
	switch v.Type().Elem().Kind() {
	case reflect.Uint8, reflect.Int8, reflect.Bool:
		w.bytes += v.Len()
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		w.bytes += 8 * v.Len()
		w.nodes += v.Len()
	default:
		for i := range v.Len() {
			if err := w.add(what, v.Index(i), depth+1); err != nil {
				return err
			}
		}
	}

	if w.bytes > MaxOutput {
		return tooLarge(what)
	}

	return nil
}

// asLimit finds a *LimitError in err's chain.
func asLimit(err error) (*LimitError, bool) {
	var limit *LimitError

	return limit, errors.As(err, &limit)
}
