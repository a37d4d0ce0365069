package functest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

// ignored is how the page of a function begins to describe an argument that has no effect.
const ignored = "Accepted for upstream's sake"

// sources are the parsed files of a package of functions.
type sources struct {
	// fields are the names of the struct fields that arguments are read into, by argument.
	fields map[string][]string
	// read are the names that stand after a dot anywhere but on the left of an assignment.
	read map[string]bool
	// texts are the string literals outside of tags.
	texts map[string]bool
	// shared are the packages whose structs are parts of those of arguments.
	shared map[string]bool
}

// TestEveryArgumentIsUsed: each documented argument has a field that is filled and read, or is read by its name, and no field is filled from
// an argument that no page documents.
func TestEveryArgumentIsUsed(t *testing.T) {
	documented := map[string]map[string]bool{}
	packages := map[string]sources{}

	for _, entry := range spec.All() {
		f, ok := functions.Default.Lookup(entry.ID)
		if !ok {
			t.Fatalf("%s is not registered", entry.ID)
		}

		dir := filepath.Join("..", filepath.Base(reflect.TypeOf(f).PkgPath()))
		if documented[dir] == nil {
			documented[dir] = map[string]bool{}
			packages[dir] = parse(t, dir)
		}

		p := packages[dir]

		for _, name := range entry.Arguments() {
			documented[dir][name] = true

			arg, _ := entry.Arg(name)
			if !slices.ContainsFunc(append([]string{arg.Name}, arg.Aliases...), p.uses) && !strings.HasPrefix(arg.Doc, ignored) {
				t.Errorf("%s: argument %q is documented, and nothing in %s reads it", entry.ID, name, dir)
			}
		}
	}

	for dir, p := range packages {
		for name := range p.fields {
			if !documented[dir][name] {
				t.Errorf("%s: a field is filled from argument %q, which no function of the package documents", dir, name)
			}
		}
	}
}

func (s sources) uses(name string) bool {
	return slices.ContainsFunc(s.fields[name], func(field string) bool { return s.read[field] }) || len(s.fields[name]) == 0 && s.texts[name]
}

func parse(t *testing.T, dir string) sources {
	t.Helper()

	s := sources{fields: map[string][]string{}, read: map[string]bool{}, texts: map[string]bool{}, shared: map[string]bool{}}

	s.parse(t, dir)

	for name := range s.shared {
		s.parse(t, filepath.Join("..", name))
	}

	return s
}

func (s sources) parse(t *testing.T, dir string) {
	t.Helper()

	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}

		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err == nil {
			s.add(file)
		}

		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func (s sources) add(file *ast.File) {
	written := map[ast.Node]bool{}

	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			s.field(n)

			return n.Tag == nil
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				written[left] = true
			}
		case *ast.SelectorExpr:
			if !written[n] {
				s.read[n.Sel.Name] = true
			}
		case *ast.BasicLit:
			s.texts[strings.Trim(n.Value, "`\"")] = true
		}

		return true
	})
}

func (s sources) field(n *ast.Field) {
	if n.Tag == nil {
		return
	}

	if embedded, ok := n.Type.(*ast.SelectorExpr); ok && len(n.Names) == 0 {
		s.shared[embedded.X.(*ast.Ident).Name] = true
	}

	if len(n.Names) == 0 {
		return
	}

	name, _, _ := strings.Cut(reflect.StructTag(strings.Trim(n.Tag.Value, "`")).Get("mapstructure"), ",")
	if name != "" {
		s.fields[name] = append(s.fields[name], n.Names[0].Name)
	}
}
