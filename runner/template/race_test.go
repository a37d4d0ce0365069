//go:build race

package template_test

const race = true
