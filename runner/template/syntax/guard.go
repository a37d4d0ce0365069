package syntax

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"
	texttemplate "text/template"
)

// guard watches one rendering: it counts steps, and looks at what functions are given and give back. Functions of a template can
// only be stopped before they start, so those that make much out of little are estimated first.
type guard struct {
	steps int
}

func (g *guard) spend(n int) error {
	g.steps += n
	if g.steps > maxSteps || g.steps < 0 {
		return tooLong()
	}

	return nil
}

// tick is called at the start of every round of a loop and of every defined template.
func (g *guard) tick() (string, error) { return "", g.spend(1) }

// show looks at a value before it is printed.
func (g *guard) show(v reflect.Value) (reflect.Value, error) {
	w, err := weigh("the printed value", v)
	if err == nil {
		err = g.spend(w.bytes >> 10)
	}

	return v, err
}

// wrap gives a function of the same type as fn that is watched. What is wrong is told by a panic with an error, which the
// template engine turns into the function's error.
func (g *guard) wrap(name string, fn any) any {
	f := reflect.ValueOf(fn)

	return reflect.MakeFunc(f.Type(), func(args []reflect.Value) []reflect.Value {
		w, err := weigh("the input of "+name, args...)
		check(err)
		check(g.spend(1 + w.bytes>>10 + costs[name]))

		if estimate, ok := estimates[name]; ok {
			check(estimate(name, plain(args), w))
		}

		var results []reflect.Value
		if f.Type().IsVariadic() {
			results = f.CallSlice(args)
		} else {
			results = f.Call(args)
		}

		_, err = weigh("the result of "+name, results[0])
		check(err)

		return results
	}).Interface()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// plain unpacks the arguments, those of a variadic tail included.
func plain(args []reflect.Value) []any {
	out := make([]any, 0, len(args))

	for _, a := range args {
		if a.IsValid() && a.CanInterface() {
			out = append(out, a.Interface())
		} else {
			out = append(out, nil)
		}
	}

	return out
}

// costs are steps of functions that take long whatever they are given.
var costs = map[string]int{
	"genPrivateKey": maxSteps / 4, "genCA": maxSteps / 16, "genSelfSignedCert": maxSteps / 16, "genSignedCert": maxSteps / 16,
	"genCAWithKey": maxSteps / 64, "genSelfSignedCertWithKey": maxSteps / 64, "genSignedCertWithKey": maxSteps / 64,
	"buildCustomCert": 1024, "encryptAES": 16, "decryptAES": 16,
}

type estimate func(name string, args []any, w weight) error

// estimates refuse a call whose result would be far larger than its input.
var estimates = map[string]estimate{
	"repeat":  func(n string, a []any, _ weight) error { return product(n, integer(a, 0), len(text(a, 1)), 0) },
	"indent":  indentation,
	"nindent": indentation,
	"replace": replacement,
	"join":    func(n string, a []any, w weight) error { return product(n, w.nodes, len(text(a, 0)), w.bytes) },
	"wrap":    func(n string, a []any, w weight) error { return product(n, 2, len(text(a, 1)), 0) },
	"wrapWith": func(n string, a []any, w weight) error {
		return product(n, len(text(a, 2))+1, len(text(a, 1)), w.bytes)
	},
	"until":     func(n string, a []any, _ weight) error { return entries(n, magnitude(integer(a, 0))) },
	"untilStep": func(n string, a []any, _ weight) error { return span(n, integer(a, 0), integer(a, 1), integer(a, 2)) },
	"seq":       sequence,

	"randAlphaNum": random, "randAlpha": random, "randAscii": random, "randNumeric": random, "randBytes": random,

	"split":     func(n string, a []any, _ weight) error { return pieces(n, text(a, 1), text(a, 0)) },
	"splitList": func(n string, a []any, _ weight) error { return pieces(n, text(a, 1), text(a, 0)) },
	"splitn":    func(n string, a []any, _ weight) error { return pieces(n, text(a, 2), text(a, 0)) },

	"regexReplaceAll":            regexReplacement,
	"mustRegexReplaceAll":        regexReplacement,
	"regexReplaceAllLiteral":     regexReplacement,
	"mustRegexReplaceAllLiteral": regexReplacement,
	"regexSplit":                 regexMatches, "mustRegexSplit": regexMatches,
	"regexFindAll": regexMatches, "mustRegexFindAll": regexMatches,

	"toPrettyJson": func(n string, _ []any, w weight) error { return product(n, w.nodes, 2*w.depth, w.bytes) },
	"mustToPrettyJson": func(n string, _ []any, w weight) error {
		return product(n, w.nodes, 2*w.depth, w.bytes)
	},
	"printf": printing,
}

// product refuses a result of times*length+plus bytes over the limit, without overflow.
func product(name string, times, length, plus int) error {
	times, length = max(times, 0), max(length, 0)
	if plus > MaxOutput || length > 0 && times > (MaxOutput-plus)/length {
		return tooLarge("the result of " + name)
	}

	return nil
}

func entries(name string, n int) error {
	if n > maxNodes {
		return tooMany("the result of " + name)
	}

	return nil
}

func span(name string, from, to, step int) error {
	if step == 0 {
		return nil // gives nothing
	}

	if magnitude(from) > 1<<40 || magnitude(to) > 1<<40 {
		return entries(name, maxNodes+1)
	}

	return entries(name, magnitude((to-from)/step))
}

func sequence(name string, args []any, _ weight) error {
	params, _ := args[0].([]int)

	switch len(params) {
	case 1:
		return span(name, 1, params[0], 1)
	case 2:
		return span(name, params[0], params[1], 1)
	case 3:
		return span(name, params[0], params[2], params[1])
	default:
		return nil
	}
}

func random(name string, args []any, _ weight) error {
	if n := integer(args, 0); n < 0 || n > maxNodes {
		return tooMany("the result of " + name)
	}

	return nil
}

func indentation(name string, args []any, _ weight) error {
	s := text(args, 1)

	return product(name, strings.Count(s, "\n")+2, integer(args, 0), len(s))
}

func replacement(name string, args []any, w weight) error {
	old, replaced := text(args, 0), text(args, 2)

	return product(name, strings.Count(replaced, old), len(text(args, 1)), w.bytes)
}

func pieces(name, s, separator string) error { return entries(name, strings.Count(s, separator)) }

// regexReplacement counts the matches; a replacement may name whole matches, so their text counts once per "$".
func regexReplacement(name string, args []any, w weight) error {
	expression, s, replacement := text(args, 0), text(args, 1), text(args, 2)
	if err := product(name, strings.Count(replacement, "$"), len(s), w.bytes); err != nil {
		return err
	}

	if len(replacement) == 0 {
		return nil
	}

	// More matches than these are too many, however long they are.
	most := min((MaxOutput-min(w.bytes, MaxOutput))/len(replacement)+1, maxNodes)

	n, err := matches(name, expression, s, most)
	if err != nil {
		return err
	}

	return product(name, n, len(replacement), w.bytes)
}

func regexMatches(name string, args []any, _ weight) error {
	_, err := matches(name, text(args, 0), text(args, 1), maxNodes)

	return err
}

// matches counts up to most+1. An expression that does not compile is the function's own business.
func matches(name, expression, s string, most int) (int, error) {
	re, err := regexp.Compile(expression)
	if err != nil {
		return 0, nil //nolint:nilerr // see above
	}

	n := len(re.FindAllStringIndex(s, most+1))

	return n, entries(name, n)
}

// printing estimates printf: widths and precisions written in the format or given as "*" (at most a million each, by fmt),
// and as many copies of the arguments as there are verbs.
func printing(name string, args []any, w weight) error {
	const widest = 1_000_000

	format := text(args, 0)
	total, number := len(format), 0

	for i := range len(format) {
		switch c := format[i]; {
		case c >= '0' && c <= '9':
			number = min(10*number+int(c-'0'), widest)

			continue
		case c == '*':
			number = widest
		}

		total, number = total+number, 0
		if total > MaxOutput {
			return tooLarge("the result of " + name)
		}
	}

	total += number

	// An argument may be named again and again ("%[1]s"); once each is what almost all formats do.
	copies := 1
	if strings.Contains(format, "[") {
		copies = strings.Count(format, "%")
	}

	return product(name, copies, w.bytes, total)
}

func text(args []any, i int) string {
	if i < len(args) {
		switch v := args[i].(type) {
		case string:
			return v
		case fmt.Stringer:
			return ""
		}
	}

	return ""
}

func integer(args []any, i int) int {
	if i < len(args) {
		if n, ok := args[i].(int); ok {
			return n
		}
	}

	return 0
}

func magnitude(n int) int {
	switch {
	case n == math.MinInt:
		return math.MaxInt
	case n < 0:
		return -n
	}

	return n
}

// watched are the functions of the template that need watching: sprig's, and of the engine's own those that make text.
func (g *guard) watched(used map[string]bool) texttemplate.FuncMap {
	out := texttemplate.FuncMap{tickName: g.tick, showName: g.show}

	for name := range used {
		if fn, ok := functions()[name]; ok {
			out[name] = g.wrap(name, fn)
		}
	}

	for name, fn := range map[string]any{
		"print": fmt.Sprint, "printf": fmt.Sprintf, "println": fmt.Sprintln,
		"html": texttemplate.HTMLEscaper, "js": texttemplate.JSEscaper, "urlquery": texttemplate.URLQueryEscaper,
	} {
		if used[name] {
			out[name] = g.wrap(name, fn)
		}
	}

	return out
}
