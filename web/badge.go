package web

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// colors are those of badges: they stand on pages of others, where our style does not reach.
var colors = map[state]string{
	stateSynced: "#2a7d3f", stateRunning: "#1f6fb2", statePending: "#8a6100", stateApproval: "#8a6100", stateHeld: "#8a6100",
	stateUnknown: "#5f6670", stateForeign: "#5f6670", stateUnmanaged: "#5f6670", stateExtra: "#8a6100",
}

// badgeSVG has its text as text, so that what reads pages aloud can read it too. A letter is about 7 wide.
var badgeSVG = template.Must(template.New("badge").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="20" role="img" aria-label="{{.Left}}: {{.Right}}">` +
	`<title>{{.Left}}: {{.Right}}</title><rect width="{{.Width}}" height="20" rx="3" fill="#444b54"/>` +
	`<rect x="{{.Split}}" width="{{.Rest}}" height="20" rx="3" fill="{{.Color}}"/>` +
	`<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"><text x="6" y="14">{{.Left}}</text><text x="{{.Text}}" y="14">{{.Right}}</text></g></svg>
`))

func badge(w http.ResponseWriter, r *http.Request, left, right, color string) {
	runes := []rune(strings.ToValidUTF8(left, "\uFFFD"))
	if len(runes) > 60 {
		left = string(runes[:60]) + "…"
	}
	split := 12 + 7*utf8.RuneCountInString(left)
	rest := 12 + 7*utf8.RuneCountInString(right)
	var svg bytes.Buffer
	err := badgeSVG.Execute(&svg, map[string]any{
		"Left": left, "Right": right, "Color": color, "Split": split, "Rest": rest, "Width": split + rest, "Text": split + 6,
	})
	if err != nil {
		http.Error(w, "the badge cannot be drawn", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(svg.Bytes()))
}

// pipelineBadge is that of one pipeline: GET /badges/{target}/{name}.svg
func (a *admin) pipelineBadge(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".svg")
	row := a.fleet().find(r.PathValue("target"), name)
	if !ok || row == nil {
		http.NotFound(w, r)
		return
	}
	color := colors[row.State]
	if color == "" {
		color = "#b3261e"
	}
	badge(w, r, row.Name, string(row.State), color)
}

// fleetBadge is that of all: GET /badge.svg
func (a *admin) fleetBadge(w http.ResponseWriter, r *http.Request) {
	f := a.fleet()
	switch {
	case len(f.Targets) == 0:
		badge(w, r, "pipelines", "unknown", colors[stateUnknown])
	case len(f.Needs)+len(f.Trouble) > 0:
		badge(w, r, "pipelines", fmt.Sprintf("%d of %d need you", len(f.Needs), len(f.Rows)), "#b3261e")
	default:
		badge(w, r, "pipelines", fmt.Sprintf("%d well", len(f.Rows)), colors[stateSynced])
	}
}
