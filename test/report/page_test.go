package report

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var screenshots = flag.String("screenshots", "", "write pictures of the pages to this folder, to be looked at")

// browser starts a headless Chromium for the test. Without Chromium the test is skipped, except in CI.
func browser(t *testing.T) context.Context {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil && os.Getenv("CI") == "" {
		t.Skip("no chromium here; install it to see what the pages do")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeTab := chromedp.NewContext(allocator)
	ctx, giveUp := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(func() { giveUp(); closeTab(); stop() })
	return ctx
}

// open shows a page in a new tab. At the end of the test, its console must be empty and it must have loaded nothing else.
func open(t *testing.T, ctx context.Context, name string, before ...action) context.Context {
	t.Helper()
	file := whole(t, golden(t, "html")[name])
	tab, closeTab := chromedp.NewContext(ctx)
	var mu sync.Mutex
	var complaints []string
	if err := chromedp.Listen(tab, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, "console: "+string(e.Args[0].Value))
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, "exception: "+e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			complaints = append(complaints, "log: "+e.Entry.Text)
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; url != "file://"+file && !strings.HasPrefix(url, "data:") {
				complaints = append(complaints, "request: "+url)
			}
		case *page.EventJavascriptDialogOpening:
			complaints = append(complaints, "dialog: "+e.Message)
		}
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closeTab()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range complaints {
			t.Errorf("%s: %s", name, c)
		}
	})
	do(t, tab, before...)
	do(t, tab, chromedp.Navigate("file://"+file))
	return tab
}

type action = chromedp.Action[chromedp.Void]

