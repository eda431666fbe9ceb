package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// BenchmarkValidate puts validation beside a strict decode of the same bytes by encoding/json, which is into Go types,
// refusing members that they do not have. The budget is twice its time.
//
//	go test ./pipeline -run '^$' -bench Validate -cpu 1 -count 5
func BenchmarkValidate(b *testing.B) {
	b.Run("generated", func(b *testing.B) { benchmarkFiles(b, generate(10_000)) })
	b.Run("corpus", func(b *testing.B) {
		files := corpus(b)
		var good [][]byte
		for _, name := range slices.Sorted(maps.Keys(files)) {
			var file strictFile
			if f, _ := Parse(name, files[name]); f != nil && strictDecode(files[name], &file) == nil { // both read it to its end
				good = append(good, files[name])
			}
		}
		benchmarkFiles(b, good)
	})
}

func benchmarkFiles(b *testing.B, files [][]byte) {
	size := 0
	for _, data := range files {
		size += len(data)
	}
	run := func(name string, read func(data []byte) error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, data := range files {
					if err := read(data); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	validate := func(target Target) func([]byte) error {
		return func(data []byte) error {
			f, problems := Parse("f", data)
			if f == nil {
				return errors.New(problems[0].String())
			}
			f.For(target)
			return nil
		}
	}
	run("validate", validate(Target{}))
	run("validate_target", validate(Target{
		Name: "prod", Region: "eu-west-1", Account: "123456789012", Partition: "aws",
		Vars:  map[string]string{"env": "prod", "branch": "main"},
		Rules: map[string]Severity{"CP-R07": Warning, "CP-W01": Off},
	}))
	run("strict", func(data []byte) error {
		var file strictFile
		return strictDecode(data, &file)
	})
	run("any", func(data []byte) error {
		var v any
		return json.Unmarshal(data, &v)
	})
	run("tokens", func(data []byte) error {
		dec := jsontext.NewDecoder(bytes.NewBuffer(data))
		for {
			if _, err := dec.ReadToken(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
}

// strictDecode reads a file as Go programs commonly read one strictly.
func strictDecode(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows the document")
	}
	return nil
}

// strictFile is a document in either envelope.
type strictFile struct {
	Pipeline *strictPipeline `json:"pipeline"`
	Tags     []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	} `json:"tags"`
	Metadata struct {
		PipelineArn       string `json:"pipelineArn"`
		Created           any    `json:"created"` // a time as text or as seconds
		Updated           any    `json:"updated"`
		PollingDisabledAt any    `json:"pollingDisabledAt"`
	} `json:"metadata"`
	strictPipeline
}

type strictPipeline struct {
	Name           string                 `json:"name"`
	RoleArn        string                 `json:"roleArn"`
	ArtifactStore  *strictStore           `json:"artifactStore"`
	ArtifactStores map[string]strictStore `json:"artifactStores"`
	Stages         []strictStage          `json:"stages"`
	Version        int                    `json:"version"`
	ExecutionMode  string                 `json:"executionMode"`
	PipelineType   string                 `json:"pipelineType"`
	Triggers       []struct {
		ProviderType     string `json:"providerType"`
		GitConfiguration struct {
			SourceActionName string         `json:"sourceActionName"`
			Push             []strictFilter `json:"push"`
			PullRequest      []strictFilter `json:"pullRequest"`
		} `json:"gitConfiguration"`
	} `json:"triggers"`
	Variables []struct {
		Name         string `json:"name"`
		DefaultValue string `json:"defaultValue"`
		Description  string `json:"description"`
	} `json:"variables"`
}

type strictStore struct {
	Type          string `json:"type"`
	Location      string `json:"location"`
	EncryptionKey *struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"encryptionKey"`
}

type strictFilter struct {
	Events    []string     `json:"events"`
	Tags      *strictGlobs `json:"tags"`
	Branches  *strictGlobs `json:"branches"`
	FilePaths *strictGlobs `json:"filePaths"`
}

type strictGlobs struct {
	Includes []string `json:"includes"`
	Excludes []string `json:"excludes"`
}

type strictStage struct {
	Name     string `json:"name"`
	Blockers []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"blockers"`
	Actions     []strictAction `json:"actions"`
	OnFailure   *strictGate    `json:"onFailure"`
	OnSuccess   *strictGate    `json:"onSuccess"`
	BeforeEntry *strictGate    `json:"beforeEntry"`
}

type strictGate struct {
	Result             string `json:"result"`
	RetryConfiguration *struct {
		RetryMode string `json:"retryMode"`
	} `json:"retryConfiguration"`
	Conditions []struct {
		Result string       `json:"result"`
		Rules  []strictRule `json:"rules"`
	} `json:"conditions"`
}

type strictRule struct {
	Name             string            `json:"name"`
	RuleTypeID       strictType        `json:"ruleTypeId"`
	Configuration    map[string]string `json:"configuration"`
	Commands         []string          `json:"commands"`
	InputArtifacts   []strictArtifact  `json:"inputArtifacts"`
	RoleArn          string            `json:"roleArn"`
	Region           string            `json:"region"`
	TimeoutInMinutes int               `json:"timeoutInMinutes"`
}

type strictAction struct {
	Name                 string            `json:"name"`
	ActionTypeID         strictType        `json:"actionTypeId"`
	RunOrder             int               `json:"runOrder"`
	Configuration        map[string]string `json:"configuration"`
	Commands             []string          `json:"commands"`
	OutputArtifacts      []strictArtifact  `json:"outputArtifacts"`
	InputArtifacts       []strictArtifact  `json:"inputArtifacts"`
	OutputVariables      []string          `json:"outputVariables"`
	EnvironmentVariables []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
		Type  string `json:"type"`
	} `json:"environmentVariables"`
	RoleArn          string `json:"roleArn"`
	Region           string `json:"region"`
	Namespace        string `json:"namespace"`
	TimeoutInMinutes int    `json:"timeoutInMinutes"`
}

type strictType struct {
	Category string `json:"category"`
	Owner    string `json:"owner"`
	Provider string `json:"provider"`
	Version  string `json:"version"`
}

type strictArtifact struct {
	Name  string   `json:"name"`
	Files []string `json:"files"`
}

// generate returns files of the sizes and shapes that real ones have, the same for each run.
func generate(count int) [][]byte {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	files := make([][]byte, count)
	for i := range files {
		files[i] = g.file(fmt.Sprintf("service-%05d", i))
	}
	return files
}

type generator struct{ *rand.Rand }

// one is true once in n times.
func (g generator) one(n int) bool { return g.IntN(n) == 0 }

// m makes an object of names and values in turn.
func m(pairs ...any) *Node {
	o := NewObject()
	for pair := range slices.Chunk(pairs, 2) {
		value, ok := pair[1].(*Node)
		if !ok {
			value = NewString(pair[1].(string))
		}
		o.Members = append(o.Members, Member{Name: pair[0].(string), Value: value})
	}
	return o
}

func number(n int) *Node { return &Node{Kind: Number, Text: fmt.Sprint(n)} }

func (g generator) file(name string) []byte {
	account, suffix := "123456789012", ""
	if g.one(2) {
		account, suffix = "${target.account}", "-${var.env}"
	}
	p := m("name", name+suffix, "roleArn", "arn:aws:iam::"+account+":role/service-role/pipeline-"+name,
		"artifactStore", m("type", "S3", "location", "codepipeline-eu-west-1-"+account),
		"stages", g.stages(name, account))
	if g.one(2) {
		p.Set("executionMode", NewString("QUEUED"))
	}
	p.Set("pipelineType", NewString("V2"))
	if g.one(4) {
		p.Set("triggers", NewArray(m("providerType", "CodeStarSourceConnection", "gitConfiguration", m("sourceActionName", "Source",
			"push", NewArray(m("branches", m("includes", NewArray(NewString("main"), NewString("release/*"))), "filePaths", m("includes", NewArray(NewString("services/"+name+"/**")))))))))
	}
	if g.one(4) {
		p.Set("variables", NewArray(m("name", "level", "defaultValue", "info", "description", "How much the service logs"), m("name", "tag", "defaultValue", "latest")))
	}
	file := p
	switch g.IntN(3) {
	case 0: // as get-pipeline prints it
		p.Set("version", number(1+g.IntN(90)))
		file = m("pipeline", p, "metadata", m("pipelineArn", "arn:aws:codepipeline:eu-west-1:123456789012:"+name, "created", "2023-06-07T10:11:12.345000+00:00", "updated", "2024-01-02T03:04:05.678000+00:00"))
	case 1:
		file = m("pipeline", p, "tags", NewArray(m("key", "team", "value", "payments"), m("key", "cost-centre", "value", "4711")))
	}
	var out bytes.Buffer
	if err := json.Indent(&out, file.JSON(), "", []string{"  ", "    "}[g.IntN(2)]); err != nil {
		panic(err)
	}
	return append(out.Bytes(), '\n')
}

func (g generator) stages(name, account string) *Node {
	source := g.action("Source", "Source", "CodeStarSourceConnection", m(
		"ConnectionArn", "arn:aws:codestar-connections:eu-west-1:"+account+":connection/0aa1bb2c-3d4e-5f60-7182-93a4b5c6d7e8",
		"FullRepositoryId", "example/"+name, "BranchName", "main", "OutputArtifactFormat", "CODE_ZIP", "DetectChanges", "true"), "", "SourceArtifact")
	source.Set("namespace", NewString("SourceVariables"))
	stages := NewArray(m("name", "Source", "actions", NewArray(source)))

	builds := NewArray()
	for i := range 1 + g.IntN(1+g.IntN(3)) {
		config := m("ProjectName", fmt.Sprintf("%s-build-%d", name, i))
		if g.one(2) {
			config.Set("EnvironmentVariables", NewString(fmt.Sprintf(
				`[{"name":"STAGE","value":"build","type":"PLAINTEXT"},{"name":"COMMIT","value":"#{SourceVariables.CommitId}","type":"PLAINTEXT"},{"name":"TOKEN","value":"/%s/token","type":"PARAMETER_STORE"}]`, name)))
		}
		build := g.action(fmt.Sprintf("Build-%d", i), "Build", "CodeBuild", config, "SourceArtifact", fmt.Sprintf("BuildArtifact%d", i))
		build.Set("namespace", NewString(fmt.Sprintf("BuildVariables%d", i)))
		builds.Items = append(builds.Items, build)
	}
	stages.Items = append(stages.Items, m("name", "Build", "actions", builds))

	for _, environment := range []string{"dev", "test", "staging", "prod"}[:1+g.IntN(1+g.IntN(4))] {
		actions := NewArray()
		if environment == "prod" {
			actions.Items = append(actions.Items, g.action("Approve", "Approval", "Manual", m("CustomData", "Is commit #{SourceVariables.CommitId} ready to be released?"), "", ""))
		}
		deploy := g.deploy(name, account, environment)
		deploy.Set("runOrder", number(2))
		actions.Items = append(actions.Items, deploy)
		if g.one(3) {
			check := g.action("Smoke-test", "Test", "CodeBuild", m("ProjectName", name+"-smoke-"+environment), "SourceArtifact", "")
			check.Set("runOrder", number(3))
			actions.Items = append(actions.Items, check)
		}
		stage := m("name", "Deploy-"+environment, "actions", actions)
		if g.one(4) {
			stage.Set("onFailure", m("result", "ROLLBACK"))
		}
		if g.one(8) {
			stage.Set("beforeEntry", m("conditions", NewArray(m("result", "FAIL", "rules", NewArray(m("name", "Window",
				"ruleTypeId", m("category", "Rule", "owner", "AWS", "provider", "DeploymentWindow", "version", "1"),
				"configuration", m("Cron", "0 0 9-17 ? * MON-FRI *", "TimeZone", "Europe/Berlin")))))))
		}
		stages.Items = append(stages.Items, stage)
	}
	return stages
}

func (g generator) deploy(name, account, environment string) *Node {
	switch g.IntN(4) {
	case 0:
		return g.action("Deploy", "Deploy", "ECS", m("ClusterName", environment, "ServiceName", name, "FileName", "imagedefinitions.json"), "BuildArtifact0", "")
	case 1:
		return g.action("Deploy", "Deploy", "S3", m("BucketName", name+"-"+environment, "Extract", "true"), "BuildArtifact0", "")
	case 2:
		return g.action("Deploy", "Invoke", "Lambda", m("FunctionName", "deploy-"+environment, "UserParameters", `{"service":"`+name+`","commit":"#{SourceVariables.CommitId}"}`), "BuildArtifact0", "")
	}
	return g.action("Deploy", "Deploy", "CloudFormation", m("ActionMode", "CREATE_UPDATE", "StackName", name+"-"+environment, "Capabilities", "CAPABILITY_IAM,CAPABILITY_AUTO_EXPAND",
		"RoleArn", "arn:aws:iam::"+account+":role/cloudformation-deploy", "TemplatePath", "BuildArtifact0::packaged.yaml",
		"ParameterOverrides", `{"Stage":"`+environment+`","Image":{"Fn::GetParam":["BuildArtifact0","image.json","uri"]}}`), "BuildArtifact0", "")
}

func (g generator) action(name, category, provider string, configuration *Node, input, output string) *Node {
	inputs, outputs := NewArray(), NewArray()
	if input != "" {
		inputs.Items = append(inputs.Items, m("name", input))
	}
	if output != "" {
		outputs.Items = append(outputs.Items, m("name", output))
	}
	a := m("name", name, "actionTypeId", m("category", category, "owner", "AWS", "provider", provider, "version", "1"),
		"runOrder", number(1), "configuration", configuration, "outputArtifacts", outputs, "inputArtifacts", inputs)
	if g.one(2) {
		a.Set("region", NewString("eu-west-1"))
	}
	return a
}

// TestGenerate checks that the benchmark's files are what it takes them for: good, and of the usual size.
func TestGenerate(t *testing.T) {
	size := 0
	files := generate(200)
	for _, data := range files {
		size += len(data)
		if _, problems := check("f.json", data, Target{Name: "prod", Region: "eu-west-1", Vars: map[string]string{"env": "prod"}}); HasErrors(problems) {
			t.Fatalf("%v\n%s", problems, data)
		}
		var file strictFile
		if err := strictDecode(data, &file); err != nil {
			t.Fatal(err)
		}
	}
	if average := size / len(files); average < 3000 || average > 6000 {
		t.Errorf("the files have %d bytes on average; real ones have about 4,200", average)
	}
}
