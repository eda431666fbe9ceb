package pipeline

// Rule is one thing that is checked. CP-… are the service's rules, PL-… are Plumbline's own.
type Rule struct {
	ID       string
	Severity Severity // unless a target's Rules say otherwise
	Title    string
}

// Rules lists every rule that this version checks, in the order of their IDs.
var Rules = []Rule{
	{"CP-A01", Error, "action names are unique within a stage"},
	{"CP-C12", Error, "rule names are unique within a condition"},
	{"CP-F01", Error, "a required member is missing"},
	{"CP-F02", Error, "a text is too long or too short"},
	{"CP-F03", Error, "a text has the wrong form"},
	{"CP-F04", Error, "a value is none of those that the service knows"},
	{"CP-F05", Error, "a number is out of range"},
	{"CP-F06", Error, "a list or map has too many or too few entries"},
	{"CP-F07", Error, "a configuration value is too long"},
	{"CP-F08", Error, "a configuration key is too long or empty"},
	{"CP-F09", Error, "a configuration value is empty"},
	{"CP-F10", Error, "a value has the wrong JSON type"},
	{"CP-F11", Error, "a member is unknown"},
	{"CP-F12", Error, "a region does not exist"},
	{"CP-G01", Error, "stage names are unique"},
	{"CP-G02", Error, "a stage has at least one action"},
	{"CP-G03", Error, "a stage has too many actions"},
	{"CP-G04", Error, "blockers are reserved by AWS"},
	{"CP-K06", Error, "tags that begin with aws: are AWS's own"},
	{"CP-K07", Error, "too many tags"},
	{"CP-M01", Error, "pipeline variables need type V2"},
	{"CP-M02", Error, "triggers need type V2"},
	{"CP-M03", Error, "the modes QUEUED and PARALLEL need type V2"},
	{"CP-M04", Error, "stage conditions need type V2"},
	{"CP-N06", Error, "variable names are unique"},
	{"CP-R01", Error, "output artifact names are unique in the pipeline"},
	{"CP-R02", Error, "an input artifact is made by an earlier action"},
	{"CP-R03", Error, "an action has fewer artifacts than its type needs"},
	{"CP-R04", Error, "an action has more artifacts than its type takes"},
	{"CP-R06", Warning, "an action lists one input artifact twice"},
	{"CP-S01", Error, "a pipeline has at least 2 stages"},
	{"CP-S02", Error, "a pipeline has at most 50 stages"},
	{"CP-S03", Error, "the first stage holds only source actions"},
	{"CP-S04", Error, "source actions stand in the first stage only"},
	{"CP-S05", Error, "a pipeline has an action that is not a source"},
	{"CP-S07", Error, "exactly one of artifactStore and artifactStores"},
	{"CP-S08", Error, "a pipeline has at most 1,000 actions"},
	{"CP-T02", Error, "one trigger for a source action"},
	{"PL-D01", Error, "the document is not an object"},
	{"PL-D02", Error, "the document is not a pipeline"},
	{"PL-D03", Note, "metadata is left out"},
	{"PL-D04", Note, "version is left out"},
	{"PL-D05", Error, "environment variable names are unique in an action"},
	{"PL-D06", Error, "a file has more problems than are shown"},
	{"PL-J01", Error, "the file is too large"},
	{"PL-J02", Error, "the file has a byte order mark or is UTF-16"},
	{"PL-J03", Error, "the file is not UTF-8"},
	{"PL-J04", Error, "the file is empty"},
	{"PL-J05", Error, "the file is not JSON"},
	{"PL-J06", Error, "the document nests too deeply"},
	{"PL-J07", Error, "a name stands twice in one object"},
	{"PL-J08", Error, "null stands for nothing"},
	{"PL-L01", Error, "two files claim one pipeline"},
	{"PL-L02", Error, "a folder names no target"},
	{"PL-L03", Error, "a folder is named as a target"},
	{"PL-S01", Error, "a symbolic link is not read"},
	{"PL-S02", Error, "a submodule is not read"},
	{"PL-S03", Error, "a name in the repository is not safe"},
	{"PL-S04", Error, "a file is too large to be read"},
	{"PL-S06", Error, "something that is no file"},
	{"PL-T01", Error, "tags that begin with plumbline: are ours"},
	{"PL-T02", Error, "a tag's key stands twice"},
	{"PL-T03", Error, "a tag has letters that AWS does not allow"},
	{"PL-V01", Error, "a variable is unknown"},
}

var ruleIndex = func() map[string]*Rule {
	index := map[string]*Rule{}
	for i := range Rules {
		index[Rules[i].ID] = &Rules[i]
	}
	return index
}()

// RuleIDs returns the IDs of all rules.
func RuleIDs() []string {
	ids := make([]string, len(Rules))
	for i, r := range Rules {
		ids[i] = r.ID
	}
	return ids
}

// Adjustable reports whether people may set the severity of a rule. Without the others a document has no single
// meaning: it cannot be read, or two of its parts cannot be told apart.
func Adjustable(id string) bool {
	switch id[:min(4, len(id))] {
	case "PL-J", "PL-L", "PL-S", "PL-V":
		return false
	}
	return id != "PL-D01" && id != "PL-D02" && id != "PL-D06" && id != "CP-G01" && id != "CP-A01"
}

// Grade returns the problems with the severities that people set, without those they switched off.
func Grade(problems []Problem, rules map[string]Severity) []Problem {
	if len(rules) == 0 {
		return problems
	}
	graded := make([]Problem, 0, len(problems))
	for _, p := range problems {
		if s, ok := rules[p.Rule]; ok && Adjustable(p.Rule) {
			p.Severity = s
		}
		if p.Severity != Off {
			graded = append(graded, p)
		}
	}
	return graded
}
