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
	keys     string   // of its configuration, as listings show them, in the notation of properties; "": not known
}

// providers maps Category/Owner/Provider. A provider whose numbers of artifacts are not established allows 0 to 5.
var providers = map[string]provider{
	"Source/AWS/S3":                {out: [2]int{1, 1}, required: []string{"S3Bucket", "S3ObjectKey"}, keys: "S3Bucket* S3ObjectKey* PollForSourceChanges AllowOverrideForS3ObjectKey"},
	"Source/AWS/CodeCommit":        {out: [2]int{1, 1}, required: []string{"RepositoryName", "BranchName"}, keys: "RepositoryName* BranchName* PollForSourceChanges OutputArtifactFormat"},
	"Source/AWS/ECR":               {out: [2]int{1, 1}, required: []string{"RepositoryName"}, keys: "RepositoryName* ImageTag"},
	"Source/AWS/" + connection:     {out: [2]int{1, 1}, keys: "ConnectionArn* FullRepositoryId* BranchName* OutputArtifactFormat DetectChanges"},
	"Source/ThirdParty/GitHub":     {out: [2]int{1, 1}, keys: "Owner* Repo* Branch* OAuthToken*! PollForSourceChanges"},
	"Build/AWS/CodeBuild":          {in: [2]int{1, 5}, out: [2]int{0, 5}, required: []string{"ProjectName"}, keys: codeBuildKeys},
	"Test/AWS/CodeBuild":           {in: [2]int{1, 5}, out: [2]int{0, 5}, required: []string{"ProjectName"}, keys: codeBuildKeys},
	"Build/AWS/ECRBuildAndPublish": {in: [2]int{1, 1}, onlyV2: true, keys: "ECRRepositoryName* DockerFilePath ImageTags RegistryType"},
	"Test/AWS/DeviceFarm":          {in: [2]int{1, 1}, keys: "AppType ProjectId* App DevicePoolArn TestType AppiumVersion Test FuzzEventCount FuzzEventThrottle FuzzRandomizerSeed RecordVideo RecordAppPerformanceData CustomHostMachineArtifacts CustomDeviceArtifacts RadioBluetoothEnabled RadioWifiEnabled RadioNfcEnabled RadioGpsEnabled UnmeteredDevicesOnly JobTimeoutMinutes Latitude Longitude"},
	"Compute/AWS/Commands":         {in: [2]int{1, 10}, out: [2]int{0, 1}, onlyV2: true, keys: commandKeys},
	"Build/AWS/Commands":           {in: [2]int{1, 10}, out: [2]int{0, 1}, onlyV2: true, keys: commandKeys}, // seen by live probes

	"Deploy/AWS/S3":                           {in: [2]int{1, 1}, required: []string{"BucketName", "Extract"}, keys: "BucketName* Extract* ObjectKey KMSEncryptionKeyARN CannedACL CacheControl"},
	"Deploy/AWS/CloudFormation":               {in: [2]int{0, 10}, out: [2]int{0, 1}, required: []string{"ActionMode", "StackName"}, keys: "ActionMode* StackName* ChangeSetName TemplatePath RoleArn Capabilities OutputFileName ParameterOverrides TemplateConfiguration"},
	"Deploy/AWS/CloudFormationStackSet":       {in: [2]int{1, 3}, keys: "StackSetName* TemplatePath* Description Parameters Capabilities PermissionModel AdministrationRoleArn ExecutionRoleName OrganizationsAutoDeployment DeploymentTargets Regions FailureTolerancePercentage MaxConcurrentPercentage CallAs"},
	"Deploy/AWS/CloudFormationStackInstances": {in: [2]int{0, 3}, keys: "StackSetName* DeploymentTargets Regions ParameterOverrides FailureTolerancePercentage MaxConcurrentPercentage"},
	"Deploy/AWS/CodeDeploy":                   {in: [2]int{1, 1}, required: []string{"ApplicationName", "DeploymentGroupName"}, keys: "ApplicationName* DeploymentGroupName*"},
	"Deploy/AWS/CodeDeployToECS":              {in: [2]int{1, 5}, keys: "ApplicationName* DeploymentGroupName* TaskDefinitionTemplateArtifact* AppSpecTemplateArtifact* TaskDefinitionTemplatePath AppSpecTemplatePath Image1ArtifactName Image1ContainerName Image2ArtifactName Image2ContainerName Image3ArtifactName Image3ContainerName Image4ArtifactName Image4ContainerName"},
	"Deploy/AWS/ECS":                          {in: [2]int{1, 1}, required: []string{"ClusterName", "ServiceName"}, keys: "ClusterName* ServiceName* FileName DeploymentTimeout"},
	"Deploy/AWS/EC2":                          {in: [2]int{1, 1}, onlyV2: true, keys: "InstanceTagKey* InstanceType* InstanceTagValue TargetDirectory PreScript PostScript DeploySpec MaxBatch MaxError TargetGroupNameList"},
	"Deploy/AWS/EKS":                          {in: [2]int{1, 1}, onlyV2: true, keys: "ClusterName* HelmReleaseName HelmChartLocation HelmValuesFiles ManifestFiles Namespace Subnets SecurityGroupIds"},
	"Deploy/AWS/Lambda":                       {in: [2]int{0, 1}, onlyV2: true, keys: "FunctionName* FunctionAlias PublishedTargetVersion DeployStrategy Alarms"},
	"Deploy/AWS/ElasticBeanstalk":             {in: [2]int{1, 1}, required: []string{"ApplicationName", "EnvironmentName"}, keys: "ApplicationName* EnvironmentName*"},
	"Deploy/AWS/OpsWorks":                     {in: [2]int{1, 1}, keys: "Stack* App* Layer"},
	"Deploy/AWS/ServiceCatalog":               {in: [2]int{1, 1}, keys: "ProductId* TemplateFilePath ProductVersionName ProductType ProductVersionDescription ConfigurationFilePath"},
	"Deploy/AWS/AppConfig":                    {in: [2]int{1, 1}, keys: "Application* Environment* ConfigurationProfile* InputArtifactConfigurationPath* DeploymentStrategy"},
	"Deploy/ThirdParty/AlexaSkillsKit":        {in: [2]int{0, 2}, keys: "ClientId* ClientSecret*! RefreshToken*! SkillId*"},

	"Approval/AWS/Manual":      {keys: "NotificationArn CustomData ExternalEntityLink"},
	"Invoke/AWS/Lambda":        {in: [2]int{0, 5}, out: [2]int{0, 5}, required: []string{"FunctionName"}, keys: "FunctionName* UserParameters"},
	"Invoke/AWS/StepFunctions": {in: [2]int{0, 1}, out: [2]int{0, 1}, required: []string{"StateMachineArn"}, keys: "StateMachineArn* ExecutionNamePrefix InputType Input"},
	"Invoke/AWS/InspectorScan": {in: [2]int{0, 1}, out: [2]int{1, 1}, keys: "InspectorRunMode* ECRRepositoryName ImageTag CriticalThreshold HighThreshold MediumThreshold LowThreshold"},
	"Invoke/AWS/CodePipeline":  {required: []string{"PipelineName"}, onlyV2: true, keys: "PipelineName* SourceRevisions Variables"},
	"Invoke/ThirdParty/Snyk":   {in: [2]int{1, 1}, out: [2]int{1, 1}},

	"Test/ThirdParty/GhostInspector": anyArtifacts,
	"Test/ThirdParty/Nouvola":        anyArtifacts,
	"Test/ThirdParty/Runscope":       anyArtifacts,
}