// whole returns the page as users get it: the files in report/testdata omit the parts that all pages share.
func whole(t *testing.T, file string) string {
	t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	assets := filepath.Join("..", "..", "report", "page")
	style, script := read(filepath.Join(assets, "page.css")), read(filepath.Join(assets, "page.js"))
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	page := strings.NewReplacer(
		"<style>page.css</style>", "<style>"+style+"</style>", "<script>page.js</script>", "<script>"+script+"</script>",
		`content="security"`, fmt.Sprintf(`content="default-src 'none'; style-src %s; script-src %s; img-src data:"`, hash(style), hash(script)),
	).Replace(read(file))
	name := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func do(t *testing.T, tab context.Context, actions ...action) {
	t.Helper()
	if err := chromedp.Do(tab, actions...); err != nil {
		t.Fatal(err)
	}
}

// ask evaluates an expression in the page.
func ask[T any](t *testing.T, tab context.Context, expression string) T {
	t.Helper()
	got, err := chromedp.Run(tab, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return got
}

// shown returns the checks of the visible findings, in order.
func shown(t *testing.T, tab context.Context) string {
	t.Helper()
	return ask[string](t, tab, `[...document.querySelectorAll("#findings article")].filter((a) => a.checkVisibility()).map((a) => a.querySelector("h4 a").textContent).join(" ")`)
}

const everything = "termination-grace/zero readiness/no-probe headless-service/missing scale-down/step disruption-budget/none"

func TestPage(t *testing.T) {
	ctx := browser(t)
	do(t, ctx)
	for _, tc := range []struct {
		name string
		page string
		does func(t *testing.T, tab context.Context)
	}{
		{"filter by text", "check", func(t *testing.T, tab context.Context) {
			do(t, tab, chromedp.SendKeys(chromedp.CSS("#text"), "orders replicas"))
			expect(t, "with two words", shown(t, tab), "headless-service/missing scale-down/step")
			expect(t, "the count", ask[string](t, tab, `document.getElementById("count").textContent`), "2 of 6")
			do(t, tab, chromedp.SendKeys(chromedp.CSS("#text"), " nowhere"))
			expect(t, "with a word that is nowhere", shown(t, tab), "")
			do(t, tab, chromedp.Click(chromedp.CSS("#again")))
			expect(t, "after Show all", shown(t, tab), everything)
		}},
		{"filter by action", "check", func(t *testing.T, tab context.Context) {
			do(t, tab, chromedp.Click(chromedp.CSS(".chip.warn")), chromedp.Click(chromedp.CSS(".chip.audit")))
			expect(t, "only denials", shown(t, tab), "termination-grace/zero headless-service/missing")
			do(t, tab, chromedp.Click(chromedp.CSS("#filters [type=reset]")))
			// The page reacts after the form's event.
			ask[string](t, tab, `new Promise((done) => setTimeout(done, 0, ""))`)
			expect(t, "after Clear", shown(t, tab), everything)
		}},
		{"filter by a bar of a chart", "check", func(t *testing.T, tab context.Context) {
			bar := `[data-filter=namespace][data-value="=shop"]`
			do(t, tab, chromedp.Click(chromedp.CSS(bar)))
			expect(t, "of namespace shop", shown(t, tab), "headless-service/missing scale-down/step disruption-budget/none")
			expect(t, "the bar", ask[string](t, tab, `document.querySelector('`+bar+`').ariaPressed`), "true")
			do(t, tab, chromedp.Click(chromedp.CSS(`[data-filter=rule][data-value="=scale-down"]`)))
			expect(t, "and of scale-down", shown(t, tab), "scale-down/step")
			do(t, tab, chromedp.Click(chromedp.CSS(bar)), chromedp.Click(chromedp.CSS(`[data-filter=rule][data-value="=scale-down"]`)))
			expect(t, "after both once more", shown(t, tab), everything)
		}},
		{"keys", "check", func(t *testing.T, tab context.Context) {
			focused := `document.activeElement.id || (document.activeElement.querySelector("h4 a") || document.activeElement).textContent`
			do(t, tab, chromedp.KeyEvent("/"))
			expect(t, "after /", ask[string](t, tab, focused), "text")
			// A key that chromedp types enters its character, whatever happened to its keydown event; a dispatched event does not.
			ask[string](t, tab, `document.activeElement.value = ""`)
			do(t, tab, chromedp.KeyEvent("probe"))
			expect(t, "typed", shown(t, tab), "readiness/no-probe")
			do(t, tab, chromedp.KeyEvent(kb.Escape))
			expect(t, "after Escape", shown(t, tab), everything)
			ask[string](t, tab, "String(document.activeElement.blur())")
			do(t, tab, chromedp.KeyEvent("j"), chromedp.KeyEvent("j"))
			expect(t, "after j and j", ask[string](t, tab, focused), "readiness/no-probe")
			do(t, tab, chromedp.KeyEvent("k"))
			expect(t, "after k", ask[string](t, tab, focused), "termination-grace/zero")
			do(t, tab, chromedp.Focus(chromedp.CSS(`[data-filter=rule][data-value="=scale-down"]`)), chromedp.KeyEvent(kb.Enter))
			expect(t, "after Enter on a bar", shown(t, tab), "scale-down/step")
		}},
		{"every control can be reached and has a name", "check", func(t *testing.T, tab context.Context) {
			// The Tab stops in order. Each needs a name for users of screen readers.
			stops := map[string]bool{}
			for range 40 {
				do(t, tab, chromedp.KeyEvent(kb.Tab))
				stops[ask[string](t, tab, `document.activeElement.id || document.activeElement.value || document.activeElement.textContent`)] = true
			}
			for _, want := range []string{"text", "deny", "warn", "audit", "rule", "namespace"} {
				if !stops[want] {
					t.Errorf("Tab never stops at %s, only at %v", want, stops)
				}
			}
			unnamed := ask[int](t, tab, `[...document.querySelectorAll("button, a, input, select, [tabindex='0']")].filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length || e.getAttribute("aria-labeledby"))).length`)
			if unnamed > 0 {
				t.Errorf("%d controls have no name", unnamed)
			}
		}},
		{"hostile names stay text", "check", func(t *testing.T, tab context.Context) {
			expect(t, "window.broken", ask[string](t, tab, "String(window.broken)"), "undefined")
			expect(t, "scripts", ask[string](t, tab, "String(document.scripts.length)"), "1")
			if named := ask[string](t, tab, `document.querySelectorAll("h3")[1].textContent`); !strings.Contains(named, "<script>window.broken=1</script>\"'&]]>") {
				t.Errorf("the hostile name is not as it was: %s", named)
			}
		}},
		{"filter by cluster and severity", "fleet", func(t *testing.T, tab context.Context) {
			do(t, tab, chromedp.Click(chromedp.CSS(`#clusters [data-value="=gke_example-production_europe-west4_cluster-39"]`)))
			expect(t, "of one cluster", shown(t, tab), "headless-service/missing claim-at-risk/reclaim")
			ask[string](t, tab, `(document.getElementById("severity").value = "=low", document.getElementById("filters").dispatchEvent(new Event("input")), "")`)
			expect(t, "of low severity", shown(t, tab), "")
		}},
		{"a chart of many bars", "fleet", func(t *testing.T, tab context.Context) {
			expect(t, "the rest", ask[string](t, tab, `document.querySelector(".chart summary").textContent`), "and 11 more")
		}},
		{"what is ignored", "check", func(t *testing.T, tab context.Context) {
			expect(t, "at first", ask[string](t, tab, `document.getElementById("count").textContent`), "5 of 6")
			do(t, tab, chromedp.Click(chromedp.CSS(".chip.ignored")))
			expect(t, "when asked for", ask[string](t, tab, `document.getElementById("count").textContent`), "6")
		}},
		{"sort the inventory", "audit", func(t *testing.T, tab context.Context) {
			names := `[...document.querySelectorAll("#inventory tbody th")].map((th) => th.textContent).join(" ")`
			head := func(n string) string { return "#inventory thead th:nth-child(" + n + ") button" }
			expect(t, "at first", ask[string](t, tab, names), "cache db store")
			do(t, tab, chromedp.Click(chromedp.CSS(head("4"))))
			expect(t, "by ready Pods", ask[string](t, tab, names), "db store cache")
			do(t, tab, chromedp.Focus(chromedp.CSS(head("6"))), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Enter))
			expect(t, "by size, the largest first", ask[string](t, tab, names), "store db cache")
			expect(t, "the heading", ask[string](t, tab, `document.querySelector("#inventory thead th:nth-child(6)").ariaSort`), "descending")
		}},
		{"what the candidate adds", "audit", func(t *testing.T, tab context.Context) {
			// The namespace's denial is already there, and the deletion of claims only warns.
			added := `[...document.querySelectorAll("#candidate article h4")].map((h) => h.querySelector(".badge").textContent + " " + h.querySelector("a").textContent).join(", ")`
			expect(t, "the candidate", ask[string](t, tab, added), "deny delete-protection/data, deny readiness/no-probe")
		}},
		{"the tables of a replay", "replay", func(t *testing.T, tab context.Context) {
			captions := `[...document.querySelectorAll("#replay caption")].map((c) => c.textContent).join(", ")`
			expect(t, "the tables", ask[string](t, tab, captions), "By rule, By user, By tool, By namespace, Defaults that would be set")
		}},
		{"nothing found", "clean", func(t *testing.T, tab context.Context) {
			expect(t, "the page", ask[string](t, tab, `document.querySelector("#findings h2").textContent`), "Nothing found")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.does(t, open(t, ctx, tc.page)) })
	}
}

func expect(t *testing.T, when, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", when, got, want)
	}
}

