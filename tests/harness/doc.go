// Package harness runs what the tests of the whole system need: the hookyard
// program, Temporal servers and mail servers, each as a process or a listener
// of its own on 127.0.0.1.
//
// The commands tests/chaos and tests/bench use it, too. The functions that take
// a test have no other user than tests.
package harness
