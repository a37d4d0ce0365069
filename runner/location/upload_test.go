package location

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestPartsHoldTheLargestObject(t *testing.T) {
	const largestPart, largestObject = 5 << 30, 5 << 40

	var total int64

	for number := int32(1); number <= maxParts; number++ {
		size := partSize(number)
		if size > largestPart || size < partSize(max(1, number-1)) {
			t.Fatalf("part %d has %d bytes", number, size)
		}

		total += size
	}

	if total < largestObject {
		t.Errorf("%d parts hold %d GiB, S3's largest object has %d", maxParts, total>>30, largestObject>>30)
	}
}

func TestReadPart(t *testing.T) {
	broken := fmt.Errorf("source: %w", io.ErrUnexpectedEOF)
	content := strings.Repeat("0123456789", 30_000)

	for name, test := range map[string]struct {
		r    io.Reader
		size int64
		want string
		err  error
	}{
		"empty":           {strings.NewReader(""), 10, "", nil},
		"shorter":         {strings.NewReader("abc"), 10, "abc", nil},
		"as long":         {strings.NewReader("abc"), 3, "abc", nil},
		"longer":          {strings.NewReader("abcdef"), 3, "abc", nil},
		"byte by byte":    {iotest.OneByteReader(strings.NewReader("abc")), 10, "abc", nil},
		"data with EOF":   {iotest.DataErrReader(strings.NewReader("abc")), 10, "abc", nil},
		"grows":           {strings.NewReader(content), 1 << 20, content, nil},
		"grows and stops": {strings.NewReader(content), 200_000, content[:200_000], nil},
		"broken off":      {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), 10, "abc", broken},
	} {
		t.Run(name, func(t *testing.T) {
			var whole bytes.Buffer

			r := io.TeeReader(test.r, &whole)

			got, err := readFirst(r, test.size)
			if test.size > firstRead {
				if string(got) != test.want || !errors.Is(err, test.err) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}

				return
			}

			if err == nil || test.err == nil { // the growing one begins with firstRead bytes
				got, err = readPart(bytes.NewReader(whole.Bytes()), make([]byte, test.size))
			}

			if string(got) != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, test.want, test.err)
			}
		})
	}
}
