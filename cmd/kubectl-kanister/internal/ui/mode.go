package ui

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
)

// Mode is how events are shown.
type Mode string

// Modes. Auto is Terminal where stderr is one, Plain elsewhere.
const (
	Auto     Mode = "auto"
	Terminal Mode = "terminal"
	Plain    Mode = "plain"
	JSON     Mode = "json"
	None     Mode = "none"
)

// Modes are all of them, for help and completion.
func Modes() []string {
	return []string{string(Auto), string(Terminal), string(Plain), string(JSON), string(None)}
}

// Flags is the --progress flag.
type Flags struct{ progress string }

// AddFlags declares --progress.
func (f *Flags) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.progress, "progress", string(Auto),
		"How to show what happens: auto, terminal, plain (one line per event), json (JSON lines on stdout) or none")
}

// Complete registers the values of --progress for the shell.
func (f *Flags) Complete(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("progress", cobra.FixedCompletions(Modes(), cobra.ShellCompDirectiveNoFileComp)) // only fails without the flag
}

// Mode is the chosen mode, never Auto. A wrong word is a usage error.
func (f *Flags) Mode(streams genericiooptions.IOStreams) (Mode, error) {
	switch mode := Mode(f.progress); mode {
	case Terminal, Plain, JSON, None:
		return mode, nil
	case Auto, "":
		return resolve(Auto, streams.ErrOut), nil
	default:
		return "", exit.New(exit.Usage, fmt.Errorf("flag --progress: %q is none of auto, terminal, plain, json, none", f.progress), "")
	}
}

func resolve(mode Mode, out io.Writer) Mode {
	if mode != Auto && mode != "" {
		return mode
	}

	if _, ok := terminalOf(out); ok && os.Getenv("TERM") != "dumb" {
		return Terminal
	}

	return Plain
}

// terminalOf is the file descriptor of out when it is a terminal.
func terminalOf(out io.Writer) (int, bool) {
	file, ok := out.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}

	return int(file.Fd()), true
}

// Palette colours words; its zero value leaves them as they are.
type Palette struct{ on bool }

// PaletteFor is coloured on terminals, unless NO_COLOR is set or the terminal is dumb.
func PaletteFor(out io.Writer) Palette {
	_, ok := terminalOf(out)

	return Palette{on: ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (p Palette) paint(code, text string) string {
	if !p.on || text == "" {
		return text
	}

	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Good, Bad, Warn, Dim and Bold are the only styles.
func (p Palette) Good(text string) string { return p.paint("32", text) }

// Bad is for failures.
func (p Palette) Bad(text string) string { return p.paint("31", text) }

// Warn is for warnings and problems that may pass.
func (p Palette) Warn(text string) string { return p.paint("33", text) }

// Dim is for what one reads last.
func (p Palette) Dim(text string) string { return p.paint("2", text) }

// Bold is for what one reads first.
func (p Palette) Bold(text string) string { return p.paint("1", text) }
