package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

// manyPipelines is a fleet of five targets with 1,000 pipelines each, of which a few need somebody.
func manyPipelines() web.AdminConfig {
	var reports []*sync.Report
	var runs []*execution.Report
	for target := range 5 {
		r := &sync.Report{Target: fmt.Sprintf("prod-%d", target), Account: fmt.Sprintf("11112222333%d", target), Region: "eu-west-1", Started: epoch, Finished: epoch}
		e := &execution.Report{Target: r.Target, Account: r.Account, Region: r.Region, At: epoch, Visit: 7 * time.Minute}
		for i := range 1000 {
			s := sync.State{Name: fmt.Sprintf("team-%02d-service-%04d", i%40, i), Status: sync.StatusSynced, Ownership: sync.Managed, Live: &live.Summary{Version: 3}, Path: "pipelines/x.json", Since: epoch}
			if i%200 == 7 {
				s.Status = sync.StatusDrifted
			}
			r.Pipelines = append(r.Pipelines, s)
			e.Pipelines = append(e.Pipelines, executionsOf(s.Name, i))
		}
		reports, runs = append(reports, r), append(runs, e)
	}
	return web.AdminConfig{Reports: func() []*sync.Report { return reports }, Executions: func() []*execution.Report { return runs }}
}

// TestHomeSize bounds the first page of a large fleet, also on the night when all of it needs somebody, or none can be seen.
func TestHomeSize(t *testing.T) {
	for name, change := range map[string]func(*sync.Report){
		"a few need somebody": func(*sync.Report) {},
		"all of them do": func(r *sync.Report) {
			for i := range r.Pipelines {
				r.Pipelines[i].Status, r.Pipelines[i].Why = sync.StatusDrifted, strings.Repeat("somebody changed it; ", 20)
			}
		},
		"none can be seen": func(r *sync.Report) {
			r.Err = errors.New("the region is away")
			for i := range r.Pipelines {
				r.Pipelines[i].Status = sync.StatusUnknown
			}
		},
	} {
		cfg := manyPipelines()
		for _, r := range cfg.Reports() {
			change(r)
		}
		w := get(web.Admin(cfg), "/")
		if w.Code != 200 || w.Body.Len() > 1<<20 {
			t.Errorf("%s: %d with %d bytes", name, w.Code, w.Body.Len())
		}
		t.Logf("%s: %d bytes", name, w.Body.Len())
		if items := strings.Count(w.Body.String(), `<li class="item">`); items > 100 {
			t.Errorf("%s: %d pipelines are told one by one", name, items)
		}
	}
}

// BenchmarkHome serves the first page of 5,000 pipelines: as people ask for it again and again, and as it is when every pass has
// brought a new report.
func BenchmarkHome(b *testing.B) {
	for name, fresh := range map[string]bool{"same reports": false, "new reports": true} {
		b.Run(name, func(b *testing.B) {
			cfg := manyPipelines()
			handler := web.Admin(cfg)
			b.ReportAllocs()
			for b.Loop() {
				if fresh {
					handler = web.Admin(cfg)
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
				b.SetBytes(int64(w.Body.Len()))
			}
		})
	}
}

// BenchmarkIdle is what one look of an open page costs while nothing is new.
func BenchmarkIdle(b *testing.B) {
	handler := web.Admin(manyPipelines())
	get(handler, "/badge.svg")
	b.ReportAllocs()
	for b.Loop() {
		get(handler, "/badge.svg")
	}
}

// BenchmarkNews is what open pages cost while reports come in which nothing is new.
func BenchmarkNews(b *testing.B) {
	cfg := manyPipelines()
	reports := cfg.Reports()
	cfg.Reports = func() []*sync.Report { return reports }
	handler := web.Admin(cfg)
	get(handler, "/badge.svg")
	b.ReportAllocs()
	for b.Loop() {
		again := *reports[0]
		reports = append([]*sync.Report{&again}, reports[1:]...)
		get(handler, "/badge.svg")
	}
}
