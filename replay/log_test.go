package replay

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
)

// denials returns a log with a denial in the first line after the prelude and in the last.
func denials() []string {
	s := threeReady("RequestResponse")
	s.add("update statefulsets/scale shop/db", "{query: dryRun=All, request: {spec: {replicas: 1}}}")
	s.add("get nodes node-1", "{}")
	s.add("get nodes node-2", "{}")
	s.add("update statefulsets/scale shop/db", "{query: dryRun=All, request: {spec: {replicas: 1}}}")
	return s.lines
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	// A buffer never fails.
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// TestDamagedLogs checks the errors for damaged logs, and that everything before the damage is judged.
func TestDamagedLogs(t *testing.T) {
	lines := denials()
	first := len(lines) - 4
	join := func(lines []string) string { return strings.Join(lines, "\n") + "\n" }
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	packed := zipped(join(lines))
	flipped := []byte(packed)
	flipped[len(flipped)-6] ^= 0xff
	for _, c := range []struct {
		name, log string
		// denied are the lines of the denied requests; errors are the beginnings of the errors.
		denied []int
		errors []string
	}{
		{name: "complete", log: join(lines), denied: []int{first + 1, first + 4}},
		{name: "complete, without the final newline", log: strings.Join(lines, "\n"), denied: []int{first + 1, first + 4}},
		{name: "complete, with empty lines and Windows line endings", log: strings.Join(lines, "\r\n\r\n"), denied: []int{2*first + 1, 2*first + 7}},
		{name: "complete, gzipped", log: packed, denied: []int{first + 1, first + 4}},
		{name: "rotated, gzipped and concatenated", log: zipped(join(lines[:5])) + zipped(join(lines[5:])), denied: []int{first + 1, first + 4}},
		{name: "nothing"},
		{
			name: "cut off", log: strings.Join(lines, "\n")[:len(strings.Join(lines, "\n"))-100], denied: []int{first + 1},
			errors: []string{fmt.Sprintf("log-0:%d: the event is cut off: unexpected end of JSON input", first+4)},
		},
		{
			name: "cut off by a crash of the API server, then continued", log: join(slices.Insert(slices.Clone(lines), first+2, lines[first][:200])),
			denied: []int{first + 1, first + 5}, errors: []string{fmt.Sprintf("log-0:%d: the event is cut off: ", first+3)},
		},
		{
			name: "binary data between events", log: join(slices.Insert(slices.Clone(lines), first+2, "{\x00\x01\x02}")),
			denied: []int{first + 1, first + 5}, errors: []string{fmt.Sprintf("log-0:%d: binary data", first+3)},
		},
		{
			name: "another format", log: "2026-03-01T12:00:00Z AUDIT: id=\"1\" stage=\"ResponseComplete\"\n",
			errors: []string{"log-0:1: not an audit event in JSON. Fix: write the log with --audit-log-format=json"},
		},
		{
			name: "an object that is not an audit event", log: `{"apiVersion":"v1","kind":"Event","reason":"Killing"}`,
			errors: []string{`log-0:1: apiVersion "v1", kind "Event": not an Event of audit.k8s.io/v1`},
		},
		{
			name: "an event without a time", log: `{"apiVersion":"audit.k8s.io/v1","kind":"Event"}`,
			errors: []string{"log-0:1: the event has no stageTimestamp"},
		},
		{
			name: "reordered, latest event first", log: join(append(append(slices.Clone(lines), slices.Repeat(lines[first:first+1], window)...), lines[0])),
			denied: append([]int{first + 1}, sequence(first+4, window+1)...),
			errors: []string{fmt.Sprintf("log-0:%d: the event of 2026-03-01 12:00:01.000000 comes after one of", len(lines)+window+1)},
		},
		{
			name: "gzip cut off", log: packed[:len(packed)-40], denied: []int{first + 1},
			errors: []string{fmt.Sprintf("log-0:%d: the gzip file is cut off here", first+3)},
		},
		{
			name: "gzip with a wrong checksum", log: string(flipped), denied: []int{first + 1, first + 4},
			errors: []string{fmt.Sprintf("log-0:%d: the log cannot be read from here on: gzip: invalid checksum", first+5)},
		},
		{
			name: "gzip with only the magic number", log: "\x1f\x8bhello",
			errors: []string{"log-0:1: the gzip file is damaged: "},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := replayed(t, "baseline", c.log)
			var denied []int
			for _, f := range r.Findings {
				if f.Check == "quorum" {
					denied = append(denied, f.Position.Line)
				}
			}
			slices.Sort(denied)
			if diff := cmp.Diff(c.denied, denied); diff != "" {
				t.Errorf("denied: want (-), got (+):\n%s", diff)
			}
			var said []string
			for _, e := range r.Errors {
				said = append(said, e.Position.String()+": "+e.Message)
			}
			if !slices.EqualFunc(said, c.errors, strings.HasPrefix) {
				t.Errorf("it says\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(c.errors, "\n"))
			}
		})
	}
	t.Run("noise", func(t *testing.T) {
		r := replayed(t, "baseline", join(lines)+string(noise))
		if n := len(r.Errors); n != mostDamage+1 {
			t.Errorf("%d errors, want those of %d lines and a last one", n, mostDamage)
		}
	})
}

func sequence(from, n int) []int {
	var all []int
	for i := range n {
		all = append(all, from+i)
	}
	return all
}

// TestOrder checks that events are judged in order of time, within a log and across logs.
func TestOrder(t *testing.T) {
	lines := denials()
	swapped := slices.Clone(lines)
	for i := 0; i+2 < len(lines); i += 3 {
		slices.Reverse(swapped[i : i+3])
	}
	var odd, even []string
	for i, line := range lines {
		if i%2 == 0 {
			even = append(even, line)
		} else {
			odd = append(odd, line)
		}
	}
	for name, logs := range map[string][]string{
		"an event slightly late":           {strings.Join(swapped, "\n")},
		"rotated, newer file first":        {strings.Join(lines[6:], "\n"), strings.Join(lines[:6], "\n")},
		"two API servers, one log gzipped": {strings.Join(odd, "\n"), zipped(strings.Join(even, "\n"))},
		"an additional empty log":          {"", strings.Join(lines, "\n")},
		"one log for each request":         lines,
	} {
		t.Run(name, func(t *testing.T) {
			want, got := replayed(t, "baseline", strings.Join(lines, "\n")), replayed(t, "baseline", logs...)
			if diff := cmp.Diff(want.Replay.Groups, got.Replay.Groups); diff != "" || len(got.Errors) > 0 {
				t.Errorf("in order (-), so (+):\n%s\n%v", diff, got.Errors)
			}
		})
	}
}

// endless repeats a log's lines without holding them all in memory.
type endless struct {
	lines []string
	left  int
	rest  string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.left--
		e.rest = e.lines[e.left%len(e.lines)] + "\n"
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// TestMemory checks that a replay's memory does not grow with the log.
func TestMemory(t *testing.T) {
	lines := denials()
	again := lines[len(lines)-1:]
	set, err := policies.Compile(rules.All, nil, "baseline")
	if err != nil {
		t.Fatal(err)
	}
	held := func(events int) uint64 {
		log := io.MultiReader(strings.NewReader(strings.Join(lines, "\n")+"\n"), &endless{lines: again, left: events})
		report := Logs([]Log{{"log", log}}, Options{Policies: set, MostListed: 10})
		if want := events + 2; report.Replay.Denied != want {
			t.Fatalf("%d denied, want %d", report.Replay.Denied, want)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		runtime.KeepAlive(report)
		return m.HeapAlloc
	}
	few := held(100)
	many := held(3_000)
	if grown := int64(many) - int64(few); grown > 256<<10 {
		t.Errorf("100 events hold %d bytes, 3,000 events %d", few, many)
	}
}

// FuzzReplay replays damaged logs.
func FuzzReplay(f *testing.F) {
	lines := denials()
	for _, line := range lines {
		f.Add([]byte(line))
	}
	f.Add([]byte(strings.Join(lines, "\n")))
	f.Add([]byte(zipped(strings.Join(lines, "\n"))))
	set, err := policies.Compile(rules.All, nil, "restricted")
	if err != nil {
		f.Fatal(err)
	}
	prelude := strings.Join(lines, "\n") + "\n"
	f.Fuzz(func(t *testing.T, log []byte) {
		if !bytes.HasPrefix(log, []byte{0x1f, 0x8b}) {
			log = append([]byte(prelude), log...)
		}
		r := Logs([]Log{{"log", bytes.NewReader(log)}}, Options{Policies: set, MostListed: 10})
		for _, e := range r.Errors {
			if e.Position.Line < 1 || e.Position.Line > bytes.Count(log, []byte("\n"))+2 && !bytes.HasPrefix(log, []byte{0x1f, 0x8b}) || e.Message == "" {
				t.Errorf("an error in line %d says %q", e.Position.Line, e.Message)
			}
		}
	})
}
