package main

const reliabilityIntroduction = `# Reliability

What Plumbline promises, what can go wrong, and the test that makes it go wrong. This page is written by ` + "`.ci/reliability`" + `, which
runs the tests below, from [reliability.tsv](reliability.tsv), which says what covers what. Edit that file, not this one.

## What is promised

- **What cannot be read is never taken for gone.** A repository, a file, a listing or a tag that is away, broken, empty or
  strange changes nothing live.
- **Nothing is touched that is not ours**, and nothing of ours is deleted unless prune is switched on, a commit removed the
  file, and the caps allow it.
- **A write is made once.** Before it, what is meant and what was there are on the disk. When its reply is lost, Plumbline
  looks; it never sends it again blindly.
- **It may be killed at any point**, lose its state folder, or run twice by mistake: it comes to the same end with no human act.
- **A bad configuration never replaces a good one**, and taking a source or target out of it deletes nothing.
- **No secret is in any output. Everything has a limit.**

## How to read it

"Covered" says that the tests named make the fault happen and hold the promises above. "Partly" says what is missing. A figure
is of the run described here, and of no other: faults of time and chance depend on the machine. A test without a figure of its
own shows how many cases it has. The goals are of the project's plan; those of speed are in [performance.md](performance.md).

` + "```sh" + `
.ci/reliability          # an hour and a half on two processors, without anything else on them
.ci/reliability 1h       # the same with an hour for each fuzz target
` + "```" + `

## The run

`
