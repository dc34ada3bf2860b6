package ingest

import "strings"

// The lengths of card numbers, in digits (ISO/IEC 7812).
const (
	shortestCard = 13
	longestCard  = 19
)

// maskCards masks every card number in a text: 13 to 19 digits, in groups that
// a blank, a dash or a dot separates, whose check digit is right. One of ten
// other numbers of that length has a right check digit, too, and is masked.
func maskCards(text string) string {
	var b strings.Builder
	done := 0 // how much of the text is in b
	for i := 0; i < len(text); {
		if !isDigit(text[i]) || i > 0 && isDigit(text[i-1]) {
			i++
			continue
		}
		end := cardEnd(text[i:])
		if end == 0 {
			i++
			continue
		}
		b.WriteString(text[done:i])
		b.WriteString(masked)
		i += end
		done = i
	}
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

// cardEnd returns the length of the longest card number that the text starts
// with, or 0. A number ends where a group of digits ends.
func cardEnd(text string) (end int) {
	var digits [longestCard]byte
	n := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case isDigit(c):
			if n == longestCard {
				return end
			}
			digits[n] = c - '0'
			n++
			if last := i+1 == len(text) || !isDigit(text[i+1]); last && isCard(digits[:n]) {
				end = i + 1
			}
		case !isSeparator(c), i+1 == len(text), !isDigit(text[i+1]):
			return end
		}
	}
	return end
}

// isCard checks the length and the check digit (Luhn). Numbers that start with
// 1 are times in ms, µs or ns; only airlines issue such cards, with 15 digits.
func isCard(digits []byte) bool {
	if len(digits) < shortestCard || digits[0] == 1 && len(digits) != 15 {
		return false
	}
	sum := 0
	for i, digit := range digits {
		d := int(digit)
		if (len(digits)-i)%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

func isDigit(c byte) bool     { return '0' <= c && c <= '9' }
func isSeparator(c byte) bool { return c == ' ' || c == '-' || c == '.' }
