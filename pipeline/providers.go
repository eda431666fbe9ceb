package pipeline

// actionTypes holds every action type and rule type whose shape is known. Custom types are not here, nor those of
// partners that differ between accounts: about them there is nothing to check but what the target lists itself.
//
// Its facts come from the user guide of CodePipeline ("Action structure reference", "Rule structure reference" and
// the page of each type there, "Valid action types and providers", "Variables reference") and, for the numbers of
// artifacts, from the AWS CDK's aws-codepipeline-actions where the guide is silent.
var actionTypes = []ActionType{
	// Sources.
	{Category: "Source", Owner: "AWS", Provider: "S3", In: none, Out: one, Variables: []string{"ETag", "VersionId", "BucketName", "ObjectKey"}, Keys: []Key{
		required("S3Bucket"), required("S3ObjectKey"), polling, boolean("AllowOverrideForS3ObjectKey"),
	}},
	{Category: "Source", Owner: "AWS", Provider: "CodeCommit", In: none, Out: one, Variables: commitVariables, Keys: []Key{
		required("RepositoryName"), required("BranchName"), polling, sourceFormat,
	}},
	{Category: "Source", Owner: "AWS", Provider: "ECR", In: none, Out: one, Keys: []Key{
		required("RepositoryName"), {Name: "ImageTag", Default: "latest"},
	}, Variables: []string{"RegistryId", "RepositoryName", "ImageTag", "ImageDigest", "ImageURI"}},
	{Category: "Source", Owner: "AWS", Provider: "CodeStarSourceConnection", In: none, Out: one, rule: "CP-P18", Grows: true, Absent: noConnections, Keys: []Key{
		{Name: "ConnectionArn", Required: true, Form: ConnectionARN}, {Name: "FullRepositoryId", Required: true, Form: Repository}, required("BranchName"),
		sourceFormat, {Name: "DetectChanges", Enum: flags, Default: "true"},
	}, Variables: []string{"AuthorDate", "AuthorDisplayName", "AuthorEmail", "AuthorId", "BranchName", "CommitId", "CommitMessage", "ConnectionArn", "FullRepositoryName", "ProviderType"}},
	{Category: "Source", Owner: "ThirdParty", Provider: "GitHub", In: none, Out: one, Keys: []Key{
		required("Owner"), required("Repo"), required("Branch"), secret("OAuthToken"), polling,
	}, Variables: append([]string{"CommitUrl"}, commitVariables...)},

	// Builds and tests.
	{Category: "Build", Owner: "AWS", Provider: "CodeBuild", In: oneToFive, Out: upToFive, AnyVariables: true, rule: "CP-P04", check: checkCodeBuild, Grows: true, Keys: buildKeys},
	{Category: "Test", Owner: "AWS", Provider: "CodeBuild", In: oneToFive, Out: upToFive, AnyVariables: true, rule: "CP-P04", check: checkCodeBuild, Grows: true, Keys: buildKeys},
	{Category: "Build", Owner: "AWS", Provider: "ECRBuildAndPublish", In: one, Out: none, V2: true, Grows: true, Keys: []Key{
		required("ECRRepositoryName"), {Name: "DockerFilePath"}, {Name: "ImageTags", Default: "latest"},
		{Name: "RegistryType", Enum: []string{"private", "public"}, Default: "private"},
	}, Variables: []string{"ECRImageDigestId", "ECRRepositoryName"}},
	{Category: "Test", Owner: "AWS", Provider: "DeviceFarm", In: one, Out: none, Keys: []Key{
		{Name: "AppType", Enum: []string{"iOS", "Android", "Web"}, Needed: always}, required("ProjectId"),
		{Name: "App", Needed: &When{"AppType", []string{"iOS", "Android"}}}, {Name: "DevicePoolArn", Needed: always}, {Name: "TestType", Needed: always, Enum: []string{
			"APPIUM_JAVA_JUNIT", "APPIUM_JAVA_TESTNG", "APPIUM_NODE", "APPIUM_RUBY", "APPIUM_PYTHON", "APPIUM_WEB_JAVA_JUNIT", "APPIUM_WEB_JAVA_TESTNG",
			"APPIUM_WEB_NODE", "APPIUM_WEB_RUBY", "APPIUM_WEB_PYTHON", "BUILTIN_EXPLORER", "BUILTIN_FUZZ", "CALABASH", "INSTRUMENTATION", "UIAUTOMATION", "UIAUTOMATOR", "XCTEST", "XCTEST_UI",
		}},
		{Name: "AppiumVersion"}, {Name: "Test"},
		{Name: "FuzzEventCount", Form: WholeNumber, Min: 1, Max: 10_000}, {Name: "FuzzEventThrottle", Form: WholeNumber, Min: 1, Max: 1000}, {Name: "FuzzRandomizerSeed"},
		boolean("RecordVideo"), boolean("RecordAppPerformanceData"), {Name: "CustomHostMachineArtifacts"}, {Name: "CustomDeviceArtifacts"},
		boolean("RadioBluetoothEnabled"), boolean("RadioWifiEnabled"), boolean("RadioNfcEnabled"), boolean("RadioGpsEnabled"), boolean("UnmeteredDevicesOnly"),
		{Name: "JobTimeoutMinutes"}, {Name: "Latitude"}, {Name: "Longitude"},
	}},
	{Category: "Compute", Owner: "AWS", Provider: "Commands", In: Bounds{1, 10}, Out: optional, V2: true, AnyVariables: true, rule: "CP-P09", check: checkCommands, Grows: true,
		Fields: []string{"commands", "outputVariables", "environmentVariables"}, Keys: commandKeys},

	// Deployments.
	{Category: "Deploy", Owner: "AWS", Provider: "S3", In: one, Out: none, rule: "CP-P07", Keys: []Key{
		required("BucketName"), {Name: "Extract", Required: true, Enum: flags}, {Name: "ObjectKey", Needed: &When{"Extract", []string{"false"}}},
		{Name: "KMSEncryptionKeyARN"}, {Name: "CacheControl"}, {Name: "CannedACL", Enum: []string{
			"private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control", "log-delivery-write",
		}},
	}},
	{Category: "Deploy", Owner: "AWS", Provider: "CloudFormation", In: Bounds{0, 10}, Out: optional, AnyVariables: true, rule: "CP-P05", check: checkCloudFormation, Keys: []Key{
		{Name: "ActionMode", Required: true, Enum: []string{"CREATE_UPDATE", "DELETE_ONLY", "REPLACE_ON_FAILURE", "CHANGE_SET_REPLACE", "CHANGE_SET_EXECUTE"}},
		required("StackName"), {Name: "ChangeSetName", Needed: &When{"ActionMode", []string{"CHANGE_SET_REPLACE", "CHANGE_SET_EXECUTE"}}},
		{Name: "TemplatePath", Form: ArtifactPath, Needed: &When{"ActionMode", []string{"CREATE_UPDATE", "REPLACE_ON_FAILURE", "CHANGE_SET_REPLACE"}}},
		{Name: "RoleArn", Form: RoleARN, Needed: &When{"ActionMode", []string{"CREATE_UPDATE", "REPLACE_ON_FAILURE", "DELETE_ONLY", "CHANGE_SET_REPLACE"}}},
		capabilities, {Name: "OutputFileName"}, {Name: "ParameterOverrides", Form: JSONObject, Max: 1024}, {Name: "TemplateConfiguration", Form: ArtifactPath},
	}},
	{Category: "Deploy", Owner: "AWS", Provider: "CloudFormationStackSet", In: Bounds{1, 3}, Out: none, rule: "CP-P13", Variables: stackSetVariables, Keys: []Key{
		required("StackSetName"), {Name: "TemplatePath", Required: true, Form: ArtifactPath}, {Name: "Description"}, {Name: "Parameters", Form: JSONText}, capabilities,
		{Name: "PermissionModel", Enum: []string{"SELF_MANAGED", "SERVICE_MANAGED"}, Default: "SELF_MANAGED"}, {Name: "AdministrationRoleArn", Form: RoleARN}, {Name: "ExecutionRoleName"},
		{Name: "OrganizationsAutoDeployment", Enum: []string{"Enabled", "Disabled", "EnabledWithStackRetention"}, Default: "Disabled"},
		{Name: "DeploymentTargets"}, {Name: "Regions"}, percentage("FailureTolerancePercentage"), percentage("MaxConcurrentPercentage"), callAs,
	}},
	{Category: "Deploy", Owner: "AWS", Provider: "CloudFormationStackInstances", In: Bounds{0, 3}, Out: none, rule: "CP-P13", Variables: stackSetVariables, Keys: []Key{
		required("StackSetName"), {Name: "DeploymentTargets"}, {Name: "Regions"}, {Name: "ParameterOverrides", Form: JSONText},
		percentage("FailureTolerancePercentage"), percentage("MaxConcurrentPercentage"), callAs,
	}},
	{Category: "Deploy", Owner: "AWS", Provider: "CodeDeploy", In: one, Out: none, Keys: []Key{required("ApplicationName"), required("DeploymentGroupName")}},
	{Category: "Deploy", Owner: "AWS", Provider: "CodeDeployToECS", In: oneToFive, Out: none, rule: "CP-P12", check: checkBlueGreen, Keys: []Key{
		required("ApplicationName"), required("DeploymentGroupName"), required("TaskDefinitionTemplateArtifact"), required("AppSpecTemplateArtifact"),
		{Name: "TaskDefinitionTemplatePath", Default: "taskdef.json"}, {Name: "AppSpecTemplatePath", Default: "appspec.yaml"},
		{Name: "Image1ArtifactName"}, {Name: "Image1ContainerName"}, {Name: "Image2ArtifactName"}, {Name: "Image2ContainerName"},
		{Name: "Image3ArtifactName"}, {Name: "Image3ContainerName"}, {Name: "Image4ArtifactName"}, {Name: "Image4ContainerName"},
	}},
	{Category: "Deploy", Owner: "AWS", Provider: "ECS", In: one, Out: none, rule: "CP-P11", Keys: []Key{
		required("ClusterName"), required("ServiceName"), {Name: "FileName", Default: "imagedefinitions.json"}, {Name: "DeploymentTimeout", Form: WholeNumber, Min: 1, Max: 60},
	}},
	{Category: "Deploy", Owner: "AWS", Provider: "EC2", In: one, Out: none, V2: true, rule: "CP-P14", check: checkEC2, Grows: true, Keys: []Key{
		required("InstanceTagKey"), {Name: "InstanceType", Required: true, Enum: []string{"EC2", "SSM_MANAGED_NODE"}}, {Name: "InstanceTagValue"},
		{Name: "TargetDirectory", Form: AbsolutePath}, {Name: "PreScript"}, {Name: "PostScript"}, {Name: "DeploySpec"},
		{Name: "MaxBatch", Form: Share}, {Name: "MaxError", Form: Share}, {Name: "TargetGroupNameList"},
	}},
	{Category: "Deploy", Owner: "AWS", Provider: "EKS", In: one, Out: none, V2: true, rule: "CP-P16", check: checkEKS, Grows: true, Fields: []string{"environmentVariables"}, Keys: []Key{
		required("ClusterName"), {Name: "HelmReleaseName"}, {Name: "HelmChartLocation"}, {Name: "HelmValuesFiles"}, {Name: "ManifestFiles"},
		{Name: "Namespace"}, {Name: "Subnets"}, {Name: "SecurityGroupIds"},
	}, Variables: []string{"EKSClusterName"}},
	{Category: "Deploy", Owner: "AWS", Provider: "Lambda", In: optional, Out: none, V2: true, rule: "CP-P15", check: checkLambda, Grows: true, Keys: []Key{
		required("FunctionName"), {Name: "FunctionAlias"}, {Name: "PublishedTargetVersion"},
		{Name: "DeployStrategy", Form: Strategy, Default: "AllAtOnce"}, {Name: "Alarms", Form: CommaList, Max: 10},
	}, Variables: []string{"FunctionVersion"}},
	{Category: "Deploy", Owner: "AWS", Provider: "ElasticBeanstalk", In: one, Out: none, Keys: []Key{required("ApplicationName"), required("EnvironmentName")}},
	{Category: "Deploy", Owner: "AWS", Provider: "OpsWorks", In: one, Out: none, Retired: "May 2024", Keys: []Key{required("Stack"), required("App"), {Name: "Layer"}}},
	{Category: "Deploy", Owner: "AWS", Provider: "ServiceCatalog", In: one, Out: none, Keys: []Key{
		required("ProductId"), {Name: "ConfigurationFilePath"}, {Name: "TemplateFilePath", Needed: withoutFile}, {Name: "ProductVersionName", Needed: withoutFile},
		{Name: "ProductType", Needed: withoutFile}, {Name: "ProductVersionDescription"},
	}},
	{Category: "Deploy", Owner: "AWS", Provider: "AppConfig", In: one, Out: none, Keys: []Key{
		required("Application"), required("Environment"), required("ConfigurationProfile"), required("InputArtifactConfigurationPath"), {Name: "DeploymentStrategy"},
	}},
	{Category: "Deploy", Owner: "ThirdParty", Provider: "AlexaSkillsKit", In: Bounds{0, 2}, Out: none, Keys: []Key{
		required("ClientId"), secret("ClientSecret"), secret("RefreshToken"), required("SkillId"),
	}},

	// Approvals, and what calls other services.
	{Category: "Approval", Owner: "AWS", Provider: "Manual", In: none, Out: none, rule: "CP-P10", Fields: []string{"timeoutInMinutes"}, Keys: []Key{
		{Name: "NotificationArn", Form: TopicARN}, {Name: "CustomData"}, {Name: "ExternalEntityLink"},
	}},
	{Category: "Invoke", Owner: "AWS", Provider: "Lambda", In: upToFive, Out: upToFive, AnyVariables: true, Keys: []Key{
		required("FunctionName"), {Name: "UserParameters", Form: JSONText},
	}},
	{Category: "Invoke", Owner: "AWS", Provider: "StepFunctions", In: optional, Out: optional, rule: "CP-P17", check: checkStepFunctions, Keys: []Key{
		required("StateMachineArn"), {Name: "ExecutionNamePrefix"}, {Name: "InputType", Enum: []string{"Literal", "FilePath"}, Default: "Literal"},
		{Name: "Input", Form: JSONText, Needed: &When{"InputType", []string{"FilePath"}}},
	}, Variables: []string{"StateMachineArn", "ExecutionArn"}},
	{Category: "Invoke", Owner: "AWS", Provider: "InspectorScan", In: optional, Out: one, rule: "CP-P20", Grows: true, Absent: []string{"cn-"}, check: checkInspector, Keys: []Key{
		{Name: "InspectorRunMode", Required: true, Enum: []string{"SourceCodeScan", "ECRImageScan"}},
		{Name: "ECRRepositoryName", Needed: imageScan, Only: imageScan}, {Name: "ImageTag", Only: imageScan},
		threshold("CriticalThreshold"), threshold("HighThreshold"), threshold("MediumThreshold"), threshold("LowThreshold"),
	}, Variables: []string{"HighestScannedSeverity"}},
	{Category: "Invoke", Owner: "AWS", Provider: "CodePipeline", In: none, Out: none, V2: true, Grows: true, Keys: []Key{
		required("PipelineName"), {Name: "SourceRevisions", Form: JSONList}, {Name: "Variables", Form: JSONList},
	}},

	// Rule types. They too are of owner AWS and version 1.
	{Category: "Rule", Owner: "AWS", Provider: "LambdaInvoke", Out: none, In: upToFive, Keys: []Key{required("FunctionName"), {Name: "UserParameters", Form: JSONText}}},
	{Category: "Rule", Owner: "AWS", Provider: "CloudWatchAlarm", Keys: []Key{
		required("AlarmName"), {Name: "AlarmStates", Form: CommaList, Enum: []string{"ALARM", "OK", "INSUFFICIENT_DATA"}}, {Name: "WaitTime", Form: WholeNumber},
	}},
	{Category: "Rule", Owner: "AWS", Provider: "DeploymentWindow", Keys: []Key{{Name: "Cron", Required: true, Form: Cron}, {Name: "TimeZone", Form: TimeZone, Default: "UTC"}}},
	{Category: "Rule", Owner: "AWS", Provider: "VariableCheck", Keys: []Key{
		{Name: "Operator", Required: true, Enum: []string{"EQ", "NE", "CONTAINS", "MATCHES"}}, required("Variable"), required("Value"),
	}},
	{Category: "Rule", Owner: "AWS", Provider: "CodeBuild", In: oneToFive, rule: "CP-P04", check: checkCodeBuild, Grows: true, Keys: buildKeys},
	{Category: "Rule", Owner: "AWS", Provider: "Commands", In: Bounds{0, 10}, check: checkCommands, rule: "CP-P09", Grows: true, Fields: []string{"commands"}, Keys: commandKeys},
}

