package web_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/web"
)

var update = flag.Bool("update", false, "write openapi.json anew")

type object = map[string]any

// endpoints are the paths of the API, with what they take and answer.
var endpoints = []struct {
	method, path, summary string
	query                 []string
	body                  bool
	answer                any
}{
	{"get", "/api/v1/status", "Everything that the latest passes found. Has an ETag.", nil, false, web.Status{}},
	{"get", "/api/v1/pipelines", "Pipelines, the whole fleet or those that q leaves.", []string{"q", "limit"}, false, struct {
		Total     int                   `json:"total"`
		Pipelines []web.PipelineSummary `json:"pipelines"`
	}{}},
	{"get", "/api/v1/pipelines/{target}/{name}", "One pipeline with its stages, executions, differences and what its file says.", nil, false, web.PipelineDocument{}},
	{"get", "/api/v1/targets", "Targets: what was seen of them, and what that cost of the allowance of requests.", nil, false, struct {
		Targets []web.TargetSummary `json:"targets"`
	}{}},
	{"get", "/api/v1/executions", "The last executions, newest first.", []string{"q", "limit"}, false, struct {
		Executions []web.ExecutionDocument `json:"executions"`
	}{}},
	{"get", "/api/v1/history", "What the journal has of changes and of people's words, newest first.", []string{"target", "pipeline", "limit"}, false, struct {
		History []web.HistoryDocument `json:"history"`
	}{}},
	{"get", "/api/v1/events", "Server-sent events: event version each time that something is new, and now and then event looked with when each target was looked at.", nil, false, nil},
	{"get", "/api/v1/openapi.json", "This document.", nil, false, nil},
	{"post", "/api/v1/refresh", "Look at every source and every target now.", nil, true, nil},
	{"post", "/api/v1/suspend", "Have nothing written to a pipeline, a target or all of them.", nil, true, nil},
	{"post", "/api/v1/resume", "Have it written again.", nil, true, nil},
	{"post", "/api/v1/revert", "Put back what somebody changed in one pipeline.", nil, true, nil},
}

var parameters = map[string]string{
	"q": "A filter as on the pages, such as state:drifted target:prod-* -name:legacy-*", "limit": "At most so many, 1 to 1000.",
	"target": "Only of this target.", "pipeline": "Only of pipelines of this name.",
}

// schemaOf describes a Go type as JSON Schema.
func schemaOf(t reflect.Type, named object) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[*pipeline.Node]():
		return object{"description": "any JSON"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), named)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), named)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem(), named)}
	case reflect.Struct:
		if t.Name() != "" {
			if named[t.Name()] == nil {
				named[t.Name()] = object{} // it may hold itself
				named[t.Name()] = structOf(t, named)
			}
			return object{"$ref": "#/components/schemas/" + t.Name()}
		}
		return structOf(t, named)
	}
	panic("no schema for " + t.String())
}

func structOf(t reflect.Type, named object) object {
	members, required := object{}, []string{}
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && name == "":
				add(f.Type)
			case name == "" || name == "-":
			default:
				members[name] = schemaOf(f.Type, named)
				if !strings.Contains(options, "omit") {
					required = append(required, name)
				}
			}
		}
	}
	add(t)
	slices.Sort(required)
	return object{"type": "object", "properties": members, "required": required}
}

func makeOpenAPI() object {
	named, paths := object{}, object{}
	answer := func(text string, schema object) object {
		a := object{"description": text}
		if schema != nil {
			a["content"] = object{"application/json": object{"schema": schema}}
		}
		return a
	}
	wrong := object{"type": "object", "properties": object{"error": object{"type": "string"}}, "required": []string{"error"}}
	for _, e := range endpoints {
		op := object{"summary": e.summary, "operationId": strings.NewReplacer("/api/v1/", e.method+"-", "/{target}/{name}", "-one", ".json", "").Replace(e.path)}
		var params []object
		for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(e.path, -1) {
			params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
		}
		for _, q := range e.query {
			kind := "string"
			if q == "limit" {
				kind = "integer"
			}
			params = append(params, object{"name": q, "in": "query", "description": parameters[q], "schema": object{"type": kind}})
		}
		if params != nil {
			op["parameters"] = params
		}
		if e.body {
			op["security"] = []object{{"token": []string{}}}
			op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": object{
				"type": "object", "required": []string{"reason"}, "additionalProperties": false,
				"properties": object{
					"target":   object{"type": "string", "description": "absent for all"},
					"pipeline": object{"type": "string", "description": "absent for all of the target; revert needs one"},
					"reason":   object{"type": "string", "maxLength": 500},
					"for":      object{"type": "string", "description": "of suspend: how long, such as 2h; absent until somebody resumes"},
				},
			}}}}
			op["responses"] = object{
				"202": answer("It is written down, and done with the next pass.", object{"type": "object", "properties": object{"done": object{"type": "string"}}}),
				"400": answer("Something is missing or wrong in the request.", wrong), "401": answer("Without the right token.", wrong),
				"403": answer("Nobody may act here, or a page of another origin asked.", wrong), "404": answer("No such target or pipeline.", wrong), "409": answer("There is nothing to do.", wrong),
			}
		} else {
			var schema object
			if e.answer != nil {
				schema = schemaOf(reflect.TypeOf(e.answer), named)
			}
			responses := object{"200": answer("OK", schema)}
			if params != nil {
				responses["400"] = answer("A parameter is wrong.", wrong)
			}
			if strings.Contains(e.path, "{") {
				delete(responses, "400")
				responses["404"] = answer("No such pipeline in that target.", wrong)
			}
			op["responses"] = responses
		}
		item, _ := paths[e.path].(object)
		if item == nil {
			item = object{}
			paths[e.path] = item
		}
		item[e.method] = op
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "plumbline", "version": "1", "description": "What a running plumbline knows, and the few things that people may ask it to do. Times are RFC 3339 in UTC. Members may be added; none is renamed or removed without a new path."},
		"paths":   paths,
		"components": object{
			"schemas":         named,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "the content of web.tokenFile"}},
		},
	}
}

