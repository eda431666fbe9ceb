package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/source"
)

// The targets of the shop: the fleet that the demo's page opens on. It has every state that a pipeline can be in; the second
// one cannot be seen.
const (
	shopSeen, shopRegion         = "shop-us", "us-west-2"
	shopUnseen, shopRegionUnseen = "shop-ap", "ap-southeast-2"
)

// shopStates are searches of the page that find something each, once the shop is as it is meant to be.
var shopStates = []string{
	"name:catalog state:synced", "name:search state:invalid", "name:mailer state:missing", "name:payments state:drifted",
	"name:invoices state:failing", "name:nightly state:failed", "name:stickers state:held", "name:labels state:extra",
	"name:checkout state:approval", "name:docs state:pending", "name:kiosk state:running", "name:gifts state:closed",
	"name:pricing state:fighting state:drifted", "name:orders state:suspended", "name:mobile state:foreign", "name:legacy-import state:unmanaged",
	"target:" + shopUnseen + " state:unknown",
}

// shopOutcomes are how the executions of the shop go; those of others succeed.
var shopOutcomes = []emulator.Outcome{
	{Pipeline: "catalog", Status: "Succeeded", Duration: 50 * time.Millisecond, MaxDuration: 700 * time.Millisecond},
	{Pipeline: "nightly", Stage: "Build", Status: "Succeeded", Duration: 100 * time.Millisecond, MaxDuration: 900 * time.Millisecond},
	{Pipeline: "docs", Stage: "Build", Status: "Running"},
	{Pipeline: "kiosk", Stage: "Deploy", Status: "Running"},
}

// openShop makes the shop and waits until the page shows it. It is set up by what people do: commits, calls to AWS as from the
// console, and a word on the page.
func (t *tour) openShop(ctx context.Context) error {
	for _, step := range []func(context.Context) error{t.furnishShop, t.disturbShop, t.fightInShop, t.breakNightly} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return t.found(ctx, shopStates...)
}

// furnishShop makes the shop as it was on a good day, when somebody had applied all of it by hand.
func (t *tour) furnishShop(ctx context.Context) error {
	var err error
	if t.shop, err = source.NewScratch(filepath.Join(t.dir, "shop.git")); err != nil {
		return err
	}
	for _, o := range shopOutcomes {
		o.Region = shopRegion
		if err := t.aws.Script(o); err != nil {
			return err
		}
	}
	for _, name := range []string{"legacy-import", "mobile"} {
		live := strings.NewReplacer("${target.partition}", "aws", "${target.account}", "123456789012", "${target.region}", shopRegion).Replace(shopFile(name))
		if err := t.console(ctx, "CreatePipeline", `{"pipeline":`+live+"}", nil); err != nil {
			return err
		}
	}
	stack := map[string]string{"aws:cloudformation:stack-name": "mobile-ci", "aws:cloudformation:stack-id": "arn:aws:cloudformation:us-west-2:123456789012:stack/mobile-ci/1"}
	if err := t.aws.SetTags(emulator.PipelineTags{Region: shopRegion, Pipeline: "mobile", Tags: stack}); err != nil {
		return err
	}
	files := map[string]string{shopUnseen + "/catalog.json": shopFile("catalog")}
	for _, name := range []string{"catalog", "checkout", "docs", "gifts", "invoices", "kiosk", "labels", "mailer", "nightly", "orders", "payments", "pricing", "search"} {
		files[shopSeen+"/"+name+".json"] = shopFile(name)
	}
	if _, err := t.shop.Commit("The pipelines of the shop", files); err != nil {
		return err
	}
	file := filepath.Join(t.dir, "shop.yaml")
	if err := os.WriteFile(file, []byte(t.configuration(true)), 0o600); err != nil {
		return fmt.Errorf("writing the configuration of the shop: %w", err)
	}
	var out bytes.Buffer
	own := *t.app
	own.stdout, own.stderr = &out, &out
	apply := applyCommand(&own)
	apply.SilenceErrors, apply.SilenceUsage = true, true
	apply.SetArgs([]string{"--config", file})
	if err := apply.ExecuteContext(ctx); err != nil {
		return fmt.Errorf("applying the shop: %w\n%s", err, out.String())
	}
	return nil
}

