package deploy_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ Type, UID string }
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
}

type dashboard struct {
	UID, Title string
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

func (p panel) overlaps(q panel) bool {
	a, b := p.GridPos, q.GridPos
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// TestGrafanaDashboard compares the dashboard with the metrics that exist, and looks at what Grafana would bear in
// silence: panels on top of each other, ids that stand twice, variables that are not there.
func TestGrafanaDashboard(t *testing.T) {
	v := knownMetrics(t)
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana/plumbline.json")), &d); err != nil {
		t.Fatal(err)
	}
	variables := []string{"__rate_interval"}
	for _, variable := range d.Templating.List {
		variables = append(variables, variable.Name)
		if m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(variable.Definition); m != nil {
			for _, wrong := range v.wrong("max by (" + m[2] + ") (" + m[1] + ")") {
				t.Errorf("the variable %s: %s", variable.Name, wrong)
			}
		} else if variable.Type == "query" {
			t.Errorf("the variable %s has the query %q, which this test does not understand", variable.Name, variable.Definition)
		}
	}
	queries, below := 0, 0
	for i, p := range d.Panels {
		for _, q := range d.Panels[:i] {
			if p.ID == q.ID || p.overlaps(q) {
				t.Errorf("%q and %q have the same id or overlap: %d %v, %d %v", q.Title, p.Title, q.ID, q.GridPos, p.ID, p.GridPos)
			}
		}
		if g := p.GridPos; p.ID < 1 || p.Title == "" || g.X < 0 || g.W < 1 || g.X+g.W > 24 || g.H < 1 || g.Y > below {
			t.Errorf("panel %d, %q, is at %v: outside of the grid, or below a gap that ends at %d", p.ID, p.Title, g, below)
		}
		below = max(below, p.GridPos.Y+p.GridPos.H)
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("%q, a %s, has %d queries", p.Title, p.Type, len(p.Targets))
		}
		for _, q := range p.Targets {
			queries++
			if q.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" {
				t.Errorf("%q does not ask the data source that is chosen", p.Title)
			}
			for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(q.Expr, -1) {
				if !slices.Contains(variables, m[1]) {
					t.Errorf("%q: there is no variable %s", p.Title, m[1])
				}
			}
			for _, wrong := range v.wrong(q.Expr) {
				t.Errorf("%q: %s\n%s", p.Title, wrong, q.Expr)
			}
		}
	}
	if queries < 20 || d.UID == "" || d.Title == "" {
		t.Errorf("%d queries in the dashboard %q %q", queries, d.UID, d.Title)
	}
}

// TestGrafanaProvisioning reads what Grafana finds at its start.
func TestGrafanaProvisioning(t *testing.T) {
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool              `yaml:"isDefault"`
			JSONData                     map[string]string `yaml:"jsonData"`
		}
	}
	load(t, "grafana/provisioning/datasources/prometheus.yml", &sources)
	if len(sources.Datasources) != 1 || sources.Datasources[0].Type != "prometheus" || sources.Datasources[0].URL != "http://prometheus:9090" {
		t.Errorf("the data source is %+v", sources)
	}
	scrape := sources.Datasources[0].JSONData["timeInterval"]
	if !strings.Contains(read(t, "prometheus/prometheus.yml"), "scrape_interval: "+scrape+" ") {
		t.Errorf("timeInterval is %q, which is not the scrape interval of prometheus.yml", scrape)
	}
	var providers struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type string
			Options    struct{ Path string }
		}
	}
	load(t, "grafana/provisioning/dashboards/plumbline.yml", &providers)
	if len(providers.Providers) != 1 || providers.Providers[0].Options.Path != "/var/lib/grafana/dashboards" {
		t.Errorf("the provider is %+v", providers)
	}
}
