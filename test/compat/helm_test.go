package compat

import "strings"

var (
	losesClaims = refusal{finding: "delete-protection/data", request: "delete statefulsets", why: "it deletes the claims of three members and their data"}
	losesAll    = refusal{finding: "delete-protection/running", request: "delete statefulsets", why: "it stops three ready members"}
	losesNames  = refusal{finding: "headless-service/in-use", request: "delete services", why: "the members lose their DNS names"}
	wantsRetain = refusal{finding: "retention-policy/required", request: "statefulsets", why: "restricted requires the retention policy Retain"}
)

// helmCases returns the cases of a release's life, which are the same for both major versions of Helm.
func helmCases(program string) []compatCase {
	rollBackOnFailure := "--atomic"
	if program == "helm4" {
		rollBackOnFailure = "--rollback-on-failure"
	}
	all := []compatCase{
		{
			name: "install, upgrade, roll back, uninstall",
			does: `
helm install db ./chart --wait --timeout=90s
unchanged helm upgrade db ./chart
unchanged helm upgrade db ./chart --dry-run=server
helm upgrade db ./chart --set=image=registry.example/db:2 --wait --timeout=90s
helm upgrade db ./chart --reuse-values --set=replicas=4 --wait --timeout=90s
helm rollback db 3 --wait --timeout=90s
settled db 3
helm uninstall db --wait --timeout=90s
none statefulsets services pods
test -z "$(helm list -aq)"
helm install db ./chart
settled db 3
quiet 3`,
		},
		{
			name: "uninstall with retention policy Delete",
			does: `
refused restricted helm install db ./chart --set=whenDeleted=Delete --wait --timeout=90s
[ "$PROFILE" != restricted ] || exit 0
unchanged helm upgrade db ./chart --set=whenDeleted=Delete
unchanged helm upgrade db ./chart --set=whenDeleted=Delete
refused baseline helm uninstall db --wait --timeout=30s
unless baseline none statefulsets services pods pvc`,
			refused: map[string][]refusal{"baseline": {losesClaims}, "restricted": {wantsRetain}},
		},
		{
			name: "roll back a failed first install",
			does: `
fails helm install db ./chart --set=disk=none ROLLBACK --timeout=8s
none statefulsets services pods
test -z "$(helm list -aq)"
helm install db ./chart
settled db 3
quiet 3`,
		},
		{
			name: "roll back a failed first install with retention policy Delete",
			does: `
fails helm install db ./chart --set=disk=none,whenDeleted=Delete ROLLBACK --timeout=8s
none statefulsets services pods
test -z "$(helm list -aq)"`,
			refused: map[string][]refusal{"restricted": {wantsRetain}},
			slow:    true,
		},
	}
	for i := range all {
		all[i].program = program
		all[i].does = strings.ReplaceAll(all[i].does, "ROLLBACK", rollBackOnFailure)
	}
	return all
}
