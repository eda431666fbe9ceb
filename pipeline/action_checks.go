package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// What no row of the table can say: what holds between several values of one action.

// readsArtifact checks that a value names an input artifact of its action.
func (c *checker) readsArtifact(s subject, rule, key string, inputs []*Node) {
	v := s.config.Get(key)
	if v == nil || v.Kind != String || v.Text == "" || c.unsettled(v) {
		return
	}
	names := make([]string, 0, len(inputs))
	for _, input := range inputs {
		if c.opaque[input] || input.Text == v.Text {
			return
		}
		names = append(names, input.Text)
	}
	c.report(v, rule, didYouMean(v.Text, names), "%s of %s is %q, which is none of its input artifacts", key, s, shorten(v.Text, 100))
}

func checkCodeBuild(c *checker, s subject) {
	inputs := s.inputs()
	if s.config.Get("PrimarySource") != nil {
		c.readsArtifact(s, "CP-P03", "PrimarySource", inputs)
	} else if len(inputs) > 1 {
		c.report(s.node.Get("inputArtifacts"), "CP-P03", fmt.Sprintf("add \"PrimarySource\": %q, the one that has the buildspec", shorten(inputs[0].Text, 100)),
			"%s has %d input artifacts and no PrimarySource, by which CodeBuild finds the buildspec", s, len(inputs))
	}
}

func checkCloudFormation(c *checker, s subject) {
	made, file := s.node.List("outputArtifacts"), s.config.Get("OutputFileName")
	switch {
	case len(made) > 0 && file == nil:
		// It runs, and many published pipelines have it: the artifact is only empty.
		c.add(s.node.Get("outputArtifacts"), "CP-P06", Note, `add "OutputFileName": "outputs.json", or remove the artifact`, "%s makes an artifact, but has no OutputFileName for the file in it", s)
	case len(made) == 0 && file != nil:
		c.report(file, "CP-P06", "add an entry to outputArtifacts", "%s has an OutputFileName, but makes no artifact for it", s)
	}
}

func checkCommands(c *checker, s subject) {
	list := s.node.Get("commands")
	if list == nil || list.Kind == Array && len(list.Items) == 0 {
		at := list
		if at == nil {
			at = s.node
		}
		c.report(at, "CP-P08", `add "commands": ["…"] beside configuration`, "%s has no commands to run", s)
	}
	for _, command := range list.List() {
		if i := strings.IndexAny(command.Text, "\r\n"); command.Kind == String && i >= 0 && !c.opaque[command] {
			c.report(c.within(command, i), "CP-P09", "write each line as a command of its own, or run a script", "a command of %s has several lines, which AWS documents as not supported", s)
		}
	}
}

func checkBlueGreen(c *checker, s subject) {
	inputs := s.inputs()
	for _, key := range [...]string{"TaskDefinitionTemplateArtifact", "AppSpecTemplateArtifact"} {
		c.readsArtifact(s, "CP-P12", key, inputs)
	}
	for _, pair := range [...][2]string{
		{"Image1ArtifactName", "Image1ContainerName"}, {"Image2ArtifactName", "Image2ContainerName"},
		{"Image3ArtifactName", "Image3ContainerName"}, {"Image4ArtifactName", "Image4ContainerName"},
	} {
		c.readsArtifact(s, "CP-P12", pair[0], inputs)
		for i, key := range pair {
			if v, other := s.config.Get(key), pair[1-i]; v != nil && s.config.Get(other) == nil {
				c.report(v, "CP-P12", fmt.Sprintf("add %q: \"…\"", other), "%s has %s without %s", s, key, other)
			}
		}
	}
}

func checkEC2(c *checker, s subject) {
	if s.config.Get("DeploySpec") != nil {
		return
	}
	for _, key := range [...]string{"TargetDirectory", "PostScript"} {
		if s.config != nil && s.config.Get(key) == nil {
			c.report(s.config, "CP-P14", fmt.Sprintf("add %q, or a DeploySpec", key), "the configuration of %s has neither DeploySpec nor %s", s, key)
		}
	}
}

