package report

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// written returns the report in a format.
func written(t *testing.T, format string, r Report) string {
	t.Helper()
	f, err := (&Outputs[Report]{Formats: Formats}).find(format)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEveryFormat(t *testing.T) {
	for _, format := range Formats {
		t.Run(format.Name, func(t *testing.T) {
			r := sampleCheck()
			want := written(t, format.Name, r)
			if !strings.Contains(want, "mapping values are not allowed in this context") {
				t.Error("an input that could not be judged is not mentioned")
			}
			slices.Reverse(r.Findings)
			slices.Reverse(r.Errors)
			if written(t, format.Name, r) != want {
				t.Error("the same findings in another order make another text")
			}
			if err := format.Write(full{}, r); err == nil {
				t.Error("a writer that takes nothing is no error")
			}
		})
	}
}

// full is a disk with no space left.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestFingerprintsStayWhenLinesMove(t *testing.T) {
	prints := func(r Report) map[string]bool {
		var log sarifLog
		if err := json.Unmarshal([]byte(written(t, "sarif", r)), &log); err != nil {
			t.Fatal(err)
		}
		all := map[string]bool{}
		for _, result := range log.Runs[0].Results {
			all[result.PartialFingerprints["mooring/v1"]] = true
		}
		return all
	}
	before := prints(sampleCheck())
	moved := sampleCheck()
	for i := range moved.Findings {
		moved.Findings[i].Position.Line += 100
		moved.Findings[i].Message += " Or so."
	}
	if after := prints(moved); !maps.Equal(before, after) {
		t.Errorf("moved by 100 lines: %v, before: %v", after, before)
	}
	if want := len(moved.Findings); len(before) != want {
		t.Errorf("%d findings have %d fingerprints", want, len(before))
	}
	other := sampleCheck()
	other.Findings[1].Path = "spec.elsewhere"
	if maps.Equal(before, prints(other)) {
		t.Error("a finding on another field has the same fingerprint")
	}
}

func TestTextHasColourOnlyWhereWanted(t *testing.T) {
	plain := written(t, "text", sampleCheck())
	if strings.Contains(plain, "\x1b") {
		t.Error("there are escapes in a file")
	}
	for _, line := range strings.Split(plain, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "::") {
			t.Errorf("a hostile name starts a line, which GitHub would run as a command: %q", line)
		}
	}
	if got, want := paint(true).action(v1alpha1.Deny), "\x1b[1;31mdeny\x1b[0m"; got != want {
		t.Errorf("on a terminal: %q, want %q", got, want)
	}
}

func TestFailed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		failOn v1alpha1.Action
		found  v1alpha1.Action
		want   bool
	}{
		{"a denial, by default", "", v1alpha1.Deny, true},
		{"a warning, by default", "", v1alpha1.Warn, false},
		{"a warning, with fail-on warn", v1alpha1.Warn, v1alpha1.Warn, true},
		{"an audit finding, with fail-on warn", v1alpha1.Warn, v1alpha1.Audit, false},
		{"a denial, with fail-on never", v1alpha1.Off, v1alpha1.Deny, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := finding("spread", "together", tc.found, statefulSet("shop", "db"), "spec", "m", "r")
			r := Report{FailOn: tc.failOn, Findings: []Finding{f}}
			if got := r.Failed(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if junit := strings.Contains(written(t, "junit", r), "<failure"); junit != tc.want {
				t.Errorf("JUnit: failed %v, want %v", junit, tc.want)
			}
		})
	}
}
