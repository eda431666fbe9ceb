// Package live is one target of AWS: the pipelines of one account in one region, as they are now.
//
// A [Reader] lists and reads; it has no method that changes anything, so that a plan cannot. A [Writer] is a
// Reader that may also write, and spends from the same allowance of requests.
//
// # Documents stay trees
//
// The types of the AWS SDK drop every member that they do not know. An update replaces the whole pipeline, so
// a round trip through them would erase whatever is newer than the SDK. Requests therefore go through the
// SDK's client, which signs them, finds the endpoint and retries, but carry our own body, and replies are
// decoded here (middleware.go).
//
// # Unknown is not absent
//
// The SDK takes an empty reply of status 200 for an empty list. Here each reply must have the shape that was
// promised, or the call fails with [Unreadable]; a listing is whole or it is an error, never shorter than the
// truth. Tags that could not be read are nil; a pipeline that has none has an empty map.
//
// # One attempt per write
//
// The service has no client token and no compare-and-swap, so a write that is sent twice may happen twice.
// Reads are retried; a write is sent once, and where its effect is not known the error says so
// ([Error].Doubt): read before doing anything else.
//
// # One allowance
//
// CodePipeline allows only a few requests a second per account and region, to all of its clients together.
// Every attempt, the repeated ones too, waits for its turn (limiter.go). Where many wait, what a request is for
// decides ([Purpose]): changes go before looking for drift, and that before following executions, but each gets a
// quarter of the turns at least. The tagging API and STS have limits of their own.
package live