func checkEKS(c *checker, s subject) {
	if s.config == nil {
		return
	}
	helm, manifests := s.config.Get("HelmReleaseName"), s.config.Get("ManifestFiles")
	if helm == nil {
		helm = s.config.Get("HelmChartLocation")
	}
	switch {
	case helm != nil && manifests != nil:
		c.report(manifests, "CP-P16", "keep either", "%s has settings for Helm and ManifestFiles for kubectl; AWS takes one of the two", s)
	case helm == nil && manifests == nil:
		c.report(s.config, "CP-P16", "add HelmReleaseName and HelmChartLocation, or ManifestFiles", "the configuration of %s says neither which Helm chart nor which manifests to deploy", s)
	case helm != nil:
		for _, key := range [...]string{"HelmReleaseName", "HelmChartLocation"} {
			if s.config.Get(key) == nil {
				c.report(s.config, "CP-P16", fmt.Sprintf("add %q: \"…\"", key), "the configuration of %s has no %s, which AWS documents as required for Helm", s, key)
			}
		}
	}
}

func checkLambda(c *checker, s subject) {
	strategy := s.config.Get("DeployStrategy")
	if strategy != nil && strategy.Kind == String && strategy.Text != "AllAtOnce" && !c.unsettled(strategy) && s.config.Get("FunctionAlias") == nil {
		c.report(strategy, "CP-P15", `add "FunctionAlias": "…"`, "%s shifts traffic step by step, which needs a FunctionAlias", s)
	}
	if len(s.node.List("inputArtifacts")) == 0 && s.config != nil && s.config.Get("PublishedTargetVersion") == nil {
		c.report(s.config, "CP-P15", "add an entry to inputArtifacts, or PublishedTargetVersion", "%s has neither an input artifact nor a PublishedTargetVersion to deploy", s)
	}
}

func checkStepFunctions(c *checker, s subject) {
	kind, input := s.config.Get("InputType"), s.config.Get("Input")
	if kind != nil && (kind.Kind != String || c.unsettled(kind)) || input != nil && input.Kind != String {
		return
	}
	switch {
	case kind != nil && kind.Text == "FilePath":
		if len(s.node.List("inputArtifacts")) == 0 {
			c.report(kind, "CP-P17", "add an entry to inputArtifacts", "%s reads its input from a file, but has no input artifact", s)
		}
	case input != nil && input.Text != "" && (kind == nil || kind.Text == "Literal"):
		c.literal(s, input)
	}
}

// literal checks the input of a state machine, which may be JSON of any kind.
func (c *checker) literal(s subject, input *Node) {
	if c.opaque[input] || filledInLater(input.Text) {
		return
	}
	if _, err := Decode([]byte(input.Text)); err != nil {
		c.report(input, "CP-P17", `write JSON; for a file in the input artifact add "InputType": "FilePath"`, "Input of %s is not JSON", s)
	}
}

// checkInspector checks what the mode of a scan asks for; that keys fit it is in the table.
func checkInspector(c *checker, s subject) {
	mode := s.config.Get("InspectorRunMode")
	if mode != nil && mode.Kind == String && mode.Text == "SourceCodeScan" && !c.opaque[mode] && len(s.node.List("inputArtifacts")) == 0 {
		c.report(mode, "CP-P20", "add an entry to inputArtifacts", "%s scans source code, but has no input artifact", s)
	}
}

// twoDays is the longest rollout of a Lambda deployment, in minutes.
const twoDays = 2 * 24 * 60

// strategyFault says what is wrong with a DeployStrategy, "" for nothing.
func strategyFault(text string) string {
	if text == "AllAtOnce" {
		return ""
	}
	kind, rest, between := "", "", "Percent"
	switch {
	case strings.HasPrefix(text, "Canary"):
		kind, rest = "Canary", text[len("Canary"):]
	case strings.HasPrefix(text, "Linear"):
		kind, rest, between = "Linear", text[len("Linear"):], "PercentEvery"
	}
	share, rest, ok := strings.Cut(rest, between)
	minutes, unit := leadingDigits(rest)
	if kind == "" || !ok || !isDigits(share) || minutes == "" || unit != "Minute" && unit != "Minutes" {
		return "no strategy has this form"
	}
	percent, wait := small(share), small(minutes)
	if percent < 1 || percent > 99 {
		return "the percentage must be from 1 to 99"
	}
	steps := 1
	if kind == "Linear" {
		steps = (100 - 1) / percent // waits after each step but the last
	}
	if wait < 1 || steps*wait > twoDays {
		return "it must take from one minute to two days in all"
	}
	return ""
}