// TestPageFits checks that nothing is cut off at any width, in either color scheme and in print. With -screenshots it writes
// pictures.
func TestPageFits(t *testing.T) {
	ctx := browser(t)
	do(t, ctx)
	for name := range golden(t, "html") {
		for _, view := range []struct {
			name   string
			width  int64
			media  string
			scheme string
		}{
			{"light", 1280, "screen", "light"}, {"dark", 1280, "screen", "dark"}, {"narrow", 360, "screen", "dark"}, {"print", 720, "print", "dark"},
		} {
			t.Run(name+"/"+view.name, func(t *testing.T) {
				tab := open(t, ctx, name,
					chromedp.EmulateViewport(view.width, 900), media(view.media, view.scheme))
				if wide := ask[int64](t, tab, "document.documentElement.scrollWidth"); wide > view.width {
					t.Errorf("the page is %d wide, and the window %d", wide, view.width)
				}
				dark := ask[bool](t, tab, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).every((n) => n < 64)`)
				if want := view.media == "screen" && view.scheme == "dark"; dark != want {
					t.Errorf("dark: %v, want %v", dark, want)
				}
				if *screenshots != "" {
					picture, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(*screenshots, name+"-"+view.name+".png"), picture, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// media sets the medium and color scheme of the browser.
func media(medium, scheme string) action {
	return func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Media: medium, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return chromedp.Void{}, err
	}
}
