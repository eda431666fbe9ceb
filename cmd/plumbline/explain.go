package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/pipeline"
)

var explainOutputs = []string{"text", "json", "markdown"}

func explainCommand(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "explain [RULE]...",
		Short: "Explain a rule for pipeline files",
		Long: `Explain rules: what is found, what comes of it, what AWS says, how it is wrong and
how it is right, and where the fact is from. Without arguments all rules are listed.`,
		Example: `  plumbline explain CP-R02
  plumbline explain`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var found []string
			for _, rule := range pipeline.Rules {
				found = append(found, rule.ID+"\t"+rule.Title)
			}
			return found, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			rules, err := chooseRules(args)
			if err != nil {
				return err
			}
			switch {
			case output == "json":
				return writeJSON(a.stdout, ruleDocuments(rules))
			case output == "markdown":
				printRulesPage(a.stdout, rules)
			case output != "text":
				return badOutput(output, explainOutputs...)
			case len(args) == 0:
				a.listRules(rules)
			default:
				a.explainRules(rules)
			}
			return nil
		},
	}
	outputFlag(cmd, &output, strings.Join(explainOutputs, ", "))
	return cmd
}

// chooseRules returns the rules that the arguments name, in any letter case, or all.
func chooseRules(args []string) ([]pipeline.Rule, error) {
	if len(args) == 0 {
		return pipeline.Rules, nil
	}
	var rules []pipeline.Rule
	for _, arg := range args {
		rule := pipeline.RuleOf(strings.ToUpper(arg))
		if rule == nil {
			hint := "`plumbline explain` lists all rules"
			if closest := pipeline.Closest(arg, pipeline.RuleIDs()); closest != "" {
				hint = fmt.Sprintf("did you mean %s? %s", closest, hint)
			}
			return nil, hinted{fmt.Errorf("there is no rule %q", arg), hint}
		}
		rules = append(rules, *rule)
	}
	return rules, nil
}

// ruleDocument is a rule as JSON.
type ruleDocument struct {
	ID         string            `json:"id"`
	Severity   pipeline.Severity `json:"severity"`
	Adjustable bool              `json:"adjustable"`
	Title      string            `json:"title"`
	Why        string            `json:"why"`
	Message    string            `json:"message"`
	Source     string            `json:"source"`
	Wrong      string            `json:"wrong"`
	Right      string            `json:"right"`
}

func ruleDocuments(rules []pipeline.Rule) []ruleDocument {
	documents := make([]ruleDocument, len(rules))
	for i, r := range rules {
		documents[i] = ruleDocument{r.ID, r.Severity, pipeline.Adjustable(r.ID), r.Title, r.Why, r.Message, r.Source, r.Wrong, r.Right}
	}
	return documents
}

func (a *app) listRules(rules []pipeline.Rule) {
	for _, r := range rules {
		fmt.Fprintf(a.stdout, "%s  %-7s  %s\n", a.paint(text.Bold, r.ID), r.Severity, r.Title)
	}
}

func (a *app) explainRules(rules []pipeline.Rule) {
	for i, r := range rules {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		fmt.Fprintf(a.stdout, "%s (%s): %s\n", a.paint(text.Bold, r.ID), severityWords(r), r.Title)
		if r.Why != "" {
			fmt.Fprintf(a.stdout, "\n%s\n", wrap(r.Why, 90))
		}
		part := func(title, body string) {
			if body != "" {
				fmt.Fprintf(a.stdout, "\n%s\n%s\n", a.paint(text.Bold, title), indent(body))
			}
		}
		part("Wrong", r.Wrong)
		part("Right", r.Right)
		part("AWS says", r.Message)
		part("Source", r.Source)
	}
}

func severityWords(r pipeline.Rule) string {
	if pipeline.Adjustable(r.ID) {
		return string(r.Severity)
	}
	return string(r.Severity) + ", cannot be changed"
}

// wrap breaks a text into lines of at most a width.
func wrap(s string, width int) string {
	lines := strings.Split(text.WrapSoft(s, width), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ") // the library fills lines up
	}
	return strings.Join(lines, "\n")
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(s, "\n", "\n  ")
}

// families are the headings of docs/rules.md, by the beginning of a rule's ID.
var families = []struct{ prefix, title string }{
	{"CP-A", "Actions"}, {"CP-C", "Conditions of stages"}, {"CP-F", "Single values"}, {"CP-G", "Stages"}, {"CP-K", "Tags"},
	{"CP-M", "Pipeline type and execution mode"}, {"CP-N", "Variables and namespaces"}, {"CP-P", "Single action types"},
	{"CP-R", "Artifacts"}, {"CP-S", "The pipeline"}, {"CP-T", "Triggers"}, {"CP-W", "Advice"}, {"CP-X", "Artifact stores and regions"},
	{"PL-D", "Documents"}, {"PL-J", "JSON"}, {"PL-L", "Layout of a repository"}, {"PL-R", "References to secrets"}, {"PL-S", "What is not read"},
	{"PL-T", "Tags that Plumbline adds or refuses"}, {"PL-V", "Plumbline's variables"}, {"PL-F", "Fences"},
}

// printRulesPage writes docs/rules.md.
func printRulesPage(w io.Writer, rules []pipeline.Rule) {
	fmt.Fprint(w, `# Rules

What `+"`plumbline validate`"+` and the daemon check, from the same table as `+"`plumbline explain`"+`. `+"`CP-…`"+` are rules of AWS
CodePipeline, `+"`PL-…`"+` are Plumbline's own. An error holds the pipeline, a warning and a note do not. The severity of a
rule can be set under `+"`policy.rules`"+` of the configuration (`+"`error`, `warning`, `off`"+`), except where it says otherwise.
This page is made by `+"`plumbline explain -o markdown`"+`.
`)
	for _, family := range families {
		of := slices.DeleteFunc(slices.Clone(rules), func(r pipeline.Rule) bool { return !strings.HasPrefix(r.ID, family.prefix) })
		if len(of) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n## %s (%s)\n", family.title, family.prefix)
		for _, r := range of {
			printRule(w, r)
		}
	}
}

func printRule(w io.Writer, r pipeline.Rule) {
	fmt.Fprintf(w, "\n### %s\n\n**%s** (%s)\n", r.ID, markdown(r.Title), severityWords(r))
	if r.Why != "" {
		fmt.Fprintf(w, "\n%s\n", markdown(r.Why))
	}
	for _, part := range []struct{ title, body string }{{"Wrong", r.Wrong}, {"Right", r.Right}, {"AWS says", r.Message}} {
		if part.body != "" {
			fmt.Fprintf(w, "\n%s:\n\n```\n%s\n```\n", part.title, part.body)
		}
	}
	if r.Source != "" {
		fmt.Fprintf(w, "\nSource: %s\n", markdown(r.Source))
	}
}

// markdown keeps the characters of a text that would be markup.
func markdown(s string) string {
	return strings.NewReplacer("<", "&lt;", "*", `\*`, "_", `\_`, "[", `\[`).Replace(s)
}

// anchor is the heading of a rule in docs/rules.md as a forge names it.
func anchor(id string) string { return strings.ToLower(id) }