func leadingDigits(s string) (digits, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if i < 0 {
		i = len(s)
	}
	return s[:i], s[i:]
}

// small reads digits; what has more than six of them is as good as a million.
func small(digits string) int {
	if len(digits) > 6 {
		return 1_000_000
	}
	n := 0
	for _, d := range []byte(digits) {
		n = 10*n + int(d-'0')
	}
	return n
}

// isTimeZone reports whether a text has one of the forms of TimeZone. Which names exist depends on AWS's own data.
func isTimeZone(text string) bool {
	if offset, ok := strings.CutPrefix(text, "UTC"); ok {
		return offset == "" || (offset[0] == '+' || offset[0] == '-') && len(offset) == 6 && offset[3] == ':' && isDigits(offset[1:3]) && isDigits(offset[4:])
	}
	region, city, ok := strings.Cut(text, "/")
	if ok {
		return region != "" && city != "" && !strings.ContainsAny(text, " ,")
	}
	return len(text) >= 3 && len(text) <= 5 && strings.Trim(text, letters) == ""
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// cronField is one field of a cron expression.
type cronField struct {
	name      string
	low, high int
	names     []string // of low and what follows
	special   string   // letters with a meaning of their own
}

var cronFields = []cronField{
	{name: "seconds", low: 0, high: 59},
	{name: "minutes", low: 0, high: 59},
	{name: "hours", low: 0, high: 23},
	{name: "day of month", low: 1, high: 31, special: "?LW"},
	{name: "month", low: 1, high: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{name: "day of week", low: 1, high: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}, special: "?L#"},
	{name: "year", low: 1970, high: 2199},
}

// cronFault says what is wrong with an expression of DeploymentWindow, and at which byte; "" for nothing.
func cronFault(text string) (at int, fault string) {
	fields := strings.Fields(text)
	if len(fields) < 6 || len(fields) > 7 {
		return 0, fmt.Sprintf("it has %d fields; it takes 6, or 7 with the year", len(fields))
	}
	for i, field := range fields {
		at += strings.Index(text[at:], field)
		if i == 0 && field != "*" && field != "0" {
			return at, "seconds are not used; write 0 or *"
		}
		for part := range strings.SplitSeq(field, ",") {
			if !cronFields[i].takes(part) {
				return at, fmt.Sprintf("%q does not fit the field %s", shorten(field, 20), cronFields[i].name)
			}
		}
		at += len(field)
	}
	return 0, ""
}

// takes reports whether a part between commas fits: *, a value, a range, each with a step or not, or what is special.
func (f *cronField) takes(part string) bool {
	part, step, stepped := strings.Cut(part, "/")
	if stepped && (!isDigits(step) || small(step) < 1) {
		return false
	}
	if part == "*" {
		return true
	}
	if f.special != "" && !stepped && f.isSpecial(part) {
		return true
	}
	from, to, isRange := strings.Cut(part, "-")
	return f.isValue(from) && (!isRange || f.isValue(to))
}

// isSpecial reports whether a part is ?, L, W or # with what may stand beside them.
func (f *cronField) isSpecial(part string) bool {
	if part == "?" {
		return true
	}
	if strings.ContainsRune(f.special, 'W') { // day of month: L, LW, L-3, 15W
		before, isLast := strings.CutPrefix(part, "L-")
		day, isWeekday := strings.CutSuffix(part, "W")
		return part == "L" || part == "LW" || isLast && isDigits(before) && small(before) <= 30 || isWeekday && f.isValue(day)
	}
	day, nth, isNth := strings.Cut(part, "#") // day of week: L, 6L, 6#3
	last, isLast := strings.CutSuffix(part, "L")
	return isNth && f.isValue(day) && len(nth) == 1 && nth >= "1" && nth <= "5" || isLast && (last == "" || f.isValue(last))
}

func (f *cronField) isValue(s string) bool {
	if slices.ContainsFunc(f.names, func(name string) bool { return strings.EqualFold(name, s) }) {
		return true
	}
	return isDigits(s) && small(s) >= f.low && small(s) <= f.high
}
