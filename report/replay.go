package report

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mooring-dev/mooring/policies"
)

// Replay is what a recorded audit log holds, and what the policies would have made of it.
type Replay struct {
	// From and To are the times of the first and the last event.
	From, To time.Time
	// Events counts those that were read, Judged the requests among them that a rule looked at.
	Events, Judged int
	// Unjudged counts, by reason, the requests that a rule would have looked at and could not; the most first.
	Unjudged []Count
	Outcomes
	// Groups count the same by rule, user, tool and namespace.
	Groups []Group
	// Changes are what defaults would have filled in.
	Changes []Change
	// Unlisted counts the findings and changes that are counted above and not listed, as they were too many.
	Unlisted int
}

// Count is how many requests there are of something.
type Count struct {
	Name  string
	Count int
}

// Group counts requests by one of their properties.
type Group struct {
	// By is rule, user, tool or namespace.
	By   string
	Rows []Row
}

// Row is what would have become of the requests that share a property, and when the first and the last of them came.
type Row struct {
	Name string
	Outcomes
	First, Last time.Time
}

// Outcomes count requests. One that is denied and warned about counts as denied only, one that is changed as that besides.
type Outcomes struct{ Denied, Warned, Audited, Changed int }

// Request is a request of a recorded audit log.
type Request struct {
	AuditID types.UID
	Time    time.Time
	// Verb and Resource, with its subresource, are those of the audit event: patch statefulsets/scale.
	Verb, Resource  string
	Namespace, Name string
	User, UserAgent string
	DryRun          bool
	// Code is the HTTP status that the request was answered with.
	Code int32
}

// Change is what the policies' defaults would have filled into a request.
type Change struct {
	Request  *Request
	Position Position
	Object   policies.Ref
	Fields   []policies.FilledField
}
