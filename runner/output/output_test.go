package output

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parse writes text in chunks of n bytes.
func parse(text string, n int) (map[string]any, []string, error) {
	var lines []string

	p := &Parser{Log: func(line string) { lines = append(lines, line) }}

	for len(text) > 0 {
		k := min(n, len(text))
		if _, err := p.Write([]byte(text[:k])); err != nil {
			return p.Outputs(), lines, err
		}

		text = text[k:]
	}

	err := p.Close()

	return p.Outputs(), lines, err
}

func TestParser(t *testing.T) {
	big := strings.Repeat("x", 300_000)

	for name, tc := range map[string]struct {
		text    string
		want    map[string]any
		logs    []string
		invalid bool
	}{
		"nothing":             {},
		"plain log":           {text: "a\n\nb\n", logs: []string{"a", "", "b"}},
		"no line break":       {text: "###Phase-output###: {\"key\":\"a\",\"value\":\"b\"}", want: map[string]any{"a": "b"}},
		"anywhere in a line":  {text: "log ###Phase-output###: {\"key\":\"a\",\"value\":\"b\"}  \r\nmore\r\n", want: map[string]any{"a": "b"}, logs: []string{"log ", "more"}},
		"no blank":            {text: "###Phase-output###:{\"key\":\"a\",\"value\":\"\"}\n", want: map[string]any{"a": ""}},
		"last wins":           {text: "###Phase-output###: {\"key\":\"a\",\"value\":\"1\"}\n###Phase-output###: {\"key\":\"a\",\"value\":\"2\"}\n", want: map[string]any{"a": "2"}},
		"empty remainder":     {text: "###Phase-output###:   \n"},
		"two markers":         {text: "###Phase-output###: {\"key\":\"a\",\"value\":\"1\"}###Phase-output###: {\"key\":\"a\",\"value\":\"2\"}\n", want: map[string]any{"a": "2"}},
		"stderr glued on":     {text: "###Phase-output###: {\"key\":\"a\",\"value\":\"1\"}two\nthree\n", want: map[string]any{"a": "1"}, logs: []string{"two", "three"}},
		"garbage after it":    {text: "###Phase-output###: {\"key\":\"a\",\"value\":\"1\"}###Phase-output###: no\n", invalid: true},
		"no JSON":             {text: "###Phase-output###: hello\n", invalid: true},
		"value no string":     {text: "###Phase-output###: {\"key\":\"a\",\"value\":1}\n", invalid: true},
		"cut":                 {text: "###Phase-output###: {\"key\":\"a\",\"val", invalid: true},
		"large":               {text: "###Phase-output###: {\"key\":\"a\",\"value\":\"" + big + "\"}\n", want: map[string]any{"a": big}},
		"escapes":             {text: "###Phase-output###: {\"key\":\"a\",\"value\":\"\\u003c\\n\\u00e4\"}\n", want: map[string]any{"a": "<\nä"}},
		"marker-like":         {text: "###Phase-###Phase-output###: {\"key\":\"a\",\"value\":\"b\"}\n", want: map[string]any{"a": "b"}, logs: []string{"###Phase-"}},
		"marker after a wall": {text: strings.Repeat("-", longestLog+5) + "###Phase-output###: {\"key\":\"a\",\"value\":\"b\"}\n", want: map[string]any{"a": "b"}},
	} {
		for _, chunk := range []int{1, 7, 19, 20, 64 << 10, 1 << 30} {
			if chunk == 1 && name == "large" {
				continue
			}

			t.Run(fmt.Sprintf("%s/%d", name, chunk), func(t *testing.T) {
				got, logs, err := parse(tc.text, chunk)

				var invalid *InvalidError
				if errors.As(err, &invalid) != tc.invalid {
					t.Fatalf("error %v, want invalid %v", err, tc.invalid)
				}

				if diff := cmp.Diff(tc.want, got); diff != "" && !tc.invalid {
					t.Error(diff)
				}

				if diff := cmp.Diff(tc.logs, logs); diff != "" && tc.logs != nil {
					t.Error(diff)
				}
			})
		}
	}
}

func TestLongLogLineIsCutNotLost(t *testing.T) {
	long := strings.Repeat("ä", 100_000)

	_, lines, err := parse(long+"\nend\n", 4096)
	if err != nil {
		t.Fatal(err)
	}

	if got := strings.Join(lines[:len(lines)-1], ""); got != long || lines[len(lines)-1] != "end" {
		t.Errorf("%d bytes in %d lines, want %d", len(got), len(lines), len(long))
	}
}

func TestLineRoundTrip(t *testing.T) {
	if _, err := Line("no-dash", "v"); err == nil {
		t.Error("a key with a dash was accepted")
	}

	line, err := Line("k_1", "a<b>\n\"'\u2028")
	if err != nil {
		t.Fatal(err)
	}

	if strings.Count(line, "\n") != 1 {
		t.Errorf("%q is not one line", line)
	}

	got, _, err := parse("x"+line, 3)
	if err != nil || got["k_1"] != "a<b>\n\"'\u2028" {
		t.Errorf("%v, %v", got, err)
	}
}

// Time grows with the length of a line, however many outputs are on it.
func TestManyOutputsOnALine(t *testing.T) {
	const n = 300_000

	got, lines, err := parse(strings.Repeat(`###Phase-output###: {"key":"a","value":"b"} t`, n), 64<<10)
	if err != nil || got["a"] != "b" || len(lines) != n {
		t.Errorf("%v, %d lines, %v", got, len(lines), err)
	}
}

// Whatever the text and however it is cut, the result is the same, and nothing panics.
func FuzzParser(f *testing.F) {
	f.Add("log\n###Phase-output###: {\"key\":\"a\",\"value\":\"b\"}\n", uint16(3))
	f.Add("###Phase-output###: {", uint16(1))
	f.Add("###Phase-output######Phase-output###: {\"key\":\"a\",\"value\":\"b\"}\r\n", uint16(20))
	f.Fuzz(func(t *testing.T, text string, chunk uint16) {
		whole, _, wholeErr := parse(text, len(text)+1)
		cut, _, cutErr := parse(text, int(chunk)+1)

		if diff := cmp.Diff(whole, cut); diff != "" || (wholeErr == nil) != (cutErr == nil) {
			t.Errorf("in one piece %v, in chunks of %d %v: %s", wholeErr, int(chunk)+1, cutErr, diff)
		}
	})
}
