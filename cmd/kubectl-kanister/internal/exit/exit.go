// Package exit is the table of exit codes: errors carry a code and a hint, main alone leaves the process.
package exit

import (
	"context"
	"errors"
)

// Code is a process exit code. The table is documented in docs/exit-codes.md and tested row by row.
type Code int

// Exit codes.
const (
	Done         Code = 0
	ToolFailed   Code = 1   // the plugin itself could not do its work
	Usage        Code = 2   // the command line, a file or a name that the user gave is wrong
	RunFailed    Code = 3   // the run ended failed or cancelled
	SomeFailed   Code = 4   // some of several targets failed
	StillRunning Code = 5   // the run goes on, --timeout is over
	NotPermitted Code = 6   // the user lacks rights
	Interrupted  Code = 130 // detached by Ctrl-C; the run goes on
)

// Error is an error with its exit code and, if one is known, the next thing to type.
type Error struct {
	Code Code
	Err  error
	Hint string // without the leading "hint:"
	// Reported says that the user was told already: main prints nothing more and only leaves with Code.
	Reported bool
}

// New wraps err; a nil err gives nil.
func New(code Code, err error, hint string) error {
	if err == nil {
		return nil
	}

	return &Error{Code: code, Err: err, Hint: hint}
}

// Reported is New for an error whose text the user has seen already.
func Reported(code Code, err error) error {
	if err == nil {
		return nil
	}

	return &Error{Code: code, Err: err, Reported: true}
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Of tells the code for err: that of the outermost Error in its chain, Interrupted for a cancelled context, ToolFailed otherwise.
func Of(err error) Code {
	var coded *Error

	switch {
	case err == nil:
		return Done
	case errors.As(err, &coded):
		return coded.Code
	case errors.Is(err, context.Canceled):
		return Interrupted
	default:
		return ToolFailed
	}
}

// HintOf is the hint of the outermost Error in err's chain that has one.
func HintOf(err error) string {
	for err != nil {
		var coded *Error
		if !errors.As(err, &coded) {
			return ""
		}

		if coded.Hint != "" {
			return coded.Hint
		}

		err = coded.Err
	}

	return ""
}
