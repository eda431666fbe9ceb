package pipeline

// structureRules are the rules of the pipeline as a whole (CP-S), its stages (CP-G), its type and mode (CP-M), triggers (CP-T), and the
// conditions of stages (CP-C).
var structureRules = []Rule{
	{
		ID: "CP-C12", Severity: Error, Title: "rule names are unique within a condition",
	},
	{
		ID: "CP-G01", Severity: Error, Title: "stage names are unique",
	},
	{
		ID: "CP-G02", Severity: Error, Title: "a stage has at least one action",
	},
	{
		ID: "CP-G03", Severity: Error, Title: "a stage has too many actions",
	},
	{
		ID: "CP-G04", Severity: Error, Title: "blockers are reserved by AWS",
	},
	{
		ID: "CP-M01", Severity: Error, Title: "pipeline variables need type V2",
	},
	{
		ID: "CP-M02", Severity: Error, Title: "triggers need type V2",
	},
	{
		ID: "CP-M03", Severity: Error, Title: "the modes QUEUED and PARALLEL need type V2",
	},
	{
		ID: "CP-M04", Severity: Error, Title: "stage conditions need type V2",
	},
	{
		ID: "CP-S01", Severity: Error, Title: "a pipeline has at least 2 stages",
	},
	{
		ID: "CP-S02", Severity: Error, Title: "a pipeline has at most 50 stages",
	},
	{
		ID: "CP-S03", Severity: Error, Title: "the first stage holds only source actions",
	},
	{
		ID: "CP-S04", Severity: Error, Title: "source actions stand in the first stage only",
	},
	{
		ID: "CP-S05", Severity: Error, Title: "a pipeline has an action that is not a source",
	},
	{
		ID: "CP-S07", Severity: Error, Title: "exactly one of artifactStore and artifactStores",
	},
	{
		ID: "CP-S08", Severity: Error, Title: "a pipeline has at most 1,000 actions",
	},
	{
		ID: "CP-T02", Severity: Error, Title: "one trigger for a source action",
	},
}
