//go:build !race

package kando

const raced = false
