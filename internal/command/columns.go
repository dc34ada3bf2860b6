package command

import (
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Width is how many characters a line may have: as COLUMNS says or, on a terminal,
// as wide as that is. It is 0, which is no bound, where nobody looks.
func Width(env Env) int {
	if text, ok := env.LookupEnv("COLUMNS"); ok {
		if columns, err := strconv.Atoi(text); err == nil && columns > 0 {
			return columns
		}
	}
	if f, ok := env.Stdout.(*os.File); ok && IsTerminal(f) {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			return columns
		}
	}
	return 0
}

// leastColumn is the width that a column keeps, however narrow the terminal is.
const leastColumn = 6

// Columns lays rows out in columns, two spaces apart, so that no line is longer
// than width characters; 0 is no bound. The widest columns are cut first. The column
// whole is never cut, and is to be the last one.
func Columns(rows [][]string, width, whole int) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for total := sum(widths) + 2*(len(widths)-1); width > 0 && total > width; total-- {
		widest := -1
		for i, w := range widths {
			if i != whole && w > leastColumn && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	var lines []string
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i != whole {
				cell = PlainLine(cell, widths[i])
			}
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(cell), 0)+2))
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return lines
}

func sum(numbers []int) (total int) {
	for _, n := range numbers {
		total += n
	}
	return total
}
