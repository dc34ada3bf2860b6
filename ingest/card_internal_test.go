package ingest

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMaskCards(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "",
		"4242424242424242":                 masked,
		"a 4242 4242 4242 4242 b":          "a " + masked + " b",
		"3782-822463-10005":                masked, // American Express, 15 digits
		"4222222222222":                    masked, // Visa, 13 digits
		"6304000000000000017":              "6304000000000000017",
		"6304000000000000000":              masked, // Maestro, 19 digits
		"4242424242424241":                 "4242424242424241",
		"2024 4242 4242 4242 4242":         "2024 " + masked,
		"4242424242424242 12":              masked + " 12",
		"x4242424242424242y":               "x" + masked + "y",
		"424242424242424242424242":         "424242424242424242424242",
		"1767225600000":                    "1767225600000",
		"1767225600000000":                 "1767225600000000",
		"4242  4242 4242 4242":             "4242  4242 4242 4242",
		"4242424242424242/378282246310005": masked + "/" + masked,
	} {
		require.Equal(t, want, maskCards(text), text)
	}
}

// FuzzMaskCards puts a card number into a text and looks for it afterwards.
func FuzzMaskCards(f *testing.F) {
	f.Add("paid with ", " twice", uint64(424242424242424), uint8(0))
	f.Add("12 ", "-1", uint64(37828224631000), uint8(3))
	f.Fuzz(func(t *testing.T, before, after string, number uint64, groups uint8) {
		digits := []byte(strings.TrimLeft(strconv.FormatUint(number, 10), "01"))
		if len(digits) < shortestCard-1 || len(digits) > longestCard-1 {
			return
		}
		for check := byte('0'); check <= '9'; check++ {
			if values := toValues(append(slices.Clip(digits), check)); isCard(values) {
				digits = append(digits, check)
				break
			}
		}
		card := string(digits)
		if n := int(groups%8) + 2; groups%2 == 1 { // in groups
			var parts []string
			for rest := card; rest != ""; {
				end := min(n, len(rest))
				parts, rest = append(parts, rest[:end]), rest[end:]
			}
			card = strings.Join(parts, string(" -."[groups%3]))
		}
		got := maskCards(before + "|" + card + "|" + after)
		require.NotContains(t, got, card)
		if maskCards(before) == before && maskCards(after) == after {
			require.Equal(t, before+"|"+masked+"|"+after, got)
		}
	})
}

func toValues(digits []byte) []byte {
	values := make([]byte, len(digits))
	for i, digit := range digits {
		values[i] = digit - '0'
	}
	return values
}
