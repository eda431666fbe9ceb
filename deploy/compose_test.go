package deploy_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pinned matches an image of one version.
var pinned = regexp.MustCompile(`^[a-z./-]+:v?\d+\.\d+\.\d+$`)

// TestCompose compares what the services say of one another, of the files and of the program.
func TestCompose(t *testing.T) {
	compose := mapping(t, "compose/compose.yaml")
	services, _ := compose["services"].(object)
	for _, name := range []string{"plumbline", "emulator", "prometheus", "alertmanager", "grafana"} {
		if services[name] == nil {
			t.Errorf("there is no service %s", name)
		}
	}
	for name, s := range services {
		for _, complaint := range loose(s) {
			t.Errorf("%s: %s", name, complaint)
		}
		for _, v := range words(dig(s, "volumes")) {
			where := strings.Split(v, ":")
			if !strings.HasPrefix(where[0], ".") {
				if _, ok := compose["volumes"].(object)[where[0]]; !ok {
					t.Errorf("%s: there is no volume %s", name, where[0])
				}
				continue
			}
			path := filepath.Join("compose", where[0])
			if _, err := os.Stat(path); err != nil || where[len(where)-1] != "ro" {
				t.Errorf("%s mounts %s, which is not there or can be written: %v", name, v, err)
			}
		}
	}

	daemon := services["plumbline"]
	if dig(daemon, "image") != dig(services["emulator"], "image") || dig(daemon, "build") != "../.." || absent("../Dockerfile") {
		t.Error("plumbline is not built here")
	}
	if dig(daemon, "command") != nil || dig(daemon, "healthcheck") != nil {
		t.Error("plumbline does not run as its image says")
	}
	cfg := configuration(t, "compose/plumbline.yaml", imageVariables(t)...)
	if folder, err := filepath.Abs("compose/pipelines"); err != nil || cfg.Sources[0].Dir != folder {
		t.Errorf("the source is %s, the files are in %s: %v", cfg.Sources[0].Dir, folder, err)
	}
	if !slices.Contains(words(dig(daemon, "volumes")), "./pipelines:/etc/plumbline/pipelines:ro") {
		t.Error("the files are not where the configuration looks for them")
	}
	if !slices.ContainsFunc(words(dig(daemon, "tmpfs")), func(s string) bool { return strings.HasPrefix(s, cfg.State.Dir+":uid=65532,") }) {
		t.Errorf("nothing can be written in %s", cfg.State.Dir)
	}
	emulated := words(dig(services["emulator"], "command"))
	knows(t, emulated)
	_, port, _ := strings.Cut(strings.Join(emulated, " "), "--listen 0.0.0.0:")
	port, _, _ = strings.Cut(port, " ")
	if dig(services["emulator"], "network_mode") != "service:plumbline" || port == "" || cfg.AWS.EndpointURL != "http://127.0.0.1:"+port {
		t.Errorf("the daemon asks %s, and the emulator listens on port %q", cfg.AWS.EndpointURL, port)
	}
	if out, err := plumbline(t, "validate", "compose/pipelines"); err != nil {
		t.Errorf("the pipelines: %v: %s", err, out)
	}
	if out, err := plumbline(t, "config", "check", "--config", "compose/plumbline.yaml"); err != nil {
		t.Errorf("the configuration: %v: %s", err, out)
	}
}

// TestComposePeers looks for the services, and the place of the dashboard, that the files of Prometheus and Grafana name.
func TestComposePeers(t *testing.T) {
	services, _ := mapping(t, "compose/compose.yaml")["services"].(object)
	addresses := regexp.MustCompile(`\b([a-z]+):\d{4}\b`)
	named := read(t, "prometheus/prometheus.yml") + read(t, "grafana/provisioning/datasources/prometheus.yml")
	found := addresses.FindAllStringSubmatch(named, -1)
	for _, m := range found {
		if services[m[1]] == nil {
			t.Errorf("%s is named, and there is no service %s", m[0], m[1])
		}
	}
	if len(found) != 3 {
		t.Errorf("%q are named, want plumbline, alertmanager and prometheus", found)
	}
	for _, p := range items(mapping(t, "grafana/provisioning/dashboards/plumbline.yml")["providers"]) {
		want := "../grafana/plumbline.json:" + text(dig(p, "options", "path")) + "/plumbline.json:ro"
		if !slices.Contains(words(dig(services["grafana"], "volumes")), want) {
			t.Errorf("grafana does not mount %s", want)
		}
	}
}

// loose tells what a service could do that it need not.
func loose(s any) (complaints []string) {
	for _, want := range []struct {
		key       string
		value     any
		complaint string
	}{
		{"read_only", true, "its root can be written"},
		{"cap_drop", []any{"ALL"}, "capabilities are left"},
		{"security_opt", []any{"no-new-privileges:true"}, "privileges can grow"},
		{"privileged", nil, "it is privileged"},
		{"cap_add", nil, "capabilities are added"},
	} {
		if !reflect.DeepEqual(dig(s, want.key), want.value) {
			complaints = append(complaints, want.complaint)
		}
	}
	image, _ := dig(s, "image").(string)
	if image != "plumbline:local" && !pinned.MatchString(image) {
		complaints = append(complaints, image+" is no image of one version")
	}
	if image != "plumbline:local" && (dig(s, "user") == nil || dig(s, "healthcheck", "test") == nil) {
		complaints = append(complaints, "it has no user of its own or no health check")
	}
	for _, p := range words(dig(s, "ports")) {
		if !strings.HasPrefix(p, "127.0.0.1:") {
			complaints = append(complaints, "port "+p+" is open to the network")
		}
	}
	return complaints
}

// TestLoose shows that each loosening is seen.
func TestLoose(t *testing.T) {
	for _, tt := range []struct {
		key   string
		value any
		want  string
	}{
		{"read_only", false, "written"}, {"cap_drop", nil, "left"}, {"security_opt", nil, "grow"}, {"privileged", true, "privileged"},
		{"cap_add", []any{"SYS_ADMIN"}, "added"}, {"image", "prom/prometheus:latest", "no image"}, {"image", "prom/prometheus", "no image"},
		{"user", nil, "no user"}, {"healthcheck", nil, "no health"}, {"ports", []any{"9090:9090"}, "open"},
	} {
		s, _ := dig(mapping(t, "compose/compose.yaml"), "services", "prometheus").(object)
		s[tt.key] = tt.value
		if got := loose(s); len(got) != 1 || !strings.Contains(got[0], tt.want) {
			t.Errorf("%s: %v: %q", tt.key, tt.value, got)
		}
	}
}