// disturbShop lets happen what happens.
func (t *tour) disturbShop(ctx context.Context) error {
	if err := t.console(ctx, "DeletePipeline", `{"name":"mailer"}`, nil); err != nil {
		return err
	}
	freeze := `{"pipelineName":"gifts","stageName":"Deploy","transitionType":"Inbound","reason":"Freeze until the sale is over"}`
	if err := t.console(ctx, "DisableStageTransition", freeze, nil); err != nil {
		return err
	}
	for _, name := range []string{"gifts", "nightly", "nightly", "catalog", "catalog", "catalog", "catalog", "catalog", "catalog"} {
		if err := t.console(ctx, "StartPipelineExecution", fmt.Sprintf(`{"name":%q}`, name), nil); err != nil {
			return err
		}
	}
	if err := t.tweak(ctx, "payments", `"BucketName":"payments-us-west-2"`, `"BucketName":"payments-hotfix"`); err != nil {
		return err
	}
	for _, denied := range []emulator.Fault{
		{Operation: "ListPipelines", Region: shopRegionUnseen, Message: "codepipeline:ListPipelines"},
		{Operation: "UpdatePipeline", Pipeline: "invoices", Message: "iam:PassRole on resource: arn:aws:iam::123456789012:role/pipelines"},
	} {
		denied.Action, denied.Code = "error", "AccessDeniedException"
		denied.Message = "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: " + denied.Message
		if err := t.aws.AddFault(denied); err != nil {
			return err
		}
	}
	project := func(name, with string) string {
		return strings.Replace(shopFile(name), `"ProjectName": "`+name+`"`, `"ProjectName": "`+with+`"`, 1)
	}
	for _, c := range []struct{ message, file, text string }{
		{"docs: build with the new project", "docs", project("docs", "docs-2")},
		{"invoices: build with the new project", "invoices", project("invoices", "invoices-2")},
		{"labels are stickers now", "labels", shopFile("stickers")},
		{"search: a little too fast", "search", strings.Replace(shopFile("search"), `"inputArtifacts": [{"name": "Site"}]`, `"inputArtifacts": [{"name": "Sites"}]`, 1)},
	} {
		if _, err := t.shop.Commit(c.message, map[string]string{shopSeen + "/" + c.file + ".json": c.text}); err != nil {
			return err
		}
	}
	// A reload, which is all or nothing, brings the shop to the daemon.
	if err := os.WriteFile(t.daemon.config, []byte(t.configuration(true)), 0o600); err != nil {
		return fmt.Errorf("writing the configuration of the demo's daemon: %w", err)
	}
	if err := t.found(ctx, "target:"+shopSeen+" state:drifted"); err != nil {
		return err
	}
	return t.act(ctx, "suspend", "orders", "Hotfix by hand, see OPS-12")
}

// fightInShop changes what the daemon puts back until it gives way.
func (t *tour) fightInShop(ctx context.Context) error {
	const ours, theirs = `"ProjectName":"pricing"`, `"ProjectName":"pricing-by-hand"`
	for range 3 {
		if err := t.tweak(ctx, "pricing", ours, theirs); err != nil {
			return err
		}
		if err := t.act(ctx, "refresh", "", "the demo is impatient"); err != nil {
			return err
		}
		err := t.until(ctx, "pricing is put back", func() (bool, error) {
			now, err := t.definition(ctx, "pricing")
			return strings.Contains(now, ours), err
		})
		if err != nil {
			return err
		}
	}
	return t.tweak(ctx, "pricing", ours, theirs)
}

// breakNightly takes away the build project of a pipeline that has always succeeded.
func (t *tour) breakNightly(ctx context.Context) error {
	if err := t.found(ctx, "name:nightly run:succeeded"); err != nil {
		return err
	}
	if err := t.aws.Script(emulator.Outcome{Region: shopRegion, Pipeline: "nightly", Cause: "missing-project", Duration: 300 * time.Millisecond}); err != nil {
		return err
	}
	for range 2 {
		if err := t.console(ctx, "StartPipelineExecution", `{"name":"nightly"}`, nil); err != nil {
			return err
		}
	}
	return t.found(ctx, "name:nightly run:failed")
}

