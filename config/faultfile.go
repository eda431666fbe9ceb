package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// FaultFile is what an emulator is told to do wrong, and to do otherwise. The emulator knows what it all means.
type FaultFile struct {
	Variants Variants
	Faults   []FaultRule
}

// Variants are what the service may do, where nobody knows or sources disagree.
type Variants struct {
	CreateOnUpdate, KeepVersion, RefuseAbsent, FailOnUpdate, KeepType, NoDefaultTrigger, KeepUnknown bool

	DefaultType   string
	TrailDelay    time.Duration
	CustomActions []string
}

// FaultRule is one fault and the calls that it hits.
type FaultRule struct {
	Operation, Account, Region, Pipeline string

	Nth, Count  int
	Probability float64
	Seed        int64

	Action        string
	Code, Message string
	Status        int
	Delay         time.Duration
	Writes        int
	Rate          float64
	Burst         int
	Tags          map[string]string
}

// FaultWords are what the emulator knows of faults.
type FaultWords struct {
	Actions, Operations []string

	Check func(FaultRule) error // says why a fault cannot be
}

const smallestFaults = "a small useful file has one line, faults: [{operation: GetPipeline, action: error}]"

// LoadFaults reads a file of faults as strictly as Load reads a configuration, with the same errors.
func LoadFaults(path string, words FaultWords) (*FaultFile, error) {
	data, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the faults: %w", err)
	}
	return parseFaults(path, data, words)
}

func parseFaults(path string, data []byte, words FaultWords) (*FaultFile, error) {
	d := &decoder{origins: origins{file: path, places: map[string]place{}}}
	var f FaultFile
	if root := d.tree(data, smallestFaults); root != nil {
		f.keys(words).read(d, "", root)
	}
	if len(d.faults) == 0 { // what does not go together is told of what is right by itself
		for i, rule := range f.Faults {
			d.checkRule(fmt.Sprintf("faults[%d]", i), rule, words)
		}
	}
	if len(d.faults) > 0 {
		return nil, &Error{Faults: sortFaults(d.faults)}
	}
	return &f, nil
}

func (d *decoder) checkRule(at string, rule FaultRule, words FaultWords) {
	if rule.Action == "" {
		d.faultAt(at, "has no action", "action says what goes wrong, for instance error, delay or commit-then-drop")
	} else if err := words.Check(rule); err != nil {
		d.faultAt(at+".action", err.Error(), "")
	}
}

func (f *FaultFile) keys(words FaultWords) keys {
	v := &f.Variants
	return keys{
		"variants": keys{
			"createOnUpdate":   boolean(&v.CreateOnUpdate),
			"keepVersion":      boolean(&v.KeepVersion),
			"refuseAbsent":     boolean(&v.RefuseAbsent),
			"failOnUpdate":     boolean(&v.FailOnUpdate),
			"keepType":         boolean(&v.KeepType),
			"noDefaultTrigger": boolean(&v.NoDefaultTrigger),
			"keepUnknown":      boolean(&v.KeepUnknown),
			"defaultType":      oneOf(&v.DefaultType, "V1", "V2"),
			"trailDelay":       duration(&v.TrailDelay),
			"customActions":    listOf(&v.CustomActions, func(s *string) value { return text(s, isCustomAction) }),
		},
		"faults": listOf(&f.Faults, func(rule *FaultRule) value { return rule.keys(words) }),
	}
}

func (f *FaultRule) keys(words FaultWords) value {
	return keys{
		"operation":   text(&f.Operation, isOperation(words.Operations)),
		"account":     text(&f.Account, isAccount),
		"region":      text(&f.Region, isRegion),
		"pipeline":    text(&f.Pipeline),
		"nth":         count(&f.Nth),
		"count":       count(&f.Count),
		"probability": share(&f.Probability),
		"seed":        whole(&f.Seed, "want a whole number, 0 or more", 0, math.MaxInt64),
		"action":      oneOf(&f.Action, words.Actions...),
		"code":        text(&f.Code),
		"message":     text(&f.Message),
		"status":      whole(&f.Status, "want a whole number from 400 to 599", 400, 599),
		"delay":       signed(&f.Delay),
		"writes":      count(&f.Writes),
		"rate":        rate(&f.Rate),
		"burst":       count(&f.Burst),
		"tags": dict{func(string) error { return nil }, func(key string) value {
			return mapItem(&f.Tags, key, func(dst *string) scalar { return optionalText(dst) })
		}},
	}
}

func isOperation(known []string) check {
	return func(s string) error {
		if !slices.Contains(known, s) {
			return &complaint{fmt.Sprintf("the emulator has no operation %q", s), didYouMean(s, known)}
		}
		return nil
	}
}

func isCustomAction(s string) error {
	id, _, _ := strings.Cut(s, " ")
	if strings.Count(id, "/") != 2 {
		return &complaint{fmt.Sprintf("%q is no custom action type", s), "write it as Category/Provider/Version, for instance Build/Jenkins/1"}
	}
	return nil
}

// share is a part of all, above zero.
func share(dst *float64) scalar {
	s := rate(dst)
	set := s.set
	s.set = func(text string) error {
		if err := set(text); err != nil || *dst > 1 {
			return &complaint{fmt.Sprintf("want a number above 0 and up to 1, have %s", text), "0.1 is one call in ten"}
		}
		return nil
	}
	return s
}

// signed is a duration that may be below zero.
func signed(dst *time.Duration) scalar {
	s := duration(dst)
	set := s.set
	s.set = func(text string) error {
		positive, negative := strings.CutPrefix(text, "-")
		err := set(positive)
		if negative {
			*dst = -*dst
		}
		if c, ok := errors.AsType[*complaint](err); ok {
			return &complaint{fmt.Sprintf("%q is no duration, or it is 0", text), c.hint}
		}
		return err
	}
	return s
}
