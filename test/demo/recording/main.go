// Command recording reads what the demo prints and writes it as an animated SVG, a scene for each step:
//
//	go run ./demo | go run ./demo/recording -steps=1,7,9 > demo.svg
package main

import (
	"bufio"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The picture is as wide as a terminal with 100 columns, and as high as the longest scene.
const (
	columns    = 100
	charWidth  = 8
	lineHeight = 18
	margin     = 20
)

var title = regexp.MustCompile(`^ *(\d+)\. (.+)$`)

type scene struct {
	number string
	lines  []string
}

func main() {
	steps := flag.String("steps", "", "the steps to show, by number and separated by commas; all where it is empty")
	seconds := flag.Float64("seconds", 5, "how long each step is shown")
	flag.Parse()
	scenes, err := read(os.Stdin)
	if *steps != "" {
		wanted := strings.Split(*steps, ",")
		scenes = slices.DeleteFunc(scenes, func(s scene) bool { return !slices.Contains(wanted, s.number) })
	}
	if err == nil && len(scenes) == 0 {
		err = fmt.Errorf("the input has none of the steps. Fix: go run ./demo | go run ./demo/recording")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
	draw(os.Stdout, scenes, *seconds)
}

// read splits the demo's output into its steps, with lines that fit the picture.
func read(r io.Reader) ([]scene, error) {
	var scenes []scene
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), " ")
		if match := title.FindStringSubmatch(line); match != nil {
			scenes = append(scenes, scene{number: match[1], lines: []string{"# " + match[2]}})
		} else if len(scenes) > 0 && line != "" {
			last := &scenes[len(scenes)-1]
			last.lines = append(last.lines, wrap(strings.TrimPrefix(line, "    "))...)
		}
	}
	return scenes, lines.Err()
}

func wrap(line string) []string {
	var wrapped []string
	for len(line) > columns {
		at := strings.LastIndex(line[:columns], " ")
		if at <= columns/2 {
			at = columns
		}
		wrapped = append(wrapped, line[:at])
		line = "    " + strings.TrimLeft(line[at:], " ")
	}
	return append(wrapped, line)
}

func draw(w io.Writer, scenes []scene, seconds float64) {
	height := 0
	for _, s := range scenes {
		height = max(height, len(s.lines))
	}
	width, tall := columns*charWidth+2*margin, height*lineHeight+2*margin
	share := 100 / float64(len(scenes))
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="ui-monospace,Menlo,Consolas,monospace" font-size="13" role="img" aria-label="kubectl on a cluster with Mooring">`+"\n", width, tall)
	// A viewer without animations shows the first scene.
	fmt.Fprintf(w, "<style>g{opacity:0;animation:show %ss step-end infinite}g:first-of-type{opacity:1}"+
		"@keyframes show{0%%{opacity:1}%s%%{opacity:0}}"+
		"@media(prefers-reduced-motion:reduce){g{animation:none}}"+
		"text{white-space:pre;fill:#d6deeb}.say{fill:#7fdbca;font-weight:bold}.ask{fill:#fff}.no{fill:#ff8f8f}.warn{fill:#ecc48d}</style>\n",
		number(seconds*float64(len(scenes))), number(share))
	fmt.Fprintf(w, `<rect width="%d" height="%d" rx="8" fill="#011627"/>`+"\n", width, tall)
	for i, s := range scenes {
		fmt.Fprintf(w, `<g style="animation-delay:%ss">`+"\n", number(seconds*float64(i)))
		for n, line := range s.lines {
			fmt.Fprintf(w, `<text x="%d" y="%d"%s xml:space="preserve">`, margin, margin+(n+1)*lineHeight-4, class(line))
			xml.EscapeText(w, []byte(line))
			fmt.Fprintln(w, "</text>")
		}
		fmt.Fprintln(w, "</g>")
	}
	fmt.Fprintln(w, "</svg>")
}

func class(line string) string {
	switch text := strings.TrimSpace(line); {
	case strings.HasPrefix(text, "# "):
		return ` class="say"`
	case strings.HasPrefix(text, "$ "):
		return ` class="ask"`
	case strings.HasPrefix(text, "Error "):
		return ` class="no"`
	case strings.HasPrefix(text, "Warning:"):
		return ` class="warn"`
	}
	return ""
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
