package report

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mooring-dev/mooring/policies"
)

// Replay is the content of a recorded audit log, with the policies' answers.
type Replay struct {
	// From and To are the times of the first and last event.
	From, To time.Time
	// Events counts the read events, Judged the requests that a rule judged.
	Events, Judged int
	// Unjudged counts by reason the requests that could not be judged, the most frequent first.
	Unjudged []Count
	Outcomes
	// Groups count the requests by rule, user, tool and namespace.
	Groups []Group
	// Changes are the defaults that would have been set.
	Changes []Change
	// Unlisted counts the findings and changes above the limit, which are counted but not listed.
	Unlisted int
}

// Count is a number of requests with a name.
type Count struct {
	Name  string
	Count int
}

// Group counts requests by a property.
type Group struct {
	// By is rule, user, tool or namespace.
	By   string
	Rows []Row
}

// Row has the outcomes of the requests with a value of the property, and the times of the first and last one.
type Row struct {
	Name string
	Outcomes
	First, Last time.Time
}

// Outcomes count requests. A request that is denied and warned about counts only as denied. A changed request also counts as
// changed.
type Outcomes struct{ Denied, Warned, Audited, Changed int }

// Request is a request of a recorded audit log.
type Request struct {
	AuditID types.UID
	Time    time.Time
	// Verb and Resource, with its subresource, are those of the audit event, such as patch statefulsets/scale.
	Verb, Resource  string
	Namespace, Name string
	User, UserAgent string
	DryRun          bool
	// Code is the HTTP status of the response.
	Code int32
}

// Change has the defaults that the policies would have set in a request.
type Change struct {
	Request  *Request
	Position Position
	Object   policies.Ref
	Fields   []policies.FilledField
}
