package pipeline

// fileRules are the rules that are Plumbline's own: of files (PL-J, PL-D), repositories (PL-L, PL-S), tags (PL-T), variables (PL-V).
var fileRules = []Rule{
	{
		ID: "PL-D01", Severity: Error, Title: "the document is not an object",
	},
	{
		ID: "PL-D02", Severity: Error, Title: "the document is not a pipeline",
	},
	{
		ID: "PL-D03", Severity: Note, Title: "metadata is left out",
	},
	{
		ID: "PL-D04", Severity: Note, Title: "version is left out",
	},
	{
		ID: "PL-D05", Severity: Error, Title: "environment variable names are unique in an action",
	},
	{
		ID: "PL-D06", Severity: Error, Title: "a file has more problems than are shown",
	},
	{
		ID: "PL-J01", Severity: Error, Title: "the file is too large",
	},
	{
		ID: "PL-J02", Severity: Error, Title: "the file has a byte order mark or is UTF-16",
	},
	{
		ID: "PL-J03", Severity: Error, Title: "the file is not UTF-8",
	},
	{
		ID: "PL-J04", Severity: Error, Title: "the file is empty",
	},
	{
		ID: "PL-J05", Severity: Error, Title: "the file is not JSON",
	},
	{
		ID: "PL-J06", Severity: Error, Title: "the document nests too deeply",
	},
	{
		ID: "PL-J07", Severity: Error, Title: "a name stands twice in one object",
	},
	{
		ID: "PL-J08", Severity: Error, Title: "null stands for nothing",
	},
	{
		ID: "PL-L01", Severity: Error, Title: "two files claim one pipeline",
	},
	{
		ID: "PL-L02", Severity: Error, Title: "a folder names no target",
	},
	{
		ID: "PL-L03", Severity: Error, Title: "a folder is named as a target",
	},
	{
		ID: "PL-S01", Severity: Error, Title: "a symbolic link is not read",
	},
	{
		ID: "PL-S02", Severity: Error, Title: "a submodule is not read",
	},
	{
		ID: "PL-S03", Severity: Error, Title: "a name in the repository is not safe",
	},
	{
		ID: "PL-S04", Severity: Error, Title: "a file is too large to be read",
	},
	{
		ID: "PL-S06", Severity: Error, Title: "something that is no file",
	},
	{
		ID: "PL-T01", Severity: Error, Title: "tags that begin with plumbline: are ours",
	},
	{
		ID: "PL-T02", Severity: Error, Title: "a tag's key stands twice",
	},
	{
		ID: "PL-T03", Severity: Error, Title: "a tag has letters that AWS does not allow",
	},
	{
		ID: "PL-V01", Severity: Error, Title: "a variable is unknown",
	},
}
