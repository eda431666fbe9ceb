package pipeline

import (
	"regexp"
	"strings"
)

// TagPrefix begins the keys of the tags that are ours.
const TagPrefix = "plumbline:"

// maxTags is how many tags a file may have. The service takes 50; five are left for our own.
const maxTags = 45

// The letters that AWS allows in tags ("Tag naming limits and requirements").
var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// tags checks the file's tags and returns them; nil where the file leaves the tags alone.
func (c *checker) tags(there bool) map[string]string {
	if !there {
		return nil
	}
	list := c.root.Get("tags")
	c.value(tagList, list, phrase{what: "tags"})
	if n := len(list.List()); n > maxTags {
		c.report(list, "CP-K07", "", "the file has %d tags; at most %d fit beside plumbline's own", n, maxTags)
	}
	tags := map[string]string{}
	for _, item := range list.List() {
		key, value := item.Get("key"), item.Get("value")
		if key == nil || value == nil || key.Kind != String || value.Kind != String {
			continue
		}
		c.tag(key, value)
		tags[strings.Clone(key.Text)] = strings.Clone(value.Text)
	}
	return tags
}

func (c *checker) tag(key, value *Node) {
	switch {
	case strings.HasPrefix(strings.ToLower(key.Text), "aws:"):
		c.report(key, "CP-K06", "remove it", "the tag %q is AWS's own", key.Text)
	case strings.HasPrefix(key.Text, TagPrefix):
		c.report(key, "PL-T01", "remove it", "the tag %q is plumbline's own", key.Text)
	case !tagText.MatchString(key.Text), key.Text != "" && strings.TrimSpace(key.Text) == "", strings.HasSuffix(key.Text, " "):
		c.report(key, "PL-T03", "letters, digits, spaces and + - = . _ : / @; no space at the end", "the tag's key %q has the wrong form", key.Text)
	}
	if !tagText.MatchString(value.Text) {
		c.report(value, "PL-T03", "letters, digits, spaces and + - = . _ : / @", "the value of the tag %q has the wrong form", key.Text)
	}
}
