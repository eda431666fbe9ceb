package pipeline

// actionRules are the rules of actions (CP-A), of their types (CP-P), and advice that the service does not give (CP-W).
var actionRules = []Rule{
	{
		ID: "CP-A01", Severity: Error, Title: "action names are unique within a stage",
	},
}
