//go:build race

package kando

// raced: the race detector takes memory several times over, so memory is measured in a binary without it.
const raced = true