// TestOpenAPI compares the document with the types, and both with what the handler does.
func TestOpenAPI(t *testing.T) {
	want, err := json.MarshalIndent(makeOpenAPI(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("written; build again to see it in the binary")
	}
	d := newDesk(nil)
	if got := get(d, "/api/v1/openapi.json").Body.String(); got != string(want) {
		t.Error("openapi.json is not what the types make: go test ./web -run TestOpenAPI -update")
	}
	for _, e := range endpoints {
		path := strings.NewReplacer("{target}", "prod-us", "{name}", "frontend").Replace(e.path)
		if e.path == "/api/v1/events" {
			continue // does not end
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(strings.ToUpper(e.method), path, strings.NewReader("{}")))
		if code := map[bool]int{false: http.StatusOK, true: http.StatusUnauthorized}[e.body]; w.Code != code && (!e.body || w.Code != 400) {
			t.Errorf("%s %s: %d %s", e.method, path, w.Code, w.Body)
		}
		if e.answer == nil || e.body {
			continue
		}
		decoder := json.NewDecoder(w.Body)
		decoder.DisallowUnknownFields()
		if e.path == "/api/v1/status" || strings.Contains(e.path, "{") {
			continue // these hold values of any JSON, which have a reader of their own
		}
		if err := decoder.Decode(reflect.New(reflect.TypeOf(e.answer)).Interface()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestLists asks for parts of lists.
func TestLists(t *testing.T) {
	d := newDesk(nil)
	for query, want := range map[string]string{
		"pipelines?q=state:drifted&limit=1":         `"total":2,"pipelines":[{`,
		"pipelines?q=state:failed":                  `"attention":"Deploy/Release: ConfigurationError: No bucket with the name code-bucket-01 was found (2 times in a row)"`,
		"pipelines?q=target:prod-eu+-state:unknown": `{"total":0,"pipelines":[]}`,
		"pipelines?q=API+region:us-*":               `"total":1`,
		"pipelines?q=run:failed":                    `"total":1,"pipelines":[{"target":"prod-us","account":"111122223333","region":"us-east-1","name":"frontend"`,
		"pipelines?q=account:1111*+-account:*3333":  `"total":0`,
		"pipelines?q=ownership:foreign":             `"total":1,"pipelines":[{"target":"prod-us","account":"111122223333","region":"us-east-1","name":"mobile"`,
		"pipelines?q=file:*/checkout.json":          `"total":1`,
		"pipelines?q=state:suspended":               `"name":"orders"`,
		"pipelines?q=state:closed":                  `"name":"api"`,
		"executions?q=name:frontend&limit=1":        `"message":"No bucket with the name code-bucket-01 was found"`,
		"executions?q=name:none":                    `{"executions":[]}`,
		"history?pipeline=none":                     `{"history":[]}`,
		"targets":                                   `"requestsToCodePipeline":{"perSecond":3,"burst":10,"rate":0.75,"waiting":4,"seconds":600,"apply":12,"drift":310,"executions":640,"throttled":7,"lastThrottled":"`,
		"pipelines/prod-us/notify":                  `"approvalPending":true`,
	} {
		if w := get(d, "/api/v1/"+query); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d, no %s in %.300s", query, w.Code, want, w.Body)
		}
	}
	for query, want := range map[string]string{
		"pipelines?q=colour:red": "colour: is no key", "pipelines?limit=0": "from 1 to 1000", "executions?limit=x": "from 1 to 1000", "pipelines/prod-us/none": "no such pipeline",
	} {
		if w := get(d, "/api/v1/"+query); w.Code < 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d, no %s in %.300s", query, w.Code, want, w.Body)
		}
	}
}

// TestBadges draws them.
func TestBadges(t *testing.T) {
	d := newDesk(nil)
	for path, want := range map[string]string{"/badge.svg": "8 of 16 need you", "/badges/prod-us/api.svg": "synced", "/badges/prod-us/frontend.svg": "failed"} {
		w := get(d, path)
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) || w.Header().Get("Content-Type") != "image/svg+xml" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/badges/prod-us/none.svg", "/badges/prod-us/api", "/badges/none/api.svg"} {
		if w := get(d, path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
