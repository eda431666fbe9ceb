package pipeline

// fieldRules are the rules of single values (CP-F) and of tags (CP-K).
var fieldRules = []Rule{
	{
		ID: "CP-F01", Severity: Error, Title: "a required member is missing",
	},
	{
		ID: "CP-F02", Severity: Error, Title: "a text is too long or too short",
	},
	{
		ID: "CP-F03", Severity: Error, Title: "a text has the wrong form",
	},
	{
		ID: "CP-F04", Severity: Error, Title: "a value is none of those that the service knows",
	},
	{
		ID: "CP-F05", Severity: Error, Title: "a number is out of range",
	},
	{
		ID: "CP-F06", Severity: Error, Title: "a list or map has too many or too few entries",
	},
	{
		ID: "CP-F07", Severity: Error, Title: "a configuration value is too long",
	},
	{
		ID: "CP-F08", Severity: Error, Title: "a configuration key is too long or empty",
	},
	{
		ID: "CP-F09", Severity: Error, Title: "a configuration value is empty",
	},
	{
		ID: "CP-F10", Severity: Error, Title: "a value has the wrong JSON type",
	},
	{
		ID: "CP-F11", Severity: Error, Title: "a member is unknown",
	},
	{
		ID: "CP-F12", Severity: Error, Title: "a region does not exist",
	},
	{
		ID: "CP-K06", Severity: Error, Title: "tags that begin with aws: are AWS's own",
	},
	{
		ID: "CP-K07", Severity: Error, Title: "too many tags",
	},
}
