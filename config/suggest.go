package config

import (
	"fmt"
	"strings"
)

// Suggest ends a message about an unknown name. It returns
// `; did you mean "stripe"?` when one of the known names is close to what was
// written, else `; known: a, b, c`, else, when nothing is known, "". Names are
// listed in the order given, and the first of several equally close ones wins.
func Suggest(got string, known []string) string {
	nearest, least := "", 0
	for _, name := range known {
		// One slip is forgiven in any name, and one more per four characters.
		limit := 1 + len(name)/4
		if abs(len(got)-len(name)) > limit {
			continue
		}
		n := distance(strings.ToLower(got), strings.ToLower(name))
		if n <= limit && n < len(name) && (nearest == "" || n < least) {
			nearest, least = name, n
		}
	}
	if nearest != "" {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	return list(known)
}

// list names what is known, as far as a person would read.
func list(known []string) string {
	const most = 24
	switch {
	case len(known) == 0:
		return ""
	case len(known) > most:
		return fmt.Sprintf("; known: %s and %d more", strings.Join(known[:most], ", "), len(known)-most)
	default:
		return "; known: " + strings.Join(known, ", ")
	}
}

// distance counts the slips between two names: a byte more, less, other, or
// two neighbours swapped (optimal string alignment).
func distance(a, b string) int {
	var before []int // the row two above, for swaps
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			other := above[j-1]
			if a[i-1] != b[j-1] {
				other++
			}
			row[j] = min(other, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}

func abs(n int) int { return max(n, -n) }
