// Package builtin links every built-in function into a runner: import it for its side effect.
package builtin

import (
// One line per family of functions.
)
