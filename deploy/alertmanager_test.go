package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPrometheusAlertmanager hands alerts to a real Alertmanager with the example of a configuration, and asks it who is told of
// which and which are silent.
func TestPrometheusAlertmanager(t *testing.T) {
	program, err := exec.LookPath("prometheus-alertmanager") // Debian's name
	if err != nil {
		program, err = exec.LookPath("alertmanager")
	}
	if err != nil && os.Getenv("REQUIRE_PROMETHEUS") != "" {
		t.Fatal("Alertmanager is not installed, and REQUIRE_PROMETHEUS says that it must be")
	}
	if err != nil {
		t.Skip("Alertmanager is not installed, so no real one reads its configuration")
	}
	severities := map[string]string{}
	for _, a := range alerts(t) {
		severities[a.Alert] = a.Labels.Severity
	}
	const other = "job=plumbline account_id=222233334444 region=eu-west-1 "
	var posted []map[string]any
	want := map[string]string{}
	for _, row := range []struct{ alert, labels, receiver string }{
		{"PlumblineExecutionFailed", other + "pipeline=once", "ticket"},
		{"PlumblineExecutionFailed", other + "pipeline=broken", "silent"},
		{"PlumblinePipelineBroken", other + "pipeline=broken", "page"},
		{"PlumblineExecutionFailed", "job=plumbline account_id=111122223333 region=eu-west-1 pipeline=once", "page"},
		{"PlumblineExecutionStuck", "job=plumbline account_id=111122223333 region=eu-west-1 pipeline=once", "ticket"},
		{"PlumblinePipelineBroken", "job=plumbline account_id=444455556666 region=ap-south-1 pipeline=sandbox", "ticket"},
		{"PlumblinePipelineBroken", "job=plumbline account_id=222233334444 region=ap-south-1 pipeline=far", "page-sydney"},
		{"PlumblineExecutionFailed", "job=plumbline account_id=222233334444 region=ap-south-1 pipeline=near", "ticket"},

		{"PlumblineDrifted", other + "pipeline=new", "page"},
		{"PlumblineDrifted", other + "pipeline=old", "silent"},
		{"PlumblineMissing", other + "pipeline=old", "silent"},
		{"PlumblineDriftOld", other + "pipeline=old", "ticket"},
		{"PlumblineHeldLong", other + "pipeline=asks reason=busy", "silent"},
		{"PlumblineHeldLong", other + "pipeline=asks reason=suspended", "ticket"},
		{"PlumblineApprovalWaiting", other + "pipeline=asks stage=Release action=Ask", "ticket"},
		{"PlumblineExecutionStuck", other + "pipeline=unseen", "silent"},
		{"PlumblineTransitionDisabled", other + "pipeline=unseen stage=Release", "silent"},
		{"PlumblineExecutionFailed", other + "pipeline=unseen", "ticket"},
		{"PlumblineExecutionsStale", other + "pipeline=unseen", "ticket"},

		{"PlumblineTargetDown", "job=plumbline account_id=222233334444 region=us-east-1 target=us", "page"},
		{"PlumblineDrifted", "job=plumbline account_id=222233334444 region=us-east-1 pipeline=web", "silent"},
		{"PlumblineThrottled", "job=plumbline account_id=222233334444 region=us-east-1", "silent"},
		{"PlumblineExecutionsStale", "job=plumbline account_id=222233334444 region=us-east-1 pipeline=web", "silent"},
		{"PlumblinePipelineBroken", "job=plumbline account_id=222233334444 region=us-east-1 pipeline=web", "page"},
		{"PlumblineSourceStale", "job=plumbline source=team", "ticket"},
		{"PlumblineHeld", other + "pipeline=waits reason=source", "silent"},
		{"PlumblineHeld", other + "pipeline=waits reason=ownership", "ticket"},

		{"PlumblineDown", "job=second", "page"},
		{"PlumblineDrifted", "job=second account_id=222233334444 region=eu-west-1 pipeline=web", "silent"},
		{"PlumblineSourceStale", "job=second source=team", "silent"},
	} {
		if severities[row.alert] == "" {
			t.Fatalf("no alert is called %s", row.alert)
		}
		labels := map[string]string{"alertname": row.alert, "severity": severities[row.alert]}
		for _, l := range strings.Fields(row.labels) {
			name, value, _ := strings.Cut(l, "=")
			labels[name] = value
		}
		posted = append(posted, map[string]any{"labels": labels})
		want[told(labels)] = row.receiver
	}

	api := startAlertmanager(t, program)
	body, err := json.Marshal(posted)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, http.MethodPost, api+"/api/v2/alerts", body, nil)
	var got map[string]string
	// What silences others is taken in a moment later.
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && !cmp.Equal(want, got); time.Sleep(50 * time.Millisecond) {
		got = map[string]string{}
		var all []struct {
			Labels    map[string]string
			Receivers []struct{ Name string }
			Status    struct{ InhibitedBy []string }
		}
		ask(t, http.MethodGet, api+"/api/v2/alerts", nil, &all)
		for _, a := range all {
			var names []string
			for _, r := range a.Receivers {
				names = append(names, r.Name)
			}
			if len(a.Status.InhibitedBy) > 0 {
				names = []string{"silent"}
			}
			got[told(a.Labels)] = strings.Join(names, " and ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who is told of what (-want +got):\n%s", diff)
	}
}

// told is what distinguishes one alert from another.
func told(labels map[string]string) string {
	var words []string
	for name, value := range labels {
		if name != "alertname" && name != "severity" {
			words = append(words, name+"="+value)
		}
	}
	slices.Sort(words)
	return labels["alertname"] + " " + strings.Join(words, " ")
}

// startAlertmanager starts one that talks to nobody, and returns its address.
func startAlertmanager(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	logged := filepath.Join(dir, "log")
	log, err := os.Create(logged)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program, "--config.file=prometheus/alertmanager.yml", "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0", "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
	})
	listening := regexp.MustCompile(`msg="?Listening on"? address=(127\.0\.0\.1:[1-9]\d*)`)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if m := listening.FindStringSubmatch(read(t, logged)); m != nil {
			return "http://" + m[1]
		}
	}
	t.Fatalf("Alertmanager does not listen; its log:\n%s", read(t, logged))
	return ""
}

// ask makes a request and reads its answer as JSON.
func ask(t *testing.T, method, url string, body []byte, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	} else if out != nil {
		err = json.NewDecoder(resp.Body).Decode(out)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
}
