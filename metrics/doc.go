// Package metrics turns what passes, followers of executions, looks at sources and requests to AWS report into
// Prometheus series.
//
// Nothing here asks for anything: the daemon hands in values ([Metrics.Report], [Metrics.Executions],
// [Metrics.Source], [Metrics.Attempts], [Metrics.ConfigReload]) and a scrape reads what they amount to.
//
//	catalog.go    one table of all metrics: name, type, labels, help, bound; docs/metrics.md is made from it
//	metrics.go    the entrances, and the snapshot that a scrape reads
//	target.go     what the reports of one target amount to
//	pipeline.go   the same for one pipeline
//	executions.go what the reports about executions amount to, for a target and each pipeline
//	source.go     the same for one source, and which of its files are broken
//	attempts.go   requests to AWS
//	sample.go     a series as Prometheus's library wants it, and what may stand in a label
//
// A scrape sees one snapshot, which is made with each report and swapped in as a whole. So the statuses of a
// pipeline always sum to one, a pipeline that is gone from its target's report is gone from the next scrape,
// and no scrape, however slow, holds a lock that a pass waits for. Totals are kept beside it and are part of the
// snapshot, except for those of requests, which move while a pass runs.
//
// Reports of passes and of executions come in any order, and either tells whose account a target is in. Those of
// executions come with every look at one pipeline, so the series of each are kept, and made anew when it changes.
//
// The number of series has a bound that follows from the table: so many for each pipeline, stage, target and source.
// Nothing that a commit, a person or a request can choose freely becomes a label.
package metrics
