package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// faultWords are those of a small emulator.
var faultWords = FaultWords{
	Actions: []string{"delay", "error", "hang"}, Operations: []string{"GetPipeline", "UpdatePipeline"},
	Check: func(r FaultRule) error {
		if r.Action == "delay" && r.Delay == 0 {
			return errors.New("delay wants a delay")
		}
		return nil
	},
}

// TestFaultFileFaults shows every message that is not one of configurations as well.
func TestFaultFileFaults(t *testing.T) {
	for text, want := range map[string]string{
		"# nothing\n": `
faults.yaml:1:1: the file is empty
  hint: a small useful file has one line, faults: [{operation: GetPipeline, action: error}]`,
		"faults: []":                          `faults.yaml:1:9: faults: the list is empty`,
		"fault: [{action: error}]":            `faults.yaml:1:1: unknown key "fault"` + "\n" + `  hint: did you mean "faults"?`,
		"faults:\n- operation: GetPipeline\n": "faults.yaml:2:3: faults[0]: has no action\n  hint: action says what goes wrong, for instance error, delay or commit-then-drop",
		"faults:\n- action: explode\n":        `faults.yaml:2:11: faults[0].action: "explode" is none of delay, error, hang`,
		"faults:\n- action: eror\n":           `faults.yaml:2:11: faults[0].action: "eror" is none of delay, error, hang` + "\n" + `  hint: did you mean "error"?`,
		"faults:\n- action: delay\n":          `faults.yaml:2:11: faults[0].action: delay wants a delay`,
		"faults:\n- operation: UpdatePipelin\n  action: error\n": `
faults.yaml:2:14: faults[0].operation: the emulator has no operation "UpdatePipelin"
  hint: did you mean "UpdatePipeline"?`,
		"faults:\n- {action: error, probability: 1.5}\n": `
faults.yaml:2:32: faults[0].probability: want a number above 0 and up to 1, have 1.5
  hint: 0.1 is one call in ten`,
		"faults:\n- {action: delay, delay: -0s}\n": `
faults.yaml:2:26: faults[0].delay: "-0s" is no duration, or it is 0
  hint: write it like 20s, 1m, 1h30m or 1d`,
		"faults:\n- {action: error, status: 200}\n": `faults.yaml:2:27: faults[0].status: want a whole number from 400 to 599, have 200`,
		"variants: {customActions: [Jenkins]}": `
faults.yaml:1:28: variants.customActions[0]: "Jenkins" is no custom action type
  hint: write it as Category/Provider/Version, for instance Build/Jenkins/1`,
	} {
		_, err := parseFaults("faults.yaml", []byte(text), faultWords)
		if diff := cmp.Diff(strings.TrimSpace(want), fmt.Sprint(err)); diff != "" {
			t.Errorf("%s\n(-want +got):\n%s", text, diff)
		}
	}
}

// TestFaultFile reads a file in which everything is set, and JSON.
func TestFaultFile(t *testing.T) {
	f, err := parseFaults("faults.yaml", []byte(`
variants:
  createOnUpdate: true
  keepVersion: true
  refuseAbsent: true
  failOnUpdate: true
  keepType: true
  noDefaultTrigger: true
  keepUnknown: true
  defaultType: V2
  trailDelay: 15m
  customActions: [Build/Jenkins/1 ProjectName*?]
faults:
  - operation: UpdatePipeline
    account: "111122223333"
    region: eu-west-1
    pipeline: web
    nth: 2
    count: 3
    probability: 0.5
    seed: 7
    action: delay
    code: Custom
    message: text
    status: 503
    delay: -10m
    writes: 2
    rate: 0.5
    burst: 4
    tags: {by: them, none: ""}
`), faultWords)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []reflect.Value{reflect.ValueOf(f.Variants), reflect.ValueOf(f.Faults[0])} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%s is not read", v.Type().Field(i).Name)
			}
		}
	}
	if rule := f.Faults[0]; rule.Delay != -10*time.Minute || rule.Tags["by"] != "them" || len(rule.Tags) != 2 {
		t.Errorf("%+v", rule)
	}
	f, err = parseFaults("faults.json", []byte(`{"faults": [{"action": "hang", "nth": 1}, {"action": "error"}]}`), faultWords)
	if err != nil || len(f.Faults) != 2 || f.Faults[0].Nth != 1 {
		t.Errorf("JSON: %+v, %v", f, err)
	}
}
