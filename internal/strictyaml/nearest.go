package strictyaml

import (
	"fmt"
	"strings"
)

// DidYouMean ends a message about an unknown word: with the known one that it is nearest to, or with all that
// are known.
func DidYouMean(word string, known []string) string {
	if best := Nearest(word, known); best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	if len(known) == 0 {
		return ""
	}
	return ", known: " + strings.Join(known, ", ")
}

// Nearest returns the known word that an unknown one was probably meant to be, "" if there is none.
func Nearest(word string, known []string) string {
	best, distance := "", 1+min(4, max(2, len(word)/3))
	if len(word) < 4 {
		distance = 2
	}
	for _, k := range known {
		if d := editDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the single letters to add, drop or change to get from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
