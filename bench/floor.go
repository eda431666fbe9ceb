package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	"golang.org/x/sync/errgroup"
)

// inFlight is how many calls the floor has under way.
const inFlight = 16

func floorVersion(context.Context, *bench) (string, error) {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, m := range info.Deps {
			if m.Path == "github.com/aws/aws-sdk-go-v2/service/codepipeline" {
				return m.Path + " " + m.Version + ", " + info.GoVersion, nil
			}
		}
	}
	return "github.com/aws/aws-sdk-go-v2/service/codepipeline", nil
}

// floor makes pipelines as the files of a folder say, with the SDK and nothing else: no listing, no record, no checks.
// Their folders are called as
// their regions. purpose is create, check, which is an error where something differs, or sync.
func floor(ctx context.Context, purpose, dir string) error {
	client := codepipeline.New(codepipeline.Options{
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL")),
		Credentials:  credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		// More attempts than the usual ones: with those it gives up where calls are throttled.
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.RateLimiter = 100, ratelimit.None }),
	})
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, file := range files {
		group.Go(func() error { return floorOne(ctx, client, purpose, file) })
	}
	return group.Wait()
}

func floorOne(ctx context.Context, client *codepipeline.Client, purpose, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var wanted struct{ Pipeline *types.PipelineDeclaration }
	if err := json.Unmarshal(data, &wanted); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	in := func(o *codepipeline.Options) { o.Region = filepath.Base(filepath.Dir(file)) }
	if purpose == "create" {
		_, err := client.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: wanted.Pipeline}, in)
		return err
	}
	live, err := client.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: wanted.Pipeline.Name}, in)
	if err != nil {
		return err
	}
	live.Pipeline.Version = nil
	have, err := json.Marshal(live.Pipeline)
	if err != nil {
		return err
	}
	want, err := json.Marshal(wanted.Pipeline)
	if err != nil || bytes.Equal(have, want) {
		return err
	}
	if purpose == "check" {
		return fmt.Errorf("%s differs:\n%s\n%s", file, have, want)
	}
	_, err = client.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: wanted.Pipeline}, in)
	return err
}
