// Package activities holds the steps that Workflows take in the world, one
// file per outside system: a ledger, a mail server, a build server, and the
// services that events are forwarded to.
//
// An Activity is an exported method of a struct, and its fields are the
// clients that cmd fills in. The method's name is the Activity Type: it is
// held in histories and named in the config under retry, so it is never
// renamed. A worker registers every exported method of a struct, so nothing
// but an Activity may be one.
//
// Temporal runs an Activity at least once. Each one is therefore idempotent
// under a key, and its comment names the key, how far the promise holds and
// which errors are permanent. A permanent error is not retried, because the
// same attempt would fail the same way: the step is parked at once.
package activities
