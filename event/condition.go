package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Condition is a question to an event, written as a lookup and what its value
// is held against:
//
//	json:livemode=true       the value is this text; "*" stands for any characters
//	json:livemode!=true      the value is another one, or is not there
//	json:data.amount>=1000   both are numbers; also >, < and <=
//	json:title~^deploy       the value fits the regular expression
//	json:data.order          the value is there, and is not null, false or ""
//
// A value is compared as it was sent: 1.0 is not 1.
type Condition struct {
	text   string
	lookup Lookup
	holds  func(v found) (bool, error)
}

// operators are tried in this order: a longer one before its beginning.
var operators = []string{"!=", ">=", "<=", "=", ">", "<"} //nolint:gochecknoglobals // a constant list

// ParseCondition reads a condition. The error says what is wrong with the text.
func ParseCondition(text string) (Condition, error) {
	left, operator, right := splitCondition(text)
	l, err := ParseLookup(left)
	if err != nil {
		return Condition{}, err
	}
	c := Condition{text: text, lookup: l}
	switch operator {
	case "":
		c.holds = func(v found) (bool, error) { return v.there && !v.empty, nil }
	case "=":
		c.holds = func(v found) (bool, error) { return equal(v, right) }
	case "!=":
		c.holds = func(v found) (bool, error) {
			same, err := equal(v, right)
			return !same, err
		}
	default:
		bound, ok := number(right)
		if !ok {
			return Condition{}, fmt.Errorf("%q is not a number, which %q compares with", right, operator)
		}
		c.holds = func(v found) (bool, error) { return compare(v, operator, bound) }
	}
	return c, nil
}

// splitCondition finds the first operator. What is behind a "~" belongs to the
// lookup: an expression may hold anything.
func splitCondition(text string) (left, operator, right string) {
	plain, _, _ := cutOutside(text, "~")
	at := len(plain)
	for _, o := range operators {
		before, _, ok := cutOutside(plain, o)
		if ok && len(before) < at && !strings.HasSuffix(before, "!") {
			at, left, operator = len(before), before, o
		}
	}
	if operator == "" {
		return text, "", ""
	}
	return left, operator, text[len(left)+len(operator):]
}

func equal(v found, pattern string) (bool, error) {
	if v.composite {
		return false, errComposite
	}
	if v.there && !v.number && v.text == "" && v.raw == "null" {
		return pattern == "null", nil
	}
	return v.there && Match(pattern, v.text), nil
}

var (
	errComposite = errors.New("the value is an object or a list")
	errNoNumber  = errors.New("the value is not a number")
)

func compare(v found, operator string, bound *big.Rat) (bool, error) {
	switch {
	case v.composite:
		return false, errComposite
	case !v.there:
		return false, nil
	}
	n, ok := number(v.text)
	if !ok {
		return false, errNoNumber
	}
	switch c := n.Cmp(bound); operator {
	case ">":
		return c > 0, nil
	case ">=":
		return c >= 0, nil
	case "<":
		return c < 0, nil
	default:
		return c <= 0, nil
	}
}

// number reads a decimal number. It is exact, so an exponent is bounded: a
// payload must not make a number of a gigabyte.
func number(text string) (*big.Rat, bool) {
	if len(text) == 0 || len(text) > 64 || strings.Trim(text, "+-.0123456789") != "" {
		mantissa, exponent, ok := strings.Cut(strings.ToLower(text), "e")
		if !ok || len(mantissa) > 64 || len(strings.TrimLeft(exponent, "+-0")) > 2 || strings.Trim(mantissa+exponent, "+-.0123456789") != "" {
			return nil, false
		}
	}
	return new(big.Rat).SetString(text)
}

// String returns the condition as it was written.
func (c Condition) String() string { return c.text }

// Holds answers the condition for an event. The error says why it cannot be
// answered.
func (c Condition) Holds(s *Subject) (bool, error) {
	v, err := c.lookup.value(s)
	if err == nil {
		var holds bool
		if holds, err = c.holds(v); err == nil {
			return holds, nil
		}
	}
	return false, fmt.Errorf("%s: %w", c.text, err)
}

func quoted(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		return `""` // a text is always JSON
	}
	return string(data)
}
