package compat

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// auditPolicy is the beginning of the API server's audit policy. It excludes leases, Events and non-resource URLs.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  resources: [{group: coordination.k8s.io}, {group: "", resources: [events]}, {group: events.k8s.io}]
- level: None
  nonResourceURLs: ["/*"]
`

// metadata ends the audit policy. For all other requests the API server records the user, the object and the response, but no bodies.
const metadata = "- level: Metadata\n"

// call is an answered request in the audit log.
type call struct {
	User struct{ Username string }
	Verb string
	// ObjectRef is the requested object. For a Namespace, the field Namespace is its own name.
	ObjectRef struct{ APIGroup, Resource, Subresource, Namespace, Name string }
	// RequestURI and RequestObject are the path and the body. The body is only recorded with -record.
	RequestURI     string
	RequestObject  json.RawMessage
	ResponseStatus struct {
		Code    int
		Message string
	}
}

// auditLog is the API server's audit log.
type auditLog struct{ path string }

// calls returns the calls for a namespace and the objects in it, and its user's calls for cluster-scoped objects, in the order of
// the responses. It replaces the name of the namespace, so that the calls of two namespaces can be compared.
func (l *auditLog) calls(namespace string) ([]call, error) {
	all, err := l.read(namespace, func(c call) bool {
		return c.ObjectRef.Namespace == namespace || c.ObjectRef.Namespace == "" && strings.HasSuffix(c.User.Username, ":"+namespace)
	})
	for i := range all {
		for _, name := range []*string{&all[i].User.Username, &all[i].ObjectRef.Name} {
			*name = strings.ReplaceAll(*name, namespace, "NAMESPACE")
		}
	}
	return all, err
}

const mooringsOwn = "system:serviceaccount:mooring-system:mooring"

// read returns the calls that wanted accepts. It parses only the lines that contain the text.
func (l *auditLog) read(text string, wanted func(call) bool) ([]call, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []call
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c call
		// The last line can be incomplete.
		if strings.Contains(lines.Text(), text) && json.Unmarshal(lines.Bytes(), &c) == nil && wanted(c) {
			all = append(all, c)
		}
	}
	return all, lines.Err()
}

func (c call) object() string {
	o := c.ObjectRef
	resource := o.Resource
	if o.Subresource != "" {
		resource += "/" + o.Subresource
	}
	return strings.TrimSuffix(resource+" "+o.Name, " ")
}

func (c call) writes() bool {
	switch c.Verb {
	case "get", "list", "watch":
		return false
	}
	return true
}

// refused reports whether Mooring refused the call.
func (c call) refused() bool {
	return c.ResponseStatus.Code >= 400 && strings.Contains(c.ResponseStatus.Message, "mooring.dev") && strings.Contains(c.ResponseStatus.Message, "denied the request")
}

// denial is a finding for which Mooring refused a request.
type denial struct {
	// Finding is the rule and the check. Said is the message.
	Finding, Said string
	// Request is the verb and the resource.
	Request string
	// Object is the requested object. User is the client.
	Object, User string
}

func (d denial) String() string {
	verb, _, _ := strings.Cut(d.Request, " ")
	return fmt.Sprintf("%s refused \"%s %s\" by %s: %s", d.Finding, verb, d.Object, d.User, d.Said)
}

var findings = regexp.MustCompile(`(?m)(?:denied the request: |^\s*)([a-z]+(?:-[a-z]+)*/[a-z]+(?:-[a-z]+)*): (.*)`)

// denials returns the findings for which Mooring refused calls.
func denials(calls []call) []denial {
	var all []denial
	for _, c := range calls {
		if !c.refused() {
			continue
		}
		d := denial{Request: c.Verb + " " + strings.Fields(c.object())[0], Object: c.object(), User: c.User.Username}
		found := findings.FindAllStringSubmatch(c.ResponseStatus.Message, -1)
		if found == nil {
			d.Finding, d.Said = "unnamed", c.ResponseStatus.Message
			all = append(all, d)
		}
		for _, f := range found {
			d.Finding, d.Said = f[1], f[2]
			all = append(all, d)
		}
	}
	return all
}

// repeated counts the refused requests that repeat an earlier refused request.
func repeated(calls []call) int {
	asked, n := map[string]bool{}, 0
	for _, c := range calls {
		if !c.refused() {
			continue
		}
		what := c.User.Username + " " + c.Verb + " " + c.object()
		if asked[what] {
			n++
		}
		asked[what] = true
	}
	return n
}

// denialsOfUser returns the denials in the namespaces that a user created, whoever made the request.
func (l *auditLog) denialsOfUser(user string) ([]denial, error) {
	own, err := l.read(`"`+user+`"`, func(c call) bool {
		return c.User.Username == user && c.Verb == "create" && c.ObjectRef.Resource == "namespaces" && c.ObjectRef.Subresource == ""
	})
	if err != nil {
		return nil, err
	}
	var all []denial
	for _, c := range own {
		calls, err := l.calls(c.ObjectRef.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, denials(calls)...)
	}
	return all, nil
}

// bystanders returns the denials of the cluster's own components for cluster-scoped objects, which no case counts. It leaves out
// Mooring's own dry run, which tests that the API server reaches the webhook.
func (l *auditLog) bystanders() ([]denial, error) {
	refused, err := l.read("denied the request", func(c call) bool {
		return c.refused() && c.ObjectRef.Namespace == "" && strings.HasPrefix(c.User.Username, "system:") && c.User.Username != mooringsOwn
	})
	return denials(refused), err
}
