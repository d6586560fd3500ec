package compat

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// auditPolicy has the API server write down who asked for what and what it answered, and no contents.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  resources: [{group: coordination.k8s.io}, {group: "", resources: [events]}, {group: events.k8s.io}]
- level: None
  nonResourceURLs: ["/*"]
`

const metadata = "- level: Metadata\n"

// call is a request that the API server answered.
type call struct {
	User struct{ Username string }
	Verb string
	// ObjectRef is what the request is about. A Namespace is in itself.
	ObjectRef struct{ APIGroup, Resource, Subresource, Namespace, Name string }
	// RequestURI and RequestObject are what was asked for; the object only in a recording.
	RequestURI    string
	RequestObject json.RawMessage
	// ResponseStatus is the answer.
	ResponseStatus struct {
		Code    int
		Message string
	}
}

// auditLog is the API server's.
type auditLog struct{ path string }

// calls returns the calls about a namespace and what is in it, and those of its user about what is in none, in the order in which
// they were answered. The namespace's name is taken out of them, so that they compare with another namespace's.
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

// read returns the calls that are wanted. Only lines that hold the text are looked at.
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
		// The last line may be under way.
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

// refused tells whether Mooring refused the call.
func (c call) refused() bool {
	return c.ResponseStatus.Code >= 400 && strings.Contains(c.ResponseStatus.Message, "mooring.dev") && strings.Contains(c.ResponseStatus.Message, "denied the request")
}

// denial is a finding that Mooring refused a request for.
type denial struct {
	// Finding is rule and check, and Said what it says.
	Finding, Said string
	// Request is verb and resource.
	Request string
	// Object and User say whose it was.
	Object, User string
}

func (d denial) String() string {
	return fmt.Sprintf("%s refused %s of %s by %s: %s", d.Finding, d.Request, d.Object, d.User, d.Said)
}

var findings = regexp.MustCompile(`(?m)(?:denied the request: |^\s*)([a-z]+(?:-[a-z]+)*/[a-z]+(?:-[a-z]+)*): (.*)`)

// denials returns what Mooring refused of the calls, a finding each.
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

// repeated counts the refused requests that were asked before.
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

// denialsOfUser returns what was refused in the namespaces that a user made, to anybody.
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

// bystanders returns what was refused to the cluster's own programs outside of every namespace, where no case counts it. Mooring asks
// whether it refuses.
func (l *auditLog) bystanders() ([]denial, error) {
	refused, err := l.read("denied the request", func(c call) bool {
		return c.refused() && c.ObjectRef.Namespace == "" && strings.HasPrefix(c.User.Username, "system:") && c.User.Username != mooringsOwn
	})
	return denials(refused), err
}
