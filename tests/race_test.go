//go:build race

package tests

// raceFlags build the program as the tests are built: what they start then
// looks for data races, too, and ends with 66 where it finds one.
var raceFlags = []string{"-race"}
