package live

import (
	"cmp"
	"slices"
)

// Level is what IAM lets a policy name as the resource of an action. Source: the Service Authorization Reference.
type Level string

// The levels.
const (
	PipelineLevel  Level = "pipeline"  // the ARN of a pipeline
	AnyLevel       Level = "any"       // nothing: the resource is *
	RoleLevel      Level = "role"      // the ARN of a role
	SecretLevel    Level = "secret"    // the ARN of a secret of Secrets Manager
	ParameterLevel Level = "parameter" // the ARN of a parameter of Systems Manager
	QueueLevel     Level = "queue"     // the ARN of a queue
	FreeLevel      Level = "free"      // the action needs no permission
)

// Permission is what the credentials need for one of the operations that this package calls. CreatePipeline and
// UpdatePipeline also need iam:PassRole for each role that the pipeline names.
type Permission struct {
	Action string // as policies write it: codepipeline:GetPipeline
	Level  Level
	Write  bool
	Reveal bool // what it is for is a secret's value, which only a write needs
}

// Permissions returns those of all operations that this package calls and of no other, sorted by action.
func Permissions() []Permission {
	all := make([]Permission, 0, len(operations))
	for _, op := range operations {
		all = append(all, Permission{Action: op.action(), Level: op.level, Write: op.write, Reveal: op == opGetSecretValue})
	}
	slices.SortFunc(all, func(a, b Permission) int { return cmp.Compare(a.Action, b.Action) })
	return all
}

// Secret are the actions that hand out secrets in the clear: the keys and configurations of jobs, which only job
// workers need.
var Secret = []string{
	"codepipeline:GetJobDetails",
	"codepipeline:GetThirdPartyJobDetails",
	"codepipeline:PollForJobs",
	"codepipeline:PollForThirdPartyJobs",
}

func (op *operation) action() string { return op.service.iam + ":" + firstOf(op.grants, op.name) }
