package dump

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// dump streams the databases, one after the other, into the object, which appears only when all are in it.
func (w *work) dump(ctx context.Context) (Result, error) {
	maintenance, err := w.server.maintenance(ctx)
	if err != nil {
		return Result{}, err
	}

	databases, err := w.databases(ctx, maintenance)
	if err != nil {
		return Result{}, err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	reader, writer := io.Pipe()
	dumped := make(chan error, 1)

	go func() {
		err := w.write(ctx, writer, maintenance, databases)
		dumped <- err
		writer.CloseWithError(err) // nil is the end
	}()

	stored, err := w.store.Put(ctx, w.request.Key, reader)

	// Whichever failed first is why the other did.
	select {
	case dumpErr := <-dumped:
		if dumpErr != nil {
			err = dumpErr
		}
	default:
		cancel()
		reader.CloseWithError(io.ErrClosedPipe)
		<-dumped

		if err == nil {
			err = errors.New("storing the dump ended before the dump did")
		}
	}

	if err != nil {
		return Result{}, err
	}

	return Result{Databases: databases, Bytes: w.now.Bytes, Stored: stored, Place: w.store.URL(w.request.Key)}, nil
}

// databases are those asked for, or all; one that is not there is found before anything is dumped.
func (w *work) databases(ctx context.Context, maintenance string) ([]string, error) {
	all, err := w.server.rows(ctx, maintenance, listQuery)
	if err != nil {
		return nil, fmt.Errorf("listing databases: %w", err)
	}

	if len(w.request.Databases) == 0 {
		if len(all) == 0 {
			return nil, errors.New("listing databases: the server has none")
		}

		return all, nil
	}

	for _, name := range w.request.Databases {
		found, err := w.server.rows(ctx, maintenance, "SELECT 1 FROM pg_database WHERE datname = "+literal(name))
		if err != nil {
			return nil, fmt.Errorf("looking for database %q: %w", name, err)
		}

		if len(found) == 0 {
			return nil, &serverError{program: "psql", said: fmt.Sprintf("database %q does not exist; the server has %s", name, strings.Join(all, ", "))}
		}
	}

	return slices.Compact(slices.Clone(w.request.Databases)), nil
}

func (w *work) write(ctx context.Context, out io.Writer, maintenance string, databases []string) error {
	zipped, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}

	if _, err := fmt.Fprintf(zipped, head, maintenance); err != nil {
		return err
	}

	for i, name := range databases {
		w.at(func(p *Progress) { p.Database, p.Number, p.Of = name, i+1, len(databases) })

		if err := w.one(ctx, zipped, maintenance, name); err != nil {
			return fmt.Errorf("dumping database %q: %w", name, err)
		}
	}

	return zipped.Close()
}

func (w *work) one(ctx context.Context, out io.Writer, maintenance, name string) error {
	create, err := w.server.rows(ctx, maintenance, createQuery(name))
	if err != nil {
		return err
	}

	if len(create) != 1 {
		return errors.New("it is gone")
	}

	if _, err := io.WriteString(out, before(maintenance, name, create[0])); err != nil {
		return err
	}

	cmd, said := w.server.command(ctx, "pg_dump", "--clean", "--if-exists", "--no-password", "--dbname", connection(name))
	cmd.Stdout = io.MultiWriter(out, w)

	if err := run(ctx, cmd, said); err != nil {
		return err
	}

	_, err = io.WriteString(out, after)

	return err
}
