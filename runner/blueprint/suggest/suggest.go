// Package suggest finds the name that a reader most likely meant.
package suggest

import (
	"slices"
	"strings"
)

// longest bounds the words that are compared: nobody mistypes a name of this length by one letter, and the comparison takes
// time in the square of it.
const longest = 128

// Nearest gives the member of among that is spelt most like word, or "" if none is near enough to be worth saying: at most a
// third of the letters may differ (one, of two). Case counts as a small difference, two swapped neighbours as one. Ties go to the first in
// sort order, so that messages are stable.
func Nearest(word string, among []string) string {
	if word == "" || len(word) > longest {
		return ""
	}

	candidates := slices.Clone(among)
	slices.Sort(candidates)

	limit := len(word) / 3
	if len(word) == 2 {
		limit = 1
	}

	best, nearest := "", limit+1

	for _, candidate := range candidates {
		if candidate == word || candidate == "" || len(candidate) > longest {
			continue
		}

		if strings.EqualFold(candidate, word) {
			return candidate
		}

		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < nearest {
			best, nearest = candidate, d
		}
	}

	return best
}

// distance is the optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, previous, current := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)

	for j := range previous {
		previous[j] = j
	}

	for i := 1; i <= len(s); i++ {
		current[0] = i

		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}

			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}

		before, previous, current = previous, current, before
	}

	return previous[len(t)]
}
