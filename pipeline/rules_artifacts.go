package pipeline

// artifactRules are the rules of what flows between actions: artifacts (CP-R), their stores and regions (CP-X), variables (CP-N).
var artifactRules = []Rule{
	{
		ID: "CP-N06", Severity: Error, Title: "variable names are unique",
	},
	{
		ID: "CP-R01", Severity: Error, Title: "output artifact names are unique in the pipeline",
	},
	{
		ID: "CP-R02", Severity: Error, Title: "an input artifact is made by an earlier action",
	},
	{
		ID: "CP-R03", Severity: Error, Title: "an action has fewer artifacts than its type needs",
	},
	{
		ID: "CP-R04", Severity: Error, Title: "an action has more artifacts than its type takes",
	},
	{
		ID: "CP-R06", Severity: Warning, Title: "an action lists one input artifact twice",
	},
}
