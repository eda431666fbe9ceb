package pipeline

import (
	"bytes"
	"regexp"
	"strings"
)

// wrongText is text that is no JSON at all, by what it begins with.
type wrongText struct {
	begins  *regexp.Regexp
	message string
	hint    string
}

var wrongTexts = []wrongText{
	{regexp.MustCompile(`^(?s)(?:---\s*\n)?(?:#[^\n]*\n|\s)*(?:AWSTemplateFormatVersion|Resources|Transform|Parameters|Description|Type|Properties)\s*:.*AWS::`), "this is a CloudFormation template in YAML, not a pipeline document", "let CloudFormation keep its own pipelines, or deploy it; " + howToExport},
	{regexp.MustCompile(`^(?s)(?:\s|#[^\n]*\n|//[^\n]*\n)*(?:resource|module|provider|terraform|variable|locals|data|output)\b\s*"?[\w" -]*\{`), "this is Terraform's language, not JSON", "apply the configuration; " + howToExport},
	{regexp.MustCompile(`^#!|^(?:cat|aws|export|set|echo|sudo|tee|\$|PS>?)[ \t]`), "this is a shell script or a command, not JSON", "keep only what stands between the heredoc's markers, from { to }"},
	{regexp.MustCompile("^```"), "this is Markdown: the document stands between ``` lines", "keep only what stands between them, from { to }"},
	{regexp.MustCompile(`^(?:An error occurred|aws: |usage: aws|Parameter validation failed|Unable to locate|Could not connect|Error parsing|Unknown options|Error:|fatal:|Traceback)`), "this is the output of a command that failed, not a pipeline", "run the command again, and look at what it prints; " + howToExport},
	{regexp.MustCompile(`^(?i:<!doctype|<html|<\?xml|<[a-z]+>)`), "this is a page in HTML or XML, not JSON", "fetch the file itself; " + howToExport},
	{regexp.MustCompile(`^version https://git-lfs`), "this is a pointer of Git LFS, not the file itself", "keep pipeline documents out of Git LFS"},
	{regexp.MustCompile(`^(?:import|from|const|let|var|module\.exports|export|new|def|class|async|function|package)\b`), "this is a program, not JSON", "run it and write what it prints into the file; " + howToExport},
	{regexp.MustCompile(`^(?:PIPELINE|ARTIFACTSTORE|STAGES|METADATA)\t|^-{20,}\s*\n\|`), "this is the output of aws with --output text or table, not JSON", "add --output json"},
	{regexp.MustCompile(`^"[\w$]+"\s*:`), "the braces around the document are missing", "put { before the first member and } behind the last"},
	{regexp.MustCompile(`^(?:---\s*\n|#[^\n]*\n|\s)*(?:"?[A-Za-z$][\w$]*"?:(?:[ \t][^\n]*)?\r?\n|- [A-Za-z{])`), "this is YAML, not JSON", "write it as JSON: yq -o=json . FILE; or " + howToExport},
}

// conflict is the first line of a merge that was never finished.
var conflict = regexp.MustCompile(`(?m)^<{7}(?: |$)`)

// documentStart is a line that begins a document, below others that are not JSON.
var documentStart = regexp.MustCompile(`(?m)^[ \t]*\{[ \t]*(?:\r?$|")`)

// logLine begins like a list of JSON, and is none.
var logLine = regexp.MustCompile(`^\[(?:[A-Za-z]{4,}|\d{4}-\d\d-\d\d)[^\]"{,]*\]`)

// wrongWhole explains a text that is something else than JSON as a whole; offset is where reading failed.
func wrongWhole(text []byte, offset int) (at int, message, hint string) {
	if loc := conflict.FindIndex(text); loc != nil {
		return loc[0], "a merge conflict stands here", "finish the merge: keep one side, and remove the lines with <<<<<<<, ======= and >>>>>>>"
	}
	start := len(text) - len(bytes.TrimLeft(text, " \t\r\n"))
	rest := text[start:]
	logged := logLine.Match(rest)
	if offset > start && !logged && !(rest[0] == '-' && offset == start+1) {
		return 0, "", ""
	}
	head := rest[:min(len(rest), 4000)]
	for _, w := range wrongTexts {
		if w.begins.Match(head) {
			return start, w.message, w.hint
		}
	}
	if bytes.HasPrefix(rest, []byte("//")) || bytes.HasPrefix(rest, []byte("/*")) || rest[0] == '#' || rest[0] == '{' || rest[0] == '[' && !logged {
		return 0, "", ""
	}
	if loc := documentStart.FindIndex(rest); loc != nil && loc[0] > 0 {
		return start, "text stands before the document", "a log line or a command's output? remove all that stands before the first {"
	}
	return 0, "", ""
}

// afterDocument explains what follows a document that is complete.
func afterDocument(rest []byte) (message, hint string) {
	line, _, _ := strings.Cut(string(rest[:min(len(rest), 200)]), "\n")
	line = strings.TrimSpace(line)
	switch {
	case rest[0] == '{' || rest[0] == '[':
		return "a second document follows the first", "one file holds one pipeline; remove what was printed twice"
	case strings.HasPrefix(line, "```"):
		return "``` of Markdown follows the document", "remove it"
	case heredocEnd.MatchString(line):
		return "the end of a shell's heredoc follows the document", "remove " + line + " and what stands below it"
	case rest[0] == '}' || rest[0] == ']':
		return "the document is over here, yet another " + string(rest[0]) + " follows", "remove it, or look for the one too many before"
	case strings.HasPrefix(line, "//"), strings.HasPrefix(line, "/*"), rest[0] == '#':
		return "a comment follows the document: more text follows", "JSON has no comments; remove it"
	}
	return "the document is over here, yet more text follows", "one file holds one pipeline, and nothing else"
}

var heredocEnd = regexp.MustCompile(`^(?:EOF|EOT|EOL|END|JSON|[A-Z_]*EOF|HERE(?:DOC)?)$`)
