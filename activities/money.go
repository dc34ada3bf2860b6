package activities

import (
	"strconv"
	"strings"
)

// decimals are the digits after the decimal point of the currencies that do
// not have two, by ISO 4217. Unicode's tables, which libraries format by, say
// how many are usually shown. That is none for RSD, whose minor unit is a
// hundredth all the same, and would print a hundred times what was paid.
var decimals = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
	"RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// money writes an amount of minor units: money(1250, "eur") is "12.50 EUR".
func money(minor int64, currency string) string {
	code := strings.ToUpper(currency)
	places, ok := decimals[code]
	if !ok {
		places = 2
	}
	digits, negative := strings.CutPrefix(strconv.FormatInt(minor, 10), "-")
	if missing := places + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	text := digits
	if places > 0 {
		point := len(digits) - places
		text = digits[:point] + "." + digits[point:]
	}
	if negative {
		text = "-" + text
	}
	return strings.TrimSpace(text + " " + code)
}
