package pipeline

import (
	"slices"
	"strings"
)

// Regions are the AWS Regions in which the service exists, from the General Reference page "AWS CodePipeline
// endpoints and quotas" and the SDKs' endpoint tables. Such tables age: a rule severity lets a region that is
// newer than this list through (rules: {CP-F12: warning}), and the region of a configured target always is one.
var Regions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
	"eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2",
	"ap-south-1", "ap-south-2", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
	"ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6",
	"af-south-1", "il-central-1", "me-south-1", "me-central-1",
	"cn-north-1", "cn-northwest-1",
	"us-gov-west-1", "us-gov-east-1",
	"us-isof-east-1", "us-isof-south-1",
}

// Partition returns the AWS partition of a region.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case strings.HasPrefix(region, "us-isof-"):
		return "aws-iso-f"
	}
	return "aws"
}

func isRegion(name string) bool { return slices.Contains(Regions, name) }
