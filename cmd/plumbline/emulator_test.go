package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/emulator"
)

// TestEmulatorFaults serves with the file of the guide, and with one that has a mistake.
func TestEmulatorFaults(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```yaml\n(# faults.yaml\n.*?)```").FindSubmatch(guide)
	if example == nil {
		t.Fatal("the guide has no example of a file of faults")
	}
	p := newPerson(t)
	p.write("faults.yaml", string(example[1]))
	url := serveEmulator(t, "--faults", "faults.yaml")
	var codes []string
	for range 5 {
		r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"name":"web"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "CodePipeline_20150709.GetPipeline")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20260301/us-east-1/codepipeline/aws4_request, SignedHeaders=host, Signature=0")
		reply, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(reply.Body)
		if err := errors.Join(err, reply.Body.Close()); err != nil {
			t.Fatal(err)
		}
		codes = append(codes, reply.Header.Get("X-Amzn-Errortype"))
		if len(codes) == 3 && !strings.Contains(string(body), "not today") {
			t.Errorf("the refusal says %s", body)
		}
	}
	const absent, denied = "PipelineNotFoundException", "AccessDeniedException"
	if want := []string{absent, absent, denied, denied, absent}; !reflect.DeepEqual(codes, want) {
		t.Errorf("replies are %q, want %q", codes, want)
	}
	p.write("faults.yaml", "faults:\n  - operation: GetPipline\n    action: hang\n")
	mustMatch(t, p.plumbline(exitError, "emulator", "--faults", "faults.yaml"), `faults.yaml:2:16: faults\[0\].operation: the emulator has no operation "GetPipline"\n +hint: did you mean "GetPipeline"`)
	p.write("faults.yaml", "faults:\n  - action: token-bucket\n")
	mustMatch(t, p.plumbline(exitError, "emulator", "--faults", "faults.yaml"), `faults.yaml:2:13: faults\[0\].action: a token-bucket wants a rate`)
	mustMatch(t, p.plumbline(exitError, "emulator", "--faults", "none.yaml"), `none.yaml: no such file`)
}

// TestFaultFilesSayEverything wants every field of a fault, and every variant, to be one that a file can set.
func TestFaultFilesSayEverything(t *testing.T) {
	var rule config.FaultRule
	fill(reflect.ValueOf(&rule).Elem())
	fault := reflect.ValueOf(faultOf(rule))
	for i := range fault.NumField() {
		if fault.Field(i).IsZero() {
			t.Errorf("no file can set %s of a fault", fault.Type().Field(i).Name)
		}
	}
	var variants config.Variants
	fill(reflect.ValueOf(&variants).Elem())
	opts := reflect.ValueOf(withVariants(emulator.Options{}, variants))
	flags := []string{"Account", "Now", "Speed", "ActionDuration", "AutoApprove", "Seed", "OnEffect"} // and what only tests choose
	for i := range opts.NumField() {
		name := opts.Type().Field(i).Name
		if opts.Field(i).IsZero() != strings.Contains(strings.Join(flags, " "), name) {
			t.Errorf("the option %s is set by a file of faults, or by a flag, and not by both", name)
		}
	}
	// The guide has a row for each.
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "guide.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range emulator.FaultActions() {
		if !regexp.MustCompile("(?m)^\\|.*`" + action + "`.* \\|").Match(guide) {
			t.Errorf("the guide does not tell of %s", action)
		}
	}
}

// fill gives every field of a struct a value that is not zero.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.String:
			f.SetString("x")
		case reflect.Int, reflect.Int64:
			f.SetInt(1)
		case reflect.Float64:
			f.SetFloat(1)
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case reflect.Map:
			f.Set(reflect.MakeMap(f.Type()))
		default:
			panic(f.Kind())
		}
	}
}
