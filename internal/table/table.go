// Package table prints rows in columns that are straight on a terminal in every script.
//
// Go's text/tabwriter counts characters, and a terminal has cells: two for a syllable of Hangul, an ideograph and most emoji,
// none for a mark that combines with the letter before it. So names in Korean, as most of a network's have, shift what follows
// them. Here a column is as wide as the cells of its widest text. What isn't printable is spelled out, so that no text can
// leave its place or look like another row.
//
// A terminal that lacks a glyph, or doesn't compose what combines, may still show a text in another width.
package table

import (
	"bytes"
	"math"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/stoker-project/stoker/internal/printable"
)

// gap is how many cells are between two columns.
const gap = 2

// A Table is what is printed. The zero value is one without rows.
type Table struct {
	rows   [][]entry
	widths []int // of the columns, in cells
}

type entry struct {
	text  string
	width int
}

// Row adds a row, on one line.
func (t *Table) Row(texts ...string) {
	var row []entry
	for i, text := range texts {
		text = printable.Line(text, math.MaxInt)
		row = append(row, entry{text, uniseg.StringWidth(text)})
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], row[i].width)
	}
	t.rows = append(t.rows, row)
}

// Bytes returns the rows. No line ends with a space.
func (t *Table) Bytes() []byte {
	var b bytes.Buffer
	for _, row := range t.rows {
		var line strings.Builder
		for i, e := range row {
			line.WriteString(e.text + strings.Repeat(" ", t.widths[i]-e.width+gap))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.Bytes()
}
