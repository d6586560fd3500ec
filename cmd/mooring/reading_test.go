package main

import (
	"strings"
	"testing"
	"time"
)

// TestProgress checks what a terminal shows while files are read.
func TestProgress(t *testing.T) {
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		next time.Time
		play func(*reading)
		want string
	}{
		"nothing at first":       {next: future, play: func(r *reading) { r.show(1, 9, "files"); r.clear() }},
		"one line, then removed": {next: past, play: func(r *reading) { r.show(1, 9, "files"); r.clear() }, want: "\r\x1b[K1 of 9 files\r\x1b[K"},
		"not for each file":      {next: past, play: func(r *reading) { r.show(1, 9, "files"); r.next = future; r.show(2, 9, "files") }, want: "\r\x1b[K1 of 9 files"},
		"replaces the previous line": {next: past, play: func(r *reading) { r.show(1, 9, "files"); r.next = past; r.show(9, 9, "files") },
			want: "\r\x1b[K1 of 9 files\r\x1b[K9 of 9 files"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			tc.play(&reading{to: &out, next: tc.next})
			if out.String() != tc.want {
				t.Errorf("the terminal gets %q, want %q", out.String(), tc.want)
			}
		})
	}
}

// TestProgressOfClusters checks that the counts of concurrent audits add up, and that a message appears above the line.
func TestProgressOfClusters(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, 2)
	past := time.Now().Add(-time.Hour)
	p.to, p.next = &out, past
	one, two := p.counter(), p.counter()
	one("shop", 10, 100)
	p.next = past
	two("", 5, 50)
	p.next = past
	one("shop", 100, 100)
	p.say("a note")
	p.next = past
	p.done()
	p.clear()
	lines := []string{
		"10 of 100 objects, 0 of 2 clusters finished", "15 of 150 objects, 0 of 2 clusters finished", "105 of 150 objects, 0 of 2 clusters finished",
		"a note\n", "105 of 150 objects, 1 of 2 clusters finished", "",
	}
	if want := "\r\x1b[K" + strings.Join(lines, "\r\x1b[K"); out.String() != want {
		t.Errorf("the terminal gets\n%q, want\n%q", out.String(), want)
	}
}

// TestProgressNeedsATerminal checks that nothing is written to a pipe or a file.
func TestProgressNeedsATerminal(t *testing.T) {
	var out strings.Builder
	r := newReading(&out)
	r.next = time.Now().Add(-time.Hour)
	r.show(1, 9, "files")
	if out.Len() > 0 {
		t.Errorf("the output has %q", out.String())
	}
}
