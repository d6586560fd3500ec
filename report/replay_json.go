package report

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// documentReplay is a replay in JSON.
type documentReplay struct {
	From     time.Time       `json:"from"`
	To       time.Time       `json:"to"`
	Events   int             `json:"events"`
	Judged   int             `json:"judged"`
	Unjudged []documentCount `json:"unjudged,omitempty"`
	documentOutcomes
	Unlisted int              `json:"unlisted"`
	Groups   []documentGroup  `json:"groups"`
	Changes  []documentChange `json:"changes,omitempty"`
}

type documentCount struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

type documentOutcomes struct {
	Denied  int `json:"denied"`
	Warned  int `json:"warned"`
	Audited int `json:"audited"`
	Changed int `json:"changed"`
}

type documentGroup struct {
	By   string        `json:"by"`
	Rows []documentRow `json:"rows"`
}

type documentRow struct {
	Name string `json:"name"`
	documentOutcomes
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

type documentRequest struct {
	AuditID   types.UID `json:"auditID"`
	Time      time.Time `json:"time"`
	Verb      string    `json:"verb"`
	Resource  string    `json:"resource"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	User      string    `json:"user"`
	UserAgent string    `json:"userAgent"`
	DryRun    bool      `json:"dryRun"`
	Code      int32     `json:"code"`
}

type documentChange struct {
	Request *documentRequest `json:"request"`
	Object  documentObject   `json:"object"`
	Fields  []documentField  `json:"fields"`
	documentPosition
}

type documentField struct {
	Path   string `json:"path"`
	Value  string `json:"value"`
	Rule   string `json:"rule"`
	Policy string `json:"policy"`
}

func documentOfReplay(r Replay) *documentReplay {
	d := &documentReplay{
		From: r.From, To: r.To, Events: r.Events, Judged: r.Judged, documentOutcomes: documentOutcomes(r.Outcomes), Unlisted: r.Unlisted,
	}
	for _, c := range r.Unjudged {
		d.Unjudged = append(d.Unjudged, documentCount{c.Name, c.Count})
	}
	for _, g := range r.Groups {
		group := documentGroup{By: g.By, Rows: []documentRow{}}
		for _, row := range g.Rows {
			group.Rows = append(group.Rows, documentRow{row.Name, documentOutcomes(row.Outcomes), row.First, row.Last})
		}
		d.Groups = append(d.Groups, group)
	}
	for _, c := range r.Changes {
		change := documentChange{
			Request: (*documentRequest)(c.Request), Object: documentObject(c.Object), documentPosition: placeOf(c.Position),
		}
		for _, f := range c.Fields {
			change.Fields = append(change.Fields, documentField{f.Path, fmt.Sprint(f.Value), f.Rule, f.Policy})
		}
		d.Changes = append(d.Changes, change)
	}
	return d
}
