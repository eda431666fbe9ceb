package pipeline

// ActionType is one row of the table of action types that the service offers everywhere. Its facts come from
// the user guide ("Action structure reference" and the page of each action) and, for the numbers of
// artifacts, from the AWS CDK's aws-codepipeline-actions where the guide is silent.
type ActionType struct {
	Category, Owner, Provider string

	In, Out Bounds

	Secret   []string          // configuration keys whose value comes back as the mask
	JSON     []string          // configuration keys whose value is JSON in a string, so that white space in it means nothing
	Defaults map[string]string // values that the service assumes for absent keys
}

// Bounds is how many artifacts an action takes or makes.
type Bounds struct{ Least, Most int }

// Mask is what the service shows instead of a secret value.
const Mask = "****"

var (
	none       = Bounds{0, 0}
	one        = Bounds{1, 1}
	optional   = Bounds{0, 1}
	upToFive   = Bounds{0, 5}
	oneToFive  = Bounds{1, 5}
	polling    = map[string]string{"PollForSourceChanges": "true"}
	buildJSON  = []string{"EnvironmentVariables"}
	stackJSON  = []string{"ParameterOverrides"}
	invokeJSON = []string{"UserParameters"}
)

// actionTypes holds every action type whose shape is known. Custom types and those of partners are not here
// unless they are the same for everyone: about others there is nothing to check.
var actionTypes = []ActionType{
	{Category: "Source", Owner: "AWS", Provider: "S3", In: none, Out: one, Defaults: polling},
	{Category: "Source", Owner: "AWS", Provider: "CodeCommit", In: none, Out: one, Defaults: map[string]string{"PollForSourceChanges": "true", "OutputArtifactFormat": "CODE_ZIP"}},
	{Category: "Source", Owner: "AWS", Provider: "ECR", In: none, Out: one, Defaults: map[string]string{"ImageTag": "latest"}},
	{Category: "Source", Owner: "AWS", Provider: "CodeStarSourceConnection", In: none, Out: one, Defaults: map[string]string{"DetectChanges": "true", "OutputArtifactFormat": "CODE_ZIP"}},
	{Category: "Source", Owner: "ThirdParty", Provider: "GitHub", In: none, Out: one, Secret: []string{"OAuthToken"}, Defaults: polling},

	{Category: "Build", Owner: "AWS", Provider: "CodeBuild", In: oneToFive, Out: upToFive, JSON: buildJSON},
	{Category: "Test", Owner: "AWS", Provider: "CodeBuild", In: oneToFive, Out: upToFive, JSON: buildJSON},
	{Category: "Build", Owner: "AWS", Provider: "ECRBuildAndPublish", In: one, Out: none},
	{Category: "Test", Owner: "AWS", Provider: "DeviceFarm", In: one, Out: none},
	{Category: "Compute", Owner: "AWS", Provider: "Commands", In: Bounds{1, 10}, Out: optional},

	{Category: "Deploy", Owner: "AWS", Provider: "S3", In: one, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "CloudFormation", In: Bounds{0, 10}, Out: optional, JSON: stackJSON},
	{Category: "Deploy", Owner: "AWS", Provider: "CloudFormationStackSet", In: Bounds{1, 3}, Out: none, JSON: []string{"Parameters"}},
	{Category: "Deploy", Owner: "AWS", Provider: "CloudFormationStackInstances", In: Bounds{0, 3}, Out: none, JSON: stackJSON},
	{Category: "Deploy", Owner: "AWS", Provider: "CodeDeploy", In: one, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "CodeDeployToECS", In: oneToFive, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "ECS", In: one, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "EC2", In: one, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "EKS", In: one, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "Lambda", In: optional, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "ElasticBeanstalk", In: one, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "OpsWorks", In: one, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "ServiceCatalog", In: one, Out: none},
	{Category: "Deploy", Owner: "AWS", Provider: "AppConfig", In: one, Out: none},
	{Category: "Deploy", Owner: "ThirdParty", Provider: "AlexaSkillsKit", In: Bounds{0, 2}, Out: none, Secret: []string{"ClientSecret", "RefreshToken"}},

	{Category: "Approval", Owner: "AWS", Provider: "Manual", In: none, Out: none},
	{Category: "Invoke", Owner: "AWS", Provider: "Lambda", In: upToFive, Out: upToFive, JSON: invokeJSON},
	{Category: "Invoke", Owner: "AWS", Provider: "StepFunctions", In: optional, Out: optional, JSON: []string{"Input"}},
	{Category: "Invoke", Owner: "AWS", Provider: "InspectorScan", In: optional, Out: one},
	{Category: "Invoke", Owner: "AWS", Provider: "CodePipeline", In: none, Out: none, JSON: []string{"SourceRevisions", "Variables"}},
	{Category: "Invoke", Owner: "ThirdParty", Provider: "Snyk", In: one, Out: one},
}

var actionTypeIndex = func() map[[3]string]*ActionType {
	index := map[[3]string]*ActionType{}
	for i := range actionTypes {
		t := &actionTypes[i]
		index[[3]string{t.Category, t.Owner, t.Provider}] = t
	}
	return index
}()

// TypeOf returns the row of an action's type, or nil for a type that is not in the table.
func TypeOf(action *Node) *ActionType {
	id := action.Get("actionTypeId")
	return actionTypeIndex[[3]string{id.Str("category"), id.Str("owner"), id.Str("provider")}]
}