var anyArtifacts = provider{in: [2]int{0, 5}, out: [2]int{0, 5}}

const (
	codeBuildKeys = "ProjectName* PrimarySource BatchEnabled CombineArtifacts EnvironmentVariables"
	commandKeys   = "EnvironmentType ComputeType VpcId Subnets SecurityGroupIds"
)

// rules maps the provider of a rule type to the keys of its configuration (user guide: rule structure reference; all are
// of category Rule, owner AWS and version 1). How many artifacts they take is not documented; 0 to 5.
var rules = map[string]string{
	"CloudWatchAlarm":  "AlarmName* AlarmStates WaitTime",
	"CodeBuild":        codeBuildKeys,
	"Commands":         commandKeys,
	"DeploymentWindow": "Cron* TimeZone",
	"LambdaInvoke":     "FunctionName* UserParameters",
	"VariableCheck":    "Operator* Variable* Value*",
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
func lookup(t actionType, region string, custom map[string]provider) (provider, bool) {
	if t.Owner == "Custom" {
		p, ok := custom[t.Category+"/"+t.Provider+"/"+t.Version]
		return p, ok
	}
	if t.Provider == connection && slices.Contains(withoutConnections, region) {
		return provider{}, false
	}
	p, ok := providers[t.Category+"/"+t.Owner+"/"+t.Provider]
	return p, ok && t.Version == "1"
}

// customActions reads Options.CustomActions.
func customActions(list []string) map[string]provider {
	custom := make(map[string]provider, len(list))
	for _, entry := range list {
		id, keys, _ := strings.Cut(entry, " ")
		p := anyArtifacts
		p.keys = keys
		for _, k := range properties(keys) {
			if k.Required {
				p.required = append(p.required, k.Name)
			}
		}
		custom[id] = p
	}
	return custom
}

// property is one key of a configuration as the service lists it.
type property struct {
	Name      string `json:"name"`
	Required  bool   `json:"required"`
	Key       bool   `json:"key"`
	Secret    bool   `json:"secret"`
	Queryable bool   `json:"queryable"`
	Type      string `json:"type,omitempty"`
}

// properties reads names with what holds for them: Name* is required, Name! secret, Name? queryable, Name:Number is of
// that type. What is required and no secret identifies what the action uses; this is what the service calls a key.
func properties(keys string) []property {
	list := []property{}
	for word := range strings.FieldsSeq(keys) {
		marked, kind, _ := strings.Cut(word, ":")
		p := property{Name: strings.TrimRight(marked, "*!?"), Type: kind}
		marks := marked[len(p.Name):]
		p.Required, p.Secret, p.Queryable = strings.Contains(marks, "*"), strings.Contains(marks, "!"), strings.Contains(marks, "?")
		p.Key = p.Required && !p.Secret
		list = append(list, p)
	}
	return list
}

// secrets returns the configuration keys that readers get masked.
func (p provider) secrets() []string {
	if !strings.Contains(p.keys, "!") {
		return nil
	}
	var names []string
	for _, k := range properties(p.keys) {
		if k.Secret {
			names = append(names, k.Name)
		}
	}
	return names
}
