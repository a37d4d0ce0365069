package stamp_test

import (
	"testing"
	"time"

	"example.com/custom-runner/stamp"

	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
)

// The conformance suite of the built-in functions takes others as well.
func TestImplementation(t *testing.T) {
	functest.Implementation(t, stamp.StampObject{Now: time.Now})
}
