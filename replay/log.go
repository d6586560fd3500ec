package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/json"

	"github.com/mooring-dev/mooring/report"
)

const (
	// longestLine is the maximum length of a line, in bytes. An event can have both the requested and the stored object.
	longestLine = 32 << 20
	// window is how many events are held to sort them: API servers handle requests concurrently, and may log the later one first.
	window = 64
	// mostDamage is how many unreadable lines end the reading of a log.
	mostDamage = 10
)

// event is an audit event with its position in a log.
type event struct {
	auditv1.Event
	at report.Position
}

// logReader reads an audit log, plain or gzipped, and yields its events in order of time.
type logReader struct {
	name   string
	lines  *bufio.Scanner
	line   int
	damage int
	ended  bool
	held   byTime
	// until is the time of the last yielded event.
	until time.Time
	// fail is called with what cannot be read.
	fail func(report.Error)
}

func newLogReader(name string, in io.Reader, fail func(report.Error)) *logReader {
	r := &logReader{name: name, fail: fail}
	buffered := bufio.NewReader(in)
	in = buffered
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			r.line = 1
			r.stop("the gzip file is damaged: " + err.Error())
			return r
		}
		in = unpacked
	}
	r.lines = bufio.NewScanner(in)
	r.lines.Buffer(nil, longestLine)
	return r
}

// next returns the earliest remaining event, or nil at the end.
func (r *logReader) next() *event {
	for len(r.held) < window && !r.ended {
		if e := r.read(); e != nil {
			heap.Push(&r.held, e)
		}
	}
	if len(r.held) == 0 {
		return nil
	}
	e := heap.Pop(&r.held).(*event)
	r.until = e.StageTimestamp.Time
	return e
}

// read returns the event of the next line, or nil at the end.
func (r *logReader) read() *event {
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil && !r.ended {
			r.line++
			r.stop(unreadable(err))
		}
		r.ended = true
		return nil
	}
	r.line++
	line := r.lines.Bytes()
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	e, err := decodeEvent(line)
	switch {
	case err != nil && r.lines.Err() != nil:
		// The read failed within this line.
		r.stop(unreadable(r.lines.Err()))
		return nil
	case err != nil:
		r.skip(err.Error())
		return nil
	case e.StageTimestamp.Time.Before(r.until):
		r.skip(fmt.Sprintf("the event of %s comes after one of %s: the lines are not in order of time. Fix: jq -cs 'sort_by(.stageTimestamp)[]'",
			clock(e.StageTimestamp.Time), clock(r.until)))
		return nil
	}
	e.at = r.position()
	return e
}

func (r *logReader) position() report.Position { return report.Position{File: r.name, Line: r.line} }

// skip skips a line, and after too many of them the rest of the log.
func (r *logReader) skip(why string) {
	r.fail(report.Error{Position: r.position(), Message: why})
	if r.damage++; r.damage == mostDamage {
		r.stop(fmt.Sprintf("this is the %dth line that cannot be read; the rest of the log is left out", r.damage))
	}
}

// stop skips the rest of the log.
func (r *logReader) stop(why string) {
	r.ended = true
	r.fail(report.Error{Position: r.position(), Message: why})
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000") }

// unreadable says why a log cannot be read on.
func unreadable(err error) string {
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Sprintf("the line is longer than %d MiB. Fix: check that the file is an audit log", longestLine>>20)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the gzip file is cut off here; the rest is lost"
	}
	return "the log cannot be read from here on: " + err.Error()
}

// decodeEvent decodes a line as an audit event. The error has the remedy.
func decodeEvent(line []byte) (*event, error) {
	switch trimmed := bytes.TrimLeft(line, " \t\r"); {
	case bytes.IndexByte(line, 0) >= 0:
		return nil, errors.New("binary data instead of an audit event in JSON")
	case trimmed[0] != '{':
		return nil, errors.New("not an audit event in JSON. Fix: write the log with --audit-log-format=json")
	}
	e := &event{}
	if err := json.UnmarshalCaseSensitivePreserveInts(line, &e.Event); err != nil {
		if !bytes.HasSuffix(bytes.TrimSpace(line), []byte("}")) {
			return nil, fmt.Errorf("the event is cut off: %w", err)
		}
		return nil, fmt.Errorf("not an audit event: %w", err)
	}
	switch {
	case e.Kind != "Event" || e.APIVersion != auditv1.SchemeGroupVersion.String():
		return nil, fmt.Errorf("apiVersion %q, kind %q: not an Event of %s", e.APIVersion, e.Kind, auditv1.SchemeGroupVersion)
	case e.StageTimestamp.IsZero():
		return nil, errors.New("the event has no stageTimestamp, so its order is unknown")
	}
	return e, nil
}

// byTime is a heap of events, the earliest first. Events of the same time keep the order of their lines.
type byTime []*event

func (h byTime) Len() int      { return len(h) }
func (h byTime) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h byTime) Less(i, j int) bool {
	if a, b := h[i].StageTimestamp, h[j].StageTimestamp; !a.Time.Equal(b.Time) {
		return a.Time.Before(b.Time)
	}
	return h[i].at.Line < h[j].at.Line
}
func (h *byTime) Push(e any) { *h = append(*h, e.(*event)) }
func (h *byTime) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	old[last] = nil
	*h = old[:last]
	return e
}

// merge yields the events of several logs in order of time: rotated files in any order, or the logs of several API servers.
func merge(logs []*logReader, yield func(*event)) {
	heads := make([]*event, len(logs))
	for i, log := range logs {
		heads[i] = log.next()
	}
	for {
		first := -1
		for i, e := range heads {
			if e != nil && (first < 0 || e.StageTimestamp.Time.Before(heads[first].StageTimestamp.Time)) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		yield(heads[first])
		heads[first] = logs[first].next()
	}
}