var (
	none      = Bounds{0, 0}
	one       = Bounds{1, 1}
	optional  = Bounds{0, 1}
	upToFive  = Bounds{0, 5}
	oneToFive = Bounds{1, 5}

	flags        = []string{"true", "false"}
	polling      = Key{Name: "PollForSourceChanges", Enum: flags, Default: "true"}
	sourceFormat = Key{Name: "OutputArtifactFormat", Enum: []string{"CODE_ZIP", "CODEBUILD_CLONE_REF"}, Default: "CODE_ZIP"}
	capabilities = Key{Name: "Capabilities", Form: CommaList, Enum: []string{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}}
	callAs       = Key{Name: "CallAs", Enum: []string{"SELF", "DELEGATED_ADMIN"}}

	buildKeys = []Key{
		required("ProjectName"), {Name: "PrimarySource"}, boolean("BatchEnabled"), {Name: "CombineArtifacts", Enum: flags, Only: &When{"BatchEnabled", []string{"true"}}},
		{Name: "EnvironmentVariables", Form: Environment}, {Name: "BuildspecOverride"},
	}
	commandKeys = []Key{
		{Name: "EnvironmentType", Enum: []string{"LINUX_CONTAINER", "WINDOWS_SERVER_2022_CONTAINER"}},
		{Name: "ComputeType", Enum: []string{"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE"}},
		{Name: "VpcId"}, {Name: "Subnets"}, {Name: "SecurityGroupIds"},
	}

	commitVariables   = []string{"AuthorDate", "BranchName", "CommitId", "CommitMessage", "CommitterDate", "RepositoryName"}
	stackSetVariables = []string{"StackSetId", "OperationId"}

	always      = &When{} // no key is called "", so it is always absent
	withoutFile = &When{Key: "ConfigurationFilePath"}
	imageScan   = &When{"InspectorRunMode", []string{"ECRImageScan"}}

	// "CodeStarSourceConnection for Bitbucket Cloud, GitHub, … action reference".
	noConnections = []string{
		"ap-east-1", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-northeast-3", "af-south-1", "me-south-1", "me-central-1",
		"eu-south-2", "eu-central-2", "il-central-1", "us-gov-west-1",
	}
)

func required(name string) Key   { return Key{Name: name, Required: true} }
func secret(name string) Key     { return Key{Name: name, Required: true, Secret: true} }
func boolean(name string) Key    { return Key{Name: name, Enum: flags} }
func percentage(name string) Key { return Key{Name: name, Form: WholeNumber, Max: 100} }
func threshold(name string) Key  { return Key{Name: name, Form: WholeNumber} }
