# What TestTerraform applies. ENDPOINT stands for the emulator's address.
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "111122223333"
  secret_key                  = "x"
  skip_metadata_api_check     = true
  endpoints {
    codepipeline = "ENDPOINT"
    sts          = "ENDPOINT"
  }
  default_tags { tags = { team = "platform" } }
}

variable "project" { default = "web" }

resource "aws_codepipeline" "web" {
  name     = "web"
  role_arn = "arn:aws:iam::111122223333:role/pipelines"
  artifact_store {
    type     = "S3"
    location = "artifacts"
    encryption_key {
      id   = "arn:aws:kms:us-east-1:111122223333:alias/artifacts"
      type = "KMS"
    }
  }
  stage {
    name = "Source"
    action {
      name             = "Code"
      category         = "Source"
      owner            = "AWS"
      provider         = "S3"
      version          = "1"
      output_artifacts = ["Code"]
      configuration    = { S3Bucket = "code", S3ObjectKey = "web.zip", PollForSourceChanges = "false" }
    }
  }
  stage {
    name = "Build"
    action {
      name             = "Compile"
      category         = "Build"
      owner            = "AWS"
      provider         = "CodeBuild"
      version          = "1"
      input_artifacts  = ["Code"]
      output_artifacts = ["Site"]
      configuration    = { ProjectName = var.project }
    }
  }
  stage {
    name = "Deploy"
    action {
      name      = "Ask"
      category  = "Approval"
      owner     = "AWS"
      provider  = "Manual"
      version   = "1"
      run_order = 1
    }
    action {
      name            = "Release"
      category        = "Deploy"
      owner           = "AWS"
      provider        = "S3"
      version         = "1"
      run_order       = 2
      input_artifacts = ["Site"]
      configuration   = { BucketName = "site", Extract = "true" }
    }
  }
  tags = { project = var.project }
}

resource "aws_codepipeline" "api" {
  name           = "api"
  role_arn       = "arn:aws:iam::111122223333:role/pipelines"
  pipeline_type  = "V2"
  execution_mode = "QUEUED"
  artifact_store {
    type     = "S3"
    location = "artifacts-us"
    region   = "us-east-1"
  }
  artifact_store {
    type     = "S3"
    location = "artifacts-eu"
    region   = "eu-west-1"
  }
  variable {
    name          = "level"
    default_value = var.project
    description   = "what to build"
  }
  trigger {
    provider_type = "CodeStarSourceConnection"
    git_configuration {
      source_action_name = "Code"
      push {
        branches {
          includes = ["main"]
        }
        file_paths {
          includes = ["src/**"]
        }
      }
    }
  }
  stage {
    name = "Source"
    action {
      name             = "Code"
      category         = "Source"
      owner            = "AWS"
      provider         = "CodeStarSourceConnection"
      version          = "1"
      output_artifacts = ["Code"]
      namespace        = "SourceVariables"
      configuration = {
        ConnectionArn    = "arn:aws:codeconnections:us-east-1:111122223333:connection/4f2a8a1a-9b8e-4d56-9f0e-1c2d3e4f5a6b"
        FullRepositoryId = "acme/api"
        BranchName       = "main"
        DetectChanges    = "false"
      }
    }
  }
  stage {
    name = "Build"
    on_failure {
      result = "ROLLBACK"
    }
    action {
      name               = "Compile"
      category           = "Build"
      owner              = "AWS"
      provider           = "CodeBuild"
      version            = "1"
      region             = "eu-west-1"
      input_artifacts    = ["Code"]
      timeout_in_minutes = 20
      configuration      = { ProjectName = "api", EnvironmentVariables = jsonencode([{ name = "COMMIT", value = "#{SourceVariables.CommitId}" }]) }
    }
  }
}