// shopFile is the file of a pipeline of the shop. All are alike, but for the approval that one of them waits for.
func shopFile(name string) string {
	text := strings.ReplaceAll(demoFile("web.json"), `"web`, `"`+name)
	text = strings.Replace(text, `"pipelineType": "V2",`, `"pipelineType": "V2",
  "executionMode": "QUEUED",`, 1)
	if name != "checkout" {
		return text
	}
	return strings.Replace(text, `    {
      "name": "Deploy",`, `    {
      "name": "Approve",
      "actions": [
        {
          "name": "Release",
          "actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"},
          "configuration": {"CustomData": "Is the shop quiet?"}
        }
      ]
    },
    {
      "name": "Deploy",`, 1)
}

// definition is that of a live pipeline of the shop, as AWS shows it.
func (t *tour) definition(ctx context.Context, name string) (string, error) {
	var reply json.RawMessage
	err := t.console(ctx, "GetPipeline", fmt.Sprintf(`{"name":%q}`, name), &reply)
	return string(reply), err
}

// tweak changes a live pipeline by hand.
func (t *tour) tweak(ctx context.Context, name, old, now string) error {
	definition, err := t.definition(ctx, name)
	if err != nil {
		return err
	}
	if !strings.Contains(definition, old) {
		return fmt.Errorf("%s has no %s", name, old)
	}
	return t.console(ctx, "UpdatePipeline", strings.Replace(definition, old, now, 1), nil)
}

// console calls the demo's AWS as a browser does for somebody who is signed in to the console.
func (t *tour) console(ctx context.Context, operation, body string, reply any) error {
	err := t.post(ctx, t.endpoint, body, reply, map[string]string{
		"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "CodePipeline_20150709." + operation, "User-Agent": "Mozilla/5.0",
		"Authorization": "AWS4-HMAC-SHA256 Credential=ann@123456789012/20260101/" + shopRegion + "/codepipeline/aws4_request, SignedHeaders=host, Signature=0",
	})
	if err != nil {
		return fmt.Errorf("%s by hand: %w", operation, err)
	}
	return nil
}

// act asks the daemon for something about a pipeline of the shop; "" is everything.
func (t *tour) act(ctx context.Context, what, pipeline, reason string) error {
	asked := map[string]string{"reason": reason}
	if pipeline != "" {
		asked["target"], asked["pipeline"] = shopSeen, pipeline
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	return t.post(ctx, "http://"+t.daemon.address.String()+"/api/v1/"+what, string(body), nil,
		map[string]string{"Authorization": "Bearer " + t.daemon.token, "X-Plumbline-User": "ann", "Content-Type": "application/json"})
}

// found waits until the page finds something for each of some searches.
func (t *tour) found(ctx context.Context, searches ...string) error {
	for _, search := range searches {
		err := t.until(ctx, "the page finds "+search, func() (bool, error) {
			var list struct{ Total int }
			err := t.ask(ctx, http.MethodGet, "http://"+t.daemon.address.String()+"/api/v1/pipelines?limit=1&q="+url.QueryEscape(search), nil, &list, nil)
			return list.Total > 0, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// until waits until something is so.
func (t *tour) until(ctx context.Context, what string, is func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patienceOfTour)
	defer cancel()
	for {
		so, err := is()
		if so {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("it did not come about that %s; the daemon's log:\n%s", what, t.daemon.log), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (t *tour) post(ctx context.Context, address, body string, reply any, header map[string]string) error {
	return t.ask(ctx, http.MethodPost, address, strings.NewReader(body), reply, header)
}

// ask sends a request and reads the answer as JSON; reply is nil where nobody wants it.
func (t *tour) ask(ctx context.Context, method, address string, body io.Reader, reply any, header map[string]string) error {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return err
	}
	for key, value := range header {
		req.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		return errors.Join(fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(data)), err)
	}
	if reply == nil {
		return nil
	}
	return json.Unmarshal(data, reply)
}
