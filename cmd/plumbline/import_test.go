package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/sync"
)

// TestImportCorpus puts real documents into an emulator, imports them, and wants a plan in which nothing differs.
func TestImportCorpus(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpus/*.json")
	if len(files) == 0 {
		t.Skip("the corpus of real documents is not here")
	}
	server := httptest.NewServer(emulator.New(emulator.Options{Account: "111122223333"}))
	defer server.Close()
	live := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if body := createRequest(text, fmt.Sprintf("p%s", filepath.Base(file)[:3])); body != nil {
			if _, err := apiOf("111122223333", server.URL, "us-east-1", "CreatePipeline", string(body)); err == nil {
				live++
			}
		}
	}
	if live < 40 {
		t.Fatalf("the emulator took %d documents only", live)
	}
	for key, value := range settings(t.TempDir()) {
		t.Setenv(key, value)
	}
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("plumbline.yaml", []byte("source: {dir: pipelines}\nregions: [us-east-1]\naws: {requestsPerSecond: 1000, burst: 1000}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) (plan sync.Document, stdout []byte) {
		var out, errs bytes.Buffer
		run(t.Context(), args, &app{stdout: &out, stderr: &errs, getenv: os.Getenv, environ: os.Environ()})
		var reply struct {
			Pipelines []imported
			Plan      *sync.Document
		}
		if err := json.Unmarshal(out.Bytes(), &reply); err != nil {
			t.Fatalf("%s: %v\n%s", args, err, &errs)
		}
		for _, p := range reply.Pipelines {
			if p.Outcome == fileSkipped {
				t.Errorf("%s was left out: %s", p.Pipeline, p.Reason)
			}
		}
		return *reply.Plan, out.Bytes()
	}
	args := []string{"import", "--dir", "pipelines", "-o", "json",
		"--secret", "OAuthToken={{resolve:ssm-secure:a}}", "--secret", "ClientSecret={{resolve:ssm-secure:b}}", "--secret", "RefreshToken={{resolve:ssm-secure:c}}"}
	plan, _ := ask(args...)
	adopted, invalid := 0, 0
	for _, c := range plan.Changes {
		switch {
		case c.Verb == sync.Adopt && c.Hold == sync.HoldNone:
			adopted++
		case c.Hold == sync.HoldValidation: // the emulator takes more than our rules; the document is not at fault
			invalid++
		default:
			t.Errorf("%s: %s %s %s: %v", c.Pipeline, c.Verb, c.Hold, c.Reason, c.Edits)
		}
	}
	t.Logf("%d documents, of which %d can be adopted and %d have errors by our rules", live, adopted, invalid)
	if adopted+invalid != live || invalid > live/4 {
		t.Errorf("of %d pipelines, %d are to be adopted and %d are invalid", live, adopted, invalid)
	}
	before := texts(t)
	ask(args...)
	if diff := cmp.Diff(before, texts(t)); diff != "" {
		t.Errorf("a second import changed files (-before +after):\n%s", diff)
	}
	for name, text := range before {
		if strings.Contains(text, `"****"`) {
			t.Errorf("%s has a mask", name)
		}
	}
}

// createRequest makes a request of a document of the corpus, with a name of its own and secrets instead of masks.
func createRequest(text []byte, name string) []byte {
	var d map[string]any
	if json.Unmarshal(text, &d) != nil {
		return nil
	}
	if inner, ok := d["pipeline"].(map[string]any); ok {
		d = inner
	}
	d["name"] = name
	delete(d, "version")
	body, err := json.Marshal(map[string]any{"pipeline": d})
	if err != nil {
		return nil
	}
	return bytes.ReplaceAll(body, []byte(`"****"`), []byte(`"a-secret-of-theirs"`))
}

func texts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	files, err := filepath.Glob("pipelines/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[file] = string(text)
	}
	return found
}

// TestUniqueFileNames gives names that no system hides, mixes up or takes for a device.
func TestUniqueFileNames(t *testing.T) {
	names := []string{"CON", "Web", "a@b.c", ".dot", "-dash", "web", "web-2", "com1.x", "_.dot"}
	want := map[string]string{
		"CON": "_CON.json", "Web": "Web-3.json", "a@b.c": "a@b.c.json", ".dot": "_.dot-2.json", "-dash": "_-dash.json", "web": "web.json",
		"web-2": "web-2.json", "com1.x": "_com1.x.json", "_.dot": "_.dot.json",
	}
	if diff := cmp.Diff(want, uniqueFileNames(names)); diff != "" {
		t.Error(diff)
	}
}
