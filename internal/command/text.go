package command

import (
	"fmt"
	"strings"
	"unicode"
)

// Count writes "1 run" and "2 runs".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// OrDash returns the text, or "-" for none.
func OrDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// PlainLine makes one line of at most so many characters out of a text that
// comes from outside and could otherwise steer the terminal.
func PlainLine(text string, most int) string {
	text = strings.Join(strings.Fields(Printable(text)), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// Printable leaves line breaks and what can be seen.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
