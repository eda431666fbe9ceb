package pipeline

// fileRules are the rules that are Plumbline's own: of files (PL-J, PL-D), fences (PL-F), repositories (PL-L, PL-S),
// references to secrets (PL-R), tags (PL-T), variables (PL-V).
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
		ID: "PL-D07", Severity: Error, Title: "a placeholder was never filled in",
		Why:    "AWS refuses the value, or takes it as it stands and the action fails. A placeholder in a value that AWS does not check is a warning.",
		Source: "documents that people published",
		Wrong:  `"roleArn": "arn:aws:iam::<ACCOUNT_ID>:role/pipeline"`,
		Right:  `"roleArn": "arn:aws:iam::${target.account}:role/pipeline"`,
	},
	{
		ID: "PL-F01", Severity: Error, Title: "a role that the target does not allow",
		Why:    "The configuration's policy.allow.roles says what files may name in this target. Whoever may push to the repository may not go beyond it.",
		Source: "Plumbline's configuration, policy.allow.roles",
		Wrong:  `"roleArn": "arn:aws:iam::123456789012:role/admin"`,
		Right:  `"roleArn": "arn:aws:iam::123456789012:role/pipelines/web"`,
	},
	{
		ID: "PL-F02", Severity: Error, Title: "a bucket that the target does not allow",
		Why:    "The configuration's policy.allow.buckets says what files may name in this target. Whoever may push to the repository may not go beyond it.",
		Source: "Plumbline's configuration, policy.allow.buckets",
		Wrong:  `"S3Bucket": "other"`,
		Right:  `"S3Bucket": "code"`,
	},
	{
		ID: "PL-F03", Severity: Error, Title: "a key that the target does not allow",
		Why:    "The configuration's policy.allow.keys says what files may name in this target. Whoever may push to the repository may not go beyond it.",
		Source: "Plumbline's configuration, policy.allow.keys",
		Wrong:  `"encryptionKey": {"id": "alias/other", "type": "KMS"}`,
		Right:  `"encryptionKey": {"id": "alias/pipelines", "type": "KMS"}`,
	},
	{
		ID: "PL-F04", Severity: Error, Title: "a connection that the target does not allow",
		Why:    "The configuration's policy.allow.connections says what files may name in this target. Whoever may push to the repository may not go beyond it.",
		Source: "Plumbline's configuration, policy.allow.connections",
		Wrong:  `"ConnectionArn": "arn:aws:codeconnections:us-east-1:123456789012:connection/other"`,
		Right:  `"ConnectionArn": "arn:aws:codeconnections:us-east-1:123456789012:connection/acme"`,
	},
	{
		ID: "PL-F05", Severity: Error, Title: "an action type that the target does not allow",
		Why:    "The configuration's policy.allow.actionTypes says what files may name in this target. Whoever may push to the repository may not go beyond it.",
		Source: "Plumbline's configuration, policy.allow.actionTypes",
		Wrong:  `"category": "Invoke", "owner": "AWS", "provider": "Lambda"`,
		Right:  `"category": "Build", "owner": "AWS", "provider": "CodeBuild"`,
	},
	{
		ID: "PL-F06", Severity: Error, Title: "a region that the target does not allow",
		Why:    "The configuration's policy.allow.regions says what files may name in this target. Whoever may push to the repository may not go beyond it.",
		Source: "Plumbline's configuration, policy.allow.regions",
		Wrong:  `"region": "ap-south-1"`,
		Right:  `"region": "us-east-1"`,
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
		ID: "PL-R01", Severity: Error, Title: "a reference to a secret cannot be read",
		Why:    "A reference names a secret of AWS Secrets Manager or a SecureString of Systems Manager. Sent as it stands, it would take the secret's place.",
		Source: "AWS CloudFormation User Guide, dynamic references",
		Wrong:  `"OAuthToken": "{{resolve:secretsmanager:github:token}}"`,
		Right:  `"OAuthToken": "{{resolve:secretsmanager:github:SecretString:token}}"`,
	},
	{
		ID: "PL-R02", Severity: Error, Title: "a reference to a secret is the whole value",
		Why:    "Nothing is put together from a secret and other text, so that a secret is only ever what its owner keeps.",
		Source: "Plumbline's guide, Secrets",
		Wrong:  `"OAuthToken": "token {{resolve:ssm-secure:/prod/github}}"`,
		Right:  `"OAuthToken": "{{resolve:ssm-secure:/prod/github}}"`,
	},
	{
		ID: "PL-R03", Severity: Error, Title: "a reference to a secret where AWS would show its value",
		Why:    "CodePipeline hides the values of a few configuration keys. Whatever stands elsewhere is read by everybody who may read the pipeline, so no secret is filled in there. What CloudFormation actions hand to CloudFormation, which resolves references itself, is let through.",
		Source: "AWS CodePipeline API Reference, GetPipeline; AWS CloudFormation User Guide, dynamic references",
		Wrong:  `"UserParameters": "{{resolve:secretsmanager:github}}"`,
		Right:  `"UserParameters": "github"`,
	},
	{
		ID: "PL-R04", Severity: Error, Title: "a secret is in another region than the target",
		Why:    "A target asks the Secrets Manager of its own region, which does not know secrets of others.",
		Source: "AWS Secrets Manager User Guide, replicating secrets across Regions",
		Wrong:  `"{{resolve:secretsmanager:arn:aws:secretsmanager:us-east-1:123456789012:secret:github}}"`,
		Right:  `"{{resolve:secretsmanager:arn:aws:secretsmanager:${target.region}:123456789012:secret:github}}"`,
	},
	{
		ID: "PL-R05", Severity: Error, Title: "a pipeline refers to more than 20 different secrets",
		Why:    "Which version of each was applied is kept in one tag of the pipeline, which has room for 256 characters.",
		Source: "Plumbline's guide, Secrets",
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
