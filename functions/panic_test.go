package functions_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
)

func TestRecovered(t *testing.T) {
	var (
		entries map[string]int
		panic   functions.Panic
	)

	err := functions.Recovered(func() error {
		entries["nil map"] = 1

		return nil
	})
	if !errors.As(err, &panic) || !strings.Contains(panic.Stack, "TestRecovered") || !strings.Contains(err.Error(), "nil map") {
		t.Errorf("%v", err)
	}

	plain := errors.New("plain")
	if err := functions.Recovered(func() error { return plain }); !errors.Is(err, plain) {
		t.Errorf("%v", err)
	}
}
