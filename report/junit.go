package report

import (
	"cmp"
	"encoding/xml"
	"io"
	"strings"
)

// junitSuites and its parts are the elements that every reader of JUnit XML knows.
type junitSuites struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr"`
	junitCounts
	Suites []*junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name string `xml:"name,attr"`
	junitCounts
	Cases []junitCase `xml:"testcase"`
}

type junitCounts struct {
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Errors   int    `xml:"errors,attr"`
	Skipped  int    `xml:"skipped,attr"`
	Time     string `xml:"time,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Skipped *junitSkipped `xml:"skipped"`
	// Output is the text of a case that passes.
	Output string `xml:"system-out,omitempty"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes a test suite for each file, or namespace of a live cluster, with a case for each finding. A case fails if the
// finding fails the run; otherwise its output has the finding. A report without findings has one case that passes, because some
// readers reject a file without cases.
func writeJUnit(w io.Writer, r Report) error {
	all := junitSuites{Name: "mooring"}
	for _, f := range r.Findings {
		text := strings.TrimPrefix(f.Position.String()+"\n"+f.text()+"\n"+f.Docs, "\n")
		c := junitCase{Class: f.Object.String(), Name: strings.TrimSpace(f.ID() + " " + f.Path), File: f.Position.File, Line: f.Position.Line}
		if f.Ignored != "" {
			c.Skipped = &junitSkipped{"ignored: " + f.Ignored}
		} else if r.Fails(f) {
			c.Failure = &junitProblem{f.Message, string(f.Action), text}
		} else {
			c.Output = string(f.Action) + ": " + text
		}
		all.add(cmp.Or(f.Position.File, strings.Trim(f.Cluster+"/"+f.Object.Namespace, "/"), "cluster"), c)
	}
	for _, e := range r.Errors {
		all.unjudged(e)
	}
	if len(all.Suites) == 0 {
		all.add("mooring", junitCase{Class: "mooring", Name: "nothing found", Output: r.Summary()})
	}
	return all.write(w)
}

// unjudged adds what could not be read or judged.
func (all *junitSuites) unjudged(e Error) {
	all.add(cmp.Or(e.Position.File, "input"), junitCase{
		Class: "input", Name: cmp.Or(e.Position.String(), e.text()), File: e.Position.File, Line: e.Position.Line,
		Error: &junitProblem{e.text(), "not judged", strings.TrimPrefix(e.Position.String()+"\n"+e.text(), "\n")},
	})
}

func (all *junitSuites) write(w io.Writer) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (all *junitSuites) add(name string, c junitCase) {
	suite := all.suite(name)
	c.Time = "0"
	suite.Cases = append(suite.Cases, c)
	for _, counts := range []*junitCounts{&all.junitCounts, &suite.junitCounts} {
		counts.Time = "0"
		counts.Tests++
		if c.Failure != nil {
			counts.Failures++
		}
		if c.Skipped != nil {
			counts.Skipped++
		}
		if c.Error != nil {
			counts.Errors++
		}
	}
}

func (all *junitSuites) suite(name string) *junitSuite {
	for _, suite := range all.Suites {
		if suite.Name == name {
			return suite
		}
	}
	suite := &junitSuite{Name: name}
	all.Suites = append(all.Suites, suite)
	return suite
}
