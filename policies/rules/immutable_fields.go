package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var immutableFields = policies.Rule{
	ID:    "immutable-fields",
	Title: "An update changes no immutable field",
	Doc: `In the spec of a StatefulSet, selector, serviceName, podManagementPolicy and volumeClaimTemplates are immutable.
The API server's error lists the fields that can change; this rule names the fields that do change. In a cluster the API
server answers first, so this rule applies when files are compared with an earlier revision. To make the change, delete the
StatefulSet without its Pods and claims, and create it again.`,
	Severity: policies.Low,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, update)},
	Checks:   []policies.Check{{Name: "changed", Doc: "an immutable field changes"}},
	Logic: policies.Typed[v1alpha1.ImmutableFields]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ImmutableFields { return &r.ImmutableFields },
		Baseline:   &v1alpha1.ImmutableFields{Enforcement: deny},
		Restricted: &v1alpha1.ImmutableFields{Enforcement: deny},
		Change:     changesImmutableFields,
	},
}

func changesImmutableFields(ch policies.Change, _ policies.Cluster, _ v1alpha1.ImmutableFields) ([]policies.Finding, error) {
	older, newer, ok := ch.StatefulSets()
	if !ok || !ch.InFiles {
		return nil, nil
	}
	var found []policies.Finding
	for _, field := range []struct {
		name     string
		was, now any
	}{
		{"selector", older.Spec.Selector, newer.Spec.Selector},
		{"serviceName", older.Spec.ServiceName, newer.Spec.ServiceName},
		{"podManagementPolicy", older.Spec.PodManagementPolicy, newer.Spec.PodManagementPolicy},
		{"volumeClaimTemplates", older.Spec.VolumeClaimTemplates, newer.Spec.VolumeClaimTemplates},
	} {
		if equality.Semantic.DeepEqual(field.was, field.now) {
			continue
		}
		found = append(found, policies.Finding{
			Check: "changed", Path: "spec." + field.name,
			Message: fmt.Sprintf("spec.%s of StatefulSet %s is immutable, and the API server refuses the change: %s.", field.name, newer.Name, differences(field.name, field.was, field.now)),
			Remedy: fmt.Sprintf("undo the change, or recreate the StatefulSet around its Pods and claims: %s --cascade=orphan, then apply it again with the same replicas.",
				policies.Command("delete", newer)),
		})
	}
	return found, nil
}

// differences names the first few differences between two values of the field.
func differences(name string, was, now any) string {
	const most = 3
	var all []string
	tell := func(path, was, now string) {
		all = append(all, fmt.Sprintf("%s is %s instead of %s", path, now, was))
	}
	compare(name, plain(was), plain(now), tell)
	if more := len(all) - most; more > 0 {
		all = append(all[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, ", ")
}

// plain returns the value as decoded JSON.
func plain(value any) (decoded any) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &decoded)
	}
	if err != nil {
		return nil
	}
	return decoded
}

// compare calls tell for each leaf that differs.
func compare(path string, was, now any, tell func(path, was, now string)) {
	switch was := was.(type) {
	case map[string]any:
		now, ok := now.(map[string]any)
		if !ok {
			break
		}
		keys := slices.Concat(slices.Collect(maps.Keys(was)), slices.Collect(maps.Keys(now)))
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			at := path + "." + key
			if strings.ContainsAny(key, "./") {
				at = fmt.Sprintf("%s[%q]", path, key)
			}
			compare(at, was[key], now[key], tell)
		}
		return
	case []any:
		now, ok := now.([]any)
		if !ok || len(now) != len(was) {
			break
		}
		for i := range was {
			compare(fmt.Sprintf("%s[%d]", path, i), was[i], now[i], tell)
		}
		return
	}
	if !reflect.DeepEqual(was, now) {
		tell(path, short(was), short(now))
	}
}

// short returns a value for a message.
func short(value any) string {
	switch value := value.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("%q", value)
	case []any:
		return words.Plural(len(value), "item")
	case map[string]any:
		return words.Plural(len(value), "field")
	}
	return fmt.Sprint(value)
}
