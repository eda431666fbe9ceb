package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// checkEncoding returns the text to read as JSON: the data, without a byte order mark.
func (f *findings) checkEncoding(data []byte) (text []byte, ok bool) {
	const reencode = "write it as UTF-8 without a byte order mark; in PowerShell: … | Out-File -Encoding utf8NoBOM FILE"
	switch {
	case len(data) > MaxFileSize:
		f.report(nowhere, "PL-J01", "a pipeline document is a few kilobytes; is this the right file?", "the file has %d bytes; at most %d are read", len(data), MaxFileSize)
		return nil, false
	case isUTF16(data):
		f.report(nowhere, "PL-J02", reencode, "the file is UTF-16, not UTF-8")
		return nil, false
	}
	text, marked := bytes.CutPrefix(data, []byte("\ufeff"))
	f.file.data = text
	if marked {
		f.report(place{}, "PL-J02", reencode, "the file begins with a byte order mark")
	}
	if i := firstInvalid(text); i >= 0 {
		hint := "save the file as UTF-8"
		if hasAnyPrefix(text, "\x1f\x8b", "PK\x03\x04") {
			hint = "it looks compressed: unpack it"
		}
		f.report(place{offset: i}, "PL-J03", hint, "the byte 0x%02x is not UTF-8", text[i])
		return nil, false
	}
	if len(bytes.TrimSpace(text)) == 0 {
		f.report(place{}, "PL-J04", "delete the file, or write a pipeline into it", "the file is empty")
		return nil, false
	}
	return text, true
}

// isUTF16 tells by the byte order mark, or by the zero beside the first letter.
func isUTF16(data []byte) bool {
	return bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) ||
		len(data) > 1 && (data[0] == 0) != (data[1] == 0)
}

func firstInvalid(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; ; {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

// syntax explains the reader's error: a place, a sentence and a remedy.
func (f *findings) syntax(text []byte, r *reader, root *Node, err error) {
	offset := r.next()
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errTooDeep):
		f.report(place{offset: r.failed}, "PL-J06", "the deepest document that the service knows has about 12 levels", "%s", err)
		return
	case errors.Is(err, errTrailing):
		message, hint := afterDocument(text[r.failed:])
		from := r.failed
		if k := root.Kind; k != Object && k != Array {
			from = 0 // a word or a number: whatever it is, it does not begin a document
		}
		if at, whole, remedy := wrongWhole(text, from); whole != "" {
			r.failed, message, hint = at, whole, remedy
		}
		f.report(place{offset: r.failed}, "PL-J05", hint, "%s", message)
		return
	case errors.As(err, &syntax):
		offset = int(syntax.ByteOffset)
	}
	offset = min(offset, len(text))
	if at, message, hint := wrongWhole(text, offset); message != "" {
		f.list, f.more = nil, 0 // nothing else that was found in it matters
		f.report(place{offset: at}, "PL-J05", hint, "%s", message)
		return
	}
	if len(bytes.TrimSpace(text[offset:])) == 0 {
		f.report(place{offset: len(text)}, "PL-J05", "is it cut off? a closing } or ] is missing", "the file ends in the middle of the document")
		return
	}
	message, hint := explain(text[offset:], syntaxReason(err))
	f.report(place{offset: offset}, "PL-J05", hint, "%s", message)
}

// explain says what is wrong where rest begins, in the words of someone who wrote it by hand.
func explain(rest []byte, reason string) (message, hint string) {
	after := bytes.TrimSpace(rest[1:])
	inText := strings.Contains(reason, "in string")
	switch {
	case rest[0] == ',' && len(after) > 0 && (after[0] == '}' || after[0] == ']'):
		return "a comma stands after the last item", "JSON takes no comma after the last item; remove it"
	case bytes.HasPrefix(rest, []byte("//")), bytes.HasPrefix(rest, []byte("/*")), rest[0] == '#':
		return "a comment stands here", "JSON has no comments; remove it"
	case rest[0] == '`':
		return "a text in backquotes", `JSON takes double quotes: "…"`
	case !inText && hasAnyPrefix(rest, "“", "”", "„", "‘", "’", "«", "»"):
		return "typographic quotes", `a word processor or a web page wrote them; JSON takes straight ones: "`
	case !inText && hasAnyPrefix(rest, "\u00a0", "\u200b", "\u202f", "\u2003", "\ufeff", "\u2060"):
		return "a space that is none to JSON", "a web page or a word processor wrote it; replace it by an ordinary space"
	case !inText && hasAnyPrefix(rest, "...", "…"):
		return "something was left out here: " + shortenBytes(rest, 3), "the document is an abridged example; write what belongs here"
	case !inText && hasAnyPrefix(rest, "{{", "{%", "<%", "%{") && !hasAnyPrefix(rest, `{{"`):
		return "a placeholder of a template stands here", "write the value; what differs by target is written ${var.NAME} inside a text"
	case !inText && (rest[0] == '=' || hasAnyPrefix(rest, "=>", ":=")):
		return "an equals sign stands where JSON takes a colon", `write "name": value`
	case strings.Contains(reason, "invalid escape"):
		return "a backslash that begins no escape sequence", `JSON knows \" \\ \/ \b \f \n \r \t and \u with four hexadecimal digits; write \\ for a backslash`
	case strings.Contains(reason, "object member name must be a string") && (rest[0] == '{' || rest[0] == '['):
		return "a " + string(rest[0]) + " stands where a name in quotes belongs", "remove it, or the comma or brace before it"
	case rest[0] == '\'':
		return "a text in single quotes", `JSON takes double quotes: "…"`
	case strings.Contains(reason, "expecting ','") && (rest[0] == '"' || rest[0] == '{' || rest[0] == '['):
		return "a comma is missing before this", "put one after the value that ends before here"
	case strings.Contains(reason, "in string") && (rest[0] == '\n' || rest[0] == '\r'):
		return "a text runs over the end of its line", `close the quotes, or write \n for a line break`
	case strings.Contains(reason, "in string") && rest[0] == '\t':
		return "a text contains a tab", `write \t for a tab`
	}
	if word := bareWord.Find(rest); word != nil && !inText {
		if mended, known := literals[string(word)]; known {
			return fmt.Sprintf("%q stands without quotes", word), "it is " + mended
		}
		return fmt.Sprintf("%q stands without quotes", word), "JSON takes double quotes around every name and every text"
	}
	return "this is not JSON: " + reason, ""
}

// literals are words of programming languages, and how JSON has them.
var literals = map[string]string{
	"True": "Python's; JSON writes true, and in configuration a text: \"true\"", "False": "Python's; JSON writes false, and in configuration a text: \"false\"",
	"None": "Python's; leave the member out", "undefined": "JavaScript's; leave the member out",
	"NaN": "no number; leave the member out", "Infinity": "no number; leave the member out", "nil": "Ruby's or Go's; leave the member out",
}

func hasAnyPrefix(s []byte, prefixes ...string) bool {
	for _, p := range prefixes {
		if bytes.HasPrefix(s, []byte(p)) {
			return true
		}
	}
	return false
}

func shortenBytes(s []byte, most int) string { return string(s[:min(len(s), most)]) }

// bareWord is a name, a text or a placeholder without quotes.
var bareWord = regexp.MustCompile(`^(?:\$\{[^}\n]{0,60}\}|[\pL_$<%][\pL\pN_.$<>%-]{0,60})`)

// syntaxReason is the decoder's own reason without its package name and place, which we show ourselves.
func syntaxReason(err error) string {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && syntax.Err != nil {
		err = syntax.Err
	}
	return strings.TrimPrefix(fmt.Sprint(err), "jsontext: ")
}
