package functions

import (
	"fmt"
	"runtime/debug"
)

// Panic is the error that a bug in a function becomes.
type Panic struct {
	Value any
	Stack string
}

func (p Panic) Error() string {
	return fmt.Sprintf("the function panicked: %v; its stack is in the runner's log", p.Value)
}

// Recovered is work's error, or a Panic. The engine calls functions so; goroutines that a function starts have to do it themselves, or
// a panic ends the runner with everything that it would have cleaned up.
func Recovered(work func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = Panic{Value: value, Stack: string(debug.Stack())}
		}
	}()

	return work()
}
