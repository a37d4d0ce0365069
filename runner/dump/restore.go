package dump

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

const (
	// tarBlock is the length of a tar header, and tarMagicAt where it says that it is one.
	tarBlock   = 512
	tarMagicAt = 257
)

// restore streams the object into psql.
func (w *work) restore(ctx context.Context) (Result, error) {
	object, err := w.store.Stat(ctx, w.request.Key)
	if err != nil {
		return Result{}, err
	}

	maintenance, err := w.server.maintenance(ctx)
	if err != nil {
		return Result{}, err
	}

	stream, err := w.store.Get(ctx, w.request.Key)
	if err != nil {
		return Result{}, err
	}
	defer stream.Close() // read only

	w.at(func(p *Progress) { p.Total = object.Size })

	place := w.store.URL(w.request.Key)

	text, err := plain(io.TeeReader(stream, w))
	if err != nil {
		return Result{}, fmt.Errorf("reading the dump %s: %w", place, err)
	}

	result := Result{Stored: object.Size, Place: place}

	if start, _ := text.Peek(tarBlock); len(start) == tarBlock && bytes.HasPrefix(start[tarMagicAt:], []byte("ustar")) {
		err = w.members(ctx, text, &result)
	} else {
		err = w.feed(ctx, maintenance, &sections{reader: text, work: w, result: &result})
	}

	return result, err
}

// plain is the text of a dump, which upstream lets be uncompressed, too.
func plain(r io.Reader) (*bufio.Reader, error) {
	buffered := bufio.NewReaderSize(r, 64*1024)

	start, err := buffered.Peek(2)
	if err != nil {
		return nil, fmt.Errorf("it is empty: %w", err)
	}

	if start[0] != 0x1f || start[1] != 0x8b {
		return buffered, nil
	}

	unzipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, err
	}

	return bufio.NewReaderSize(unzipped, 64*1024), nil
}

// feed gives text to a psql.
func (w *work) feed(ctx context.Context, database string, text io.Reader) error {
	cmd, said := w.server.command(ctx, "psql", psqlArgs(database, "-o", "/dev/null", "-f", "-")...)

	from := &source{reader: text}
	cmd.Stdin = from
	err := run(ctx, cmd, said)

	// A text that breaks off must not look like its end: psql would commit nothing, and say nothing.
	if from.err != nil {
		return fmt.Errorf("reading the dump: %w", from.err)
	}

	if err != nil {
		return fmt.Errorf("restoring database %q: %w", w.now.Database, err)
	}

	return nil
}

// source remembers why reading ended.
type source struct {
	reader io.Reader
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}

	return n, err
}

// sections passes a dump of ours on, and notes which database is at hand.
type sections struct {
	reader  *bufio.Reader
	work    *work
	result  *Result
	rest    []byte
	midLine bool
}

func (s *sections) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		line, err := s.reader.ReadSlice('\n')
		if len(line) == 0 {
			return 0, err
		}

		if name, ok := bytes.CutPrefix(line, []byte(marker)); ok && !s.midLine && len(name) > 1 {
			s.work.database(string(bytes.TrimSuffix(name, []byte("\n"))), s.result)
		}

		s.midLine = !bytes.HasSuffix(line, []byte("\n"))
		s.rest = line
	}

	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	s.result.Bytes += int64(n)

	return n, nil
}

func (w *work) database(name string, result *Result) {
	result.Databases = append(result.Databases, name)
	w.at(func(p *Progress) { p.Database, p.Number = name, p.Number+1 })
}

// members restores a dump of upstream's: a tar with one file per database, made by pg_dump --create.
func (w *work) members(ctx context.Context, text io.Reader, result *Result) error {
	archive := tar.NewReader(text)

	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			if len(result.Databases) == 0 {
				return errors.New("reading the dump: it holds no database")
			}

			return nil
		}

		if err != nil {
			return fmt.Errorf("reading the dump: %w", err)
		}

		name, isSQL := strings.CutSuffix(path.Base(header.Name), ".sql")
		if header.Typeflag != tar.TypeReg || !isSQL || name == "template1" {
			continue
		}

		w.database(name, result)
		result.Bytes += header.Size

		if err := w.feed(ctx, "template1", io.MultiReader(strings.NewReader(replace(name)), archive)); err != nil {
			return err
		}
	}
}
