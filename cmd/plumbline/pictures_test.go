package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/plumbline/plumbline/web/browsertest"
)

// maxPicture is how large a picture of the documents may be, in bytes.
const maxPicture = 100 << 10

// picture is one of the documents: a page of the running demo, as far as it is worth showing.
type picture struct {
	path          string
	scheme        string
	width, height int64
	shows         string // true of the page where it still is what the picture and the words beside it tell
}

// pictures are all of them, :: name in docs/pictures → what is on it.
var pictures = map[string]picture{
	"fleet":      {"/", "light", 1180, 980, `document.querySelector("h1").textContent.includes("pipelines need you") && document.querySelectorAll(".needs .item").length > 8`},
	"pipeline":   {"/pipelines/shop-us/payments", "light", 1180, 900, `document.querySelectorAll(".stage").length === 3 && document.querySelectorAll(".edits li").length === 1 && document.querySelectorAll(".sides .changed").length === 1`},
	"runs":       {"/pipelines/shop-us/nightly?tab=runs", "dark", 1180, 940, `document.querySelector(".stage.run-Failed .words").textContent.includes("Project cannot be found") && document.querySelector(".stage.earlier h3").textContent.includes("Deploy") && document.querySelectorAll(".bars .run-Failed").length > 1 && document.querySelectorAll(".bars .run-Succeeded").length > 2`},
	"executions": {"/runs?q=state:failed", "light", 1180, 560, `document.querySelectorAll("tr.item").length > 3 && document.querySelector("tbody").textContent.includes("Project cannot be found")`},
	"gifts":      {"/pipelines/shop-us/gifts", "light", 1180, 480, `document.querySelector(".shut .closed").textContent.includes("Freeze until the sale is over") && document.querySelector(".inbound")`},
	"drift":      {"/drift", "light", 1180, 760, `document.querySelectorAll("article").length === 3 && document.querySelector(".why").textContent.includes("user/ann")`},
	"changes":    {"/changes", "light", 1180, 760, `document.querySelectorAll(".due li").length > 3 && document.querySelectorAll(".past > li").length > 3`},
	"problems":   {"/problems", "dark", 1180, 360, `document.querySelector(".lines .here").textContent.includes("Sites")`},
	"targets":    {"/targets", "light", 1180, 960, `document.querySelectorAll("meter").length === 4 && document.querySelector(".trouble").textContent.includes("shop-ap")`},
	"unmanaged":  {"/unmanaged", "light", 1180, 480, `document.querySelector("main").textContent.includes("CloudFormation") && document.querySelector("main").textContent.includes("plumbline import legacy-import")`},
	"phone":      {"/", "dark", 390, 844, `document.querySelectorAll(".needs .item").length > 8`},
}

// TestPictures looks after the pictures of the documents: each that is named is there, is small, and has words for those who do
// not see it; each that is there is named.
func TestPictures(t *testing.T) {
	named := map[string]bool{}
	link := regexp.MustCompile(`!\[([^\]]*)\]\(([^)]*)\)`)
	for file, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			at := filepath.Join(filepath.Dir(file), m[2])
			name := strings.TrimSuffix(filepath.Base(at), ".png")
			if _, known := pictures[name]; !known || at != filepath.Join("docs", "pictures", name+".png") {
				t.Errorf("%s: nobody takes the picture %s", file, m[2])
			}
			if len(m[1]) < 20 {
				t.Errorf("%s: %s wants a sentence for those who do not see it, not %q", file, m[2], m[1])
			}
			named[name] = true
		}
	}
	for name, p := range pictures {
		if !named[name] {
			t.Errorf("no document shows the picture %s", name)
		}
		data, err := os.ReadFile(pictureFile(name))
		if err != nil {
			t.Errorf("%v; go test ./cmd/plumbline -run TestBrowserPictures -update takes it", err)
			continue
		}
		made, err := png.DecodeConfig(bytes.NewReader(data))
		if err != nil || made.Width != int(p.width) || made.Height > int(p.height) || len(data) > maxPicture {
			t.Errorf("%s has %d×%d points and %d bytes: %v", name, made.Width, made.Height, len(data), err)
		}
	}
	files, err := filepath.Glob(pictureFile("*"))
	if err != nil || len(files) != len(pictures) {
		t.Errorf("docs/pictures has %q: %v", files, err)
	}
}

func pictureFile(name string) string {
	return filepath.Join("..", "..", "docs", "pictures", name+".png")
}

// TestBrowserPictures opens in the running demo what the pictures of the documents show: it is there still, and no page of it
// does what it must not. With -update it takes the pictures.
func TestBrowserPictures(t *testing.T) {
	tab := browsertest.Open(t)
	address, _ := demoOf(t)
	seen := browsertest.NewWatch(t, tab, strings.TrimPrefix(address, "http://"))
	for _, name := range slices.Sorted(maps.Keys(pictures)) {
		p := pictures[name]
		browsertest.Play(t, tab, browsertest.Prefer(p.scheme), chromedp.EmulateViewport(p.width, p.height), chromedp.Navigate(address+p.path), chromedp.WaitReady(chromedp.CSS("footer")))
		browsertest.Shows(t, tab, name, `document.getElementById("live").textContent === "live" && `+p.shows)
		for _, fault := range seen.Taken() {
			t.Errorf("%s: %s", name, fault)
		}
		if !*update || t.Failed() {
			continue
		}
		taken, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		small, err := smaller(taken, int(p.height))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pictureFile(name), small, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// smaller makes of a picture one with its upper part and no more than 64 colours, which are plenty for text.
func smaller(data []byte, height int) ([]byte, error) {
	whole, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading a picture: %w", err)
	}
	bounds := whole.Bounds()
	bounds.Max.Y = min(bounds.Max.Y, bounds.Min.Y+height)
	counts := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(whole.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	var palette color.Palette
	for _, c := range frequent[:min(64, len(frequent))] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for c := range counts {
		index[c] = uint8(palette.Index(c))
	}
	few := image.NewPaletted(image.Rect(0, 0, bounds.Dx(), bounds.Dy()), palette)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			few.SetColorIndex(x, y, index[at(bounds.Min.X+x, bounds.Min.Y+y)])
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}
