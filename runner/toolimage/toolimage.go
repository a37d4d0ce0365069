// Package toolimage knows which images bring a kando of their own, and which commands call it.
package toolimage

import (
	"regexp"
	"slices"
	"strings"
)

// Kando is where commands find kando: the path that upstream's tool images have it at.
const Kando = "/usr/local/bin/kando"

// Has tells by its name that an image is one of upstream's tool images, or a mirror of it: a part of its path is "kanisterio". Those
// work as they are. Of others it is not known what they hold.
func Has(image string) bool {
	name, _, _ := strings.Cut(image, "@")

	return slices.Contains(strings.Split(name, "/"), "kanisterio")
}

// word is kando as a command, by whatever path, not as a part of another name.
var word = regexp.MustCompile(`(^|[^\w.-])kando($|[^\w.-])`)

// Mentions tells whether a command, its arguments or the values of its variables name kando.
func Mentions(texts ...string) bool { return slices.ContainsFunc(texts, word.MatchString) }

// Needs tells whether a container with this image and command has to be given kando.
func Needs(image string, command ...string) bool { return !Has(image) && Mentions(command...) }
