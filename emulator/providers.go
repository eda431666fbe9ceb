package emulator

import (
	"slices"
	"strings"
)

const connection = "CodeStarSourceConnection"

// provider is one row of the action types an account has (user guide: action structure reference; version 1 everywhere).
type provider struct {
	in, out  [2]int   // fewest and most artifacts
	required []string // keys without which a pipeline is refused; only those seen so on the real service (CP-P01)
	onlyV2   bool     // CP-A10
}

// providers maps Category/Owner/Provider. A provider whose numbers of artifacts are not established allows 0 to 5.
var providers = map[string]provider{
	"Source/AWS/S3":                {out: [2]int{1, 1}, required: []string{"S3Bucket", "S3ObjectKey"}},
	"Source/AWS/CodeCommit":        {out: [2]int{1, 1}, required: []string{"RepositoryName", "BranchName"}},
	"Source/AWS/ECR":               {out: [2]int{1, 1}, required: []string{"RepositoryName"}},
	"Source/AWS/" + connection:     {out: [2]int{1, 1}},
	"Source/ThirdParty/GitHub":     {out: [2]int{1, 1}},
	"Build/AWS/CodeBuild":          {in: [2]int{1, 5}, out: [2]int{0, 5}, required: []string{"ProjectName"}},
	"Test/AWS/CodeBuild":           {in: [2]int{1, 5}, out: [2]int{0, 5}, required: []string{"ProjectName"}},
	"Build/AWS/ECRBuildAndPublish": {in: [2]int{1, 1}, onlyV2: true},
	"Test/AWS/DeviceFarm":          {in: [2]int{1, 1}},
	"Compute/AWS/Commands":         {in: [2]int{1, 10}, out: [2]int{0, 1}, onlyV2: true},
	"Build/AWS/Commands":           {in: [2]int{1, 10}, out: [2]int{0, 1}, onlyV2: true}, // seen by live probes

	"Deploy/AWS/S3":                           {in: [2]int{1, 1}, required: []string{"BucketName", "Extract"}},
	"Deploy/AWS/CloudFormation":               {in: [2]int{0, 10}, out: [2]int{0, 1}, required: []string{"ActionMode", "StackName"}},
	"Deploy/AWS/CloudFormationStackSet":       {in: [2]int{1, 3}},
	"Deploy/AWS/CloudFormationStackInstances": {in: [2]int{0, 3}},
	"Deploy/AWS/CodeDeploy":                   {in: [2]int{1, 1}, required: []string{"ApplicationName", "DeploymentGroupName"}},
	"Deploy/AWS/CodeDeployToECS":              {in: [2]int{1, 5}},
	"Deploy/AWS/ECS":                          {in: [2]int{1, 1}, required: []string{"ClusterName", "ServiceName"}},
	"Deploy/AWS/EC2":                          {in: [2]int{1, 1}, onlyV2: true},
	"Deploy/AWS/EKS":                          {in: [2]int{1, 1}, onlyV2: true},
	"Deploy/AWS/Lambda":                       {in: [2]int{0, 1}, onlyV2: true},
	"Deploy/AWS/ElasticBeanstalk":             {in: [2]int{1, 1}, required: []string{"ApplicationName", "EnvironmentName"}},
	"Deploy/AWS/OpsWorks":                     {in: [2]int{1, 1}},
	"Deploy/AWS/ServiceCatalog":               {in: [2]int{1, 1}},
	"Deploy/AWS/AppConfig":                    {in: [2]int{1, 1}},
	"Deploy/ThirdParty/AlexaSkillsKit":        {in: [2]int{0, 2}},

	"Approval/AWS/Manual":      {},
	"Invoke/AWS/Lambda":        {in: [2]int{0, 5}, out: [2]int{0, 5}, required: []string{"FunctionName"}},
	"Invoke/AWS/StepFunctions": {in: [2]int{0, 1}, out: [2]int{0, 1}, required: []string{"StateMachineArn"}},
	"Invoke/AWS/InspectorScan": {in: [2]int{0, 1}, out: [2]int{1, 1}},
	"Invoke/AWS/CodePipeline":  {required: []string{"PipelineName"}, onlyV2: true},
	"Invoke/ThirdParty/Snyk":   {in: [2]int{1, 1}, out: [2]int{1, 1}},

	"Test/ThirdParty/GhostInspector": anyArtifacts,
	"Test/ThirdParty/Nouvola":        anyArtifacts,
	"Test/ThirdParty/Runscope":       anyArtifacts,
}

var anyArtifacts = provider{in: [2]int{0, 5}, out: [2]int{0, 5}}

// secrets maps Owner/Provider to the configuration keys that readers get masked.
var secrets = map[string][]string{
	"ThirdParty/GitHub":         {"OAuthToken"},
	"ThirdParty/AlexaSkillsKit": {"ClientSecret", "RefreshToken"},
}

// withoutConnections are the regions in which CodeStarSourceConnection is not available (user guide).
var withoutConnections = strings.Fields(`ap-east-1 ap-south-2 ap-southeast-3 ap-southeast-4 ap-northeast-3 af-south-1
	me-south-1 me-central-1 eu-south-2 eu-central-2 il-central-1 us-gov-west-1`)

// regions are those CodePipeline has (General Reference: CodePipeline endpoints), for CP-F12.
var regions = strings.Fields(`us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 sa-east-1
	eu-west-1 eu-west-2 eu-west-3 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2
	ap-south-1 ap-south-2 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3
	ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6
	af-south-1 il-central-1 me-south-1 me-central-1
	cn-north-1 cn-northwest-1 us-gov-west-1 us-gov-east-1 us-isof-east-1 us-isof-south-1`)

// lookup finds the provider of an action type, if it exists in the region.
func lookup(t actionType, region string, custom []string) (provider, bool) {
	if t.Owner == "Custom" {
		return anyArtifacts, slices.Contains(custom, t.Category+"/"+t.Provider+"/"+t.Version)
	}
	if t.Provider == connection && slices.Contains(withoutConnections, region) {
		return provider{}, false
	}
	p, ok := providers[t.Category+"/"+t.Owner+"/"+t.Provider]
	return p, ok && t.Version == "1"
}
