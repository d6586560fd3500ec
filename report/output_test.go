package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOutputsSet(t *testing.T) {
	for _, tc := range []struct {
		name   string
		values []string
		want   string
		err    string
	}{
		{name: "nothing"},
		{name: "a format", values: []string{"json"}, want: "json"},
		{name: "one to the standard output and others to files", values: []string{"json=a.json", "text", "json=b.json"}, want: "json=a.json,text,json=b.json"},
		{name: "an unknown format", values: []string{"yaml"}, err: `unknown output format "yaml". Fix: use text, json`},
		{name: "a file without a name", values: []string{"json="}, err: "has no file name. Fix: write json=FILE"},
		{name: "two to the standard output", values: []string{"json", "text"}, err: "json and text would both be written to the standard output. Fix: write one of them to a file: text=FILE"},
		{name: "two to one file", values: []string{"json=out", "text=./out"}, err: "json and text would both be written to ./out"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Outputs[Report]{Formats: Formats}
			var err error
			for _, v := range tc.values {
				if err = o.Set(v); err != nil {
					break
				}
			}
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil || o.String() != tc.want {
				t.Errorf("got %q, %v; want %q", o.String(), err, tc.want)
			}
		})
	}
}

func TestOutputsWrite(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "out.json"), filepath.Join(dir, "absent", "out.json")
	o := Outputs[Report]{Formats: Formats}
	for _, v := range []string{"json=" + bad, "json=" + good, "text"} {
		if err := o.Set(v); err != nil {
			t.Fatal(err)
		}
	}
	var stdout bytes.Buffer
	err := o.Write(Report{Objects: 3}, &stdout)
	if err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("error %v, want one that names %s", err, bad)
	}
	if !strings.Contains(stdout.String(), "3 objects judged") {
		t.Errorf("standard output: %q", stdout.String())
	}
	if data, err := os.ReadFile(good); err != nil || !strings.Contains(string(data), `"objects": 3`) {
		t.Errorf("the file after one that failed: %q, %v", data, err)
	}
}
