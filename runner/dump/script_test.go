package dump

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestNamesAreQuoted(t *testing.T) {
	for name, want := range map[string][3]string{
		"shop":                {`dbname='shop'`, `'shop'`, `"shop"`},
		`o'dd`:                {`dbname='o\'dd'`, `'o''dd'`, `"o'dd"`},
		`a"b`:                 {`dbname='a"b'`, `'a"b'`, `"a""b"`},
		`back\slash`:          {`dbname='back\\slash'`, `E'back\\slash'`, `"back\slash"`},
		"postgres://evil/x":   {`dbname='postgres://evil/x'`, `'postgres://evil/x'`, `"postgres://evil/x"`},
		"host=evil dbname=xx": {`dbname='host=evil dbname=xx'`, `'host=evil dbname=xx'`, `"host=evil dbname=xx"`},
	} {
		if got := [3]string{connection(name), literal(name), identifier(name)}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestSectionsPassTextOnAndNoteDatabases(t *testing.T) {
	long := strings.Repeat("x", 200*1024)
	text := "-- head\n" + before("postgres", "shop", "CREATE DATABASE shop") + long + "\n" + marker + "\n" + before("postgres", `a "b`, "…") + "last line without end"

	w := &work{emit: func(Event) {}}
	result := &Result{}

	got, err := io.ReadAll(&sections{reader: bufio.NewReaderSize(strings.NewReader(text), 64*1024), work: w, result: result})
	if err != nil || string(got) != text {
		t.Fatalf("%d bytes of %d, %v", len(got), len(text), err)
	}

	if strings.Join(result.Databases, "|") != `shop|a "b` || result.Bytes != int64(len(text)) {
		t.Errorf("databases %q, %d bytes", result.Databases, result.Bytes)
	}
}

func TestPlainUnzipsWhatIsZipped(t *testing.T) {
	var zipped bytes.Buffer

	writer := gzip.NewWriter(&zipped)
	_, _ = writer.Write([]byte("SELECT 1;"))
	_ = writer.Close()

	for name, data := range map[string][]byte{"zipped": zipped.Bytes(), "plain": []byte("SELECT 1;")} {
		text, err := plain(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}

		if got, err := io.ReadAll(text); err != nil || string(got) != "SELECT 1;" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}

	if _, err := plain(strings.NewReader("")); err == nil {
		t.Error("an empty dump was taken")
	}

	// Half an object must not look like the whole.
	text, err := plain(bytes.NewReader(zipped.Bytes()[:zipped.Len()-6]))
	if err != nil {
		t.Fatal(err)
	}

	from := &source{reader: text}
	if _, _ = io.Copy(io.Discard, from); !errors.Is(from.err, io.ErrUnexpectedEOF) {
		t.Errorf("half an object: %v", from.err)
	}
}

func TestErrorsOfTheServerAreExplained(t *testing.T) {
	for said, reason := range map[string]string{
		`FATAL:  password authentication failed for user "boss"`:                     "WrongPassword",
		`could not translate host name "x" to address`:                               "Unreachable",
		`pg_dump: error: aborting because of server version mismatch`:                "VersionMismatch",
		`ERROR:  permission denied for table x`:                                      "AccessDenied",
		`FATAL:  database "x" does not exist`:                                        "NotFound",
		`something else`:                                                             "PostgreSQL",
		`exec: "pg_dump": executable file not found in $PATH`:                        "NoPostgreSQLTools",
		`connection to server at "10.0.0.1", port 5432 failed: timeout expired`:      "Unreachable",
		`connection to server at "10.0.0.1", port 5432 failed: Connection refused …`: "Unreachable",
	} {
		if e := explain(&serverError{program: "psql", said: said}); e.Reason != reason || !strings.Contains(e.Message, said) {
			t.Errorf("%s: %+v", said, e)
		}
	}
}

func TestMembersOfUpstreamsDumps(t *testing.T) {
	var archive bytes.Buffer

	writer := tar.NewWriter(&archive)
	_ = writer.WriteHeader(&tar.Header{Name: "backup/", Typeflag: tar.TypeDir, Mode: 0o755})
	_ = writer.Close()

	w := &work{emit: func(Event) {}}
	if err := w.members(t.Context(), &archive, &Result{}); err == nil || !strings.Contains(err.Error(), "no database") {
		t.Errorf("a tar without databases: %v", err)
	}
}
