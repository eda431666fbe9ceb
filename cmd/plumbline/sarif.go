package main

import (
	"net/url"
	"path/filepath"

	"github.com/plumbline/plumbline/pipeline"
)

// The part of SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format") that code scanning services read.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string     `json:"id"`
		ShortDescription sarifText  `json:"shortDescription"`
		FullDescription  *sarifText `json:"fullDescription,omitempty"`
		HelpURI          string     `json:"helpUri"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
)

const (
	home      = "https://github.com/plumbline/plumbline"
	rulesPage = home + "/blob/main/docs/rules.md"
)

// sarif returns problems as a SARIF log with the rules that they name.
func sarif(problems []pipeline.Problem) sarifLog {
	version, _ := buildVersion()
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "plumbline", Version: version, InformationURI: home, Rules: []sarifRule{}}
	index := map[string]int{}
	for _, p := range problems {
		i, known := index[p.Rule]
		if !known {
			i = len(index)
			index[p.Rule] = i
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(p.Rule))
		}
		location := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: filepath.ToSlash(p.File)}).String()}}}
		if p.Line > 0 {
			location.Physical.Region = &sarifRegion{p.Line, p.Column}
		}
		if p.Path != "" {
			location.Logical = []sarifLogical{{p.Path}}
		}
		run.Results = append(run.Results, sarifResult{p.Rule, i, string(p.Severity), sarifText{told(p)}, []sarifLocation{location}})
	}
	return sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}

func sarifRuleOf(id string) sarifRule {
	rule := pipeline.RuleOf(id)
	r := sarifRule{ID: id, ShortDescription: sarifText{rule.Title}, HelpURI: rulesPage + "#" + anchor(id)}
	if rule.Why != "" {
		r.FullDescription = &sarifText{rule.Why}
	}
	return r
}
