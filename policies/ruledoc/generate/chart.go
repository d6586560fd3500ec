package main

import (
	"bytes"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/webhooks/entries"
)

// chart is what the Helm chart takes from the rules and the kinds.
type chart struct {
	entries.Entries `json:",inline"`
	// Controllers are the users with which the control plane carries out earlier deletes.
	Controllers []string `json:"controllers"`
	// ExcludedNamespaces are the namespaces whose requests do not reach Mooring.
	ExcludedNamespaces []string `json:"excludedNamespaces"`
	// Serve, Scanner and Audit are the rights to read the kinds: for requests, for the scanner in addition, and for mooring audit.
	Serve   []rbacv1.PolicyRule `json:"serve"`
	Scanner []rbacv1.PolicyRule `json:"scanner"`
	Audit   []rbacv1.PolicyRule `json:"audit"`
}

func chartFile() ([]byte, error) {
	data, err := yaml.Marshal(chart{
		Entries: entries.For(rules.All), Controllers: policies.Controllers(), ExcludedNamespaces: policies.ExcludedNamespaces(),
		Serve: rights(func(k *kinds.Kind) []string { return k.Verbs }), Scanner: rights(scanned), Audit: rights(audited),
	})
	return append([]byte("# What the rules judge and read. Written by make generate.\n"), data...), err
}

// rights returns the rules of a role with these verbs on each kind.
func rights(verbs func(*kinds.Kind) []string) []rbacv1.PolicyRule {
	var all []rbacv1.PolicyRule
	for _, kind := range kinds.All {
		may := verbs(kind)
		if may == nil {
			continue
		}
		i := slices.IndexFunc(all, func(r rbacv1.PolicyRule) bool { return r.APIGroups[0] == kind.Group && slices.Equal(r.Verbs, may) })
		if i < 0 {
			i = len(all)
			all = append(all, rbacv1.PolicyRule{APIGroups: []string{kind.Group}, Verbs: may})
		}
		all[i].Resources = append(all[i].Resources, kind.Resource)
	}
	return all
}

// scanned returns the verbs with which the scanner reads what requests do not watch. Requests already list Pods, and the scanner
// needs no nodes.
func scanned(kind *kinds.Kind) []string {
	if !kind.Reads && kind.Live {
		return nil
	}
	if !kind.Reads || kind == kinds.PersistentVolume {
		return []string{"list", "watch"}
	}
	return nil
}

// audited returns the verbs with which mooring audit reads the kind.
func audited(kind *kinds.Kind) []string {
	switch {
	case kind == kinds.Node, !kind.Reads && kind.Live:
		return nil
	case kind == kinds.Namespace:
		return []string{"get", "list"} // get, for an audit of namespaces that are named
	}
	return []string{"list"}
}

const auditPolicyHead = `# What an API server should write down so that ` + "`mooring replay`" + ` can tell what policies would have done: kube-apiserver
# --audit-policy-file=audit-policy.yaml --audit-log-path=… Where there is a policy already, put these rules before its own;
# the first that matches a request decides. The rules, in order: what is judged, as it was asked for and as it was stored
# (managedFields tell what a server-side apply had sent); what rules look at besides, most of it the status of Pods; and reads,
# which show what was there before the log began. Written by make generate.
`

// auditPolicy returns the audit policy that records what a replay needs.
func auditPolicy() ([]byte, error) {
	changes := []string{"create", "update", "patch", "delete", "deletecollection"}
	asked := askedAbout(entries.For(rules.All))
	judged, besides, read := map[string][]string{}, map[string][]string{}, map[string][]string{}
	for _, kind := range kinds.All {
		if kind.Sealed {
			// Secrets do not belong in a log.
			continue
		}
		to := besides
		switch asked := asked(kind); {
		case asked && !kind.Live:
			to = judged
			read[kind.Group] = append(read[kind.Group], kind.Resource)
		case !asked && !kind.Reads:
			continue
		}
		to[kind.Group] = append(to[kind.Group], kind.Resource)
		for _, subresource := range kind.Subresources {
			to[kind.Group] = append(to[kind.Group], kind.Resource+"/"+subresource)
		}
	}
	advanced := kinds.Advanced
	judged[advanced.Group] = []string{advanced.Resource, advanced.Resource + "/scale", advanced.Resource + "/status"}
	read[advanced.Group] = []string{advanced.Resource}
	policy := auditv1.Policy{
		TypeMeta: metav1.TypeMeta{APIVersion: auditv1.SchemeGroupVersion.String(), Kind: "Policy"},
		// The last stage has the result.
		OmitStages: []auditv1.Stage{auditv1.StageRequestReceived, auditv1.StageResponseStarted},
		Rules: []auditv1.PolicyRule{
			{Level: auditv1.LevelRequestResponse, Verbs: changes, Resources: grouped(judged)},
			{Level: auditv1.LevelRequestResponse, Verbs: changes, Resources: grouped(besides), OmitManagedFields: new(true)},
			{Level: auditv1.LevelRequestResponse, Verbs: []string{"get"}, Resources: grouped(read), OmitManagedFields: new(true)},
			{Level: auditv1.LevelNone},
		},
	}
	data, err := yaml.Marshal(policy)
	data = bytes.Replace(data, []byte("metadata:\n  creationTimestamp: null\n"), nil, 1)
	return append([]byte(auditPolicyHead), data...), err
}

func grouped(resources map[string][]string) []auditv1.GroupResources {
	var all []auditv1.GroupResources
	for _, kind := range append(slices.Clone(kinds.All), kinds.Advanced) {
		if in := resources[kind.Group]; in != nil {
			all = append(all, auditv1.GroupResources{Group: kind.Group, Resources: in})
			delete(resources, kind.Group)
		}
	}
	return all
}

// askedAbout returns a function that reports whether the API server calls Mooring for a kind.
func askedAbout(all entries.Entries) func(*kinds.Kind) bool {
	asked := slices.Concat(all.Defaults.Rules, all.Lint.Rules, all.Guard.Rules)
	return func(kind *kinds.Kind) bool {
		return slices.ContainsFunc(asked, func(r admissionregistrationv1.RuleWithOperations) bool {
			return r.APIGroups[0] == kind.Group && slices.Contains(r.Resources, kind.Resource)
		})
	}
}
