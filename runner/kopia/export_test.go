package kopia

import "time"

// Hurried is options with bounds for a server that tests can wait for.
func Hurried(o Options, gone, silent time.Duration) Options {
	o.hurry = &bounds{probe: 100 * time.Millisecond, answer: 2 * time.Second, gone: gone, login: time.Minute, silent: silent, grace: time.Second}

	return o
}
