package audit

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// NewReader returns a reader for large lists: protobuf where the API has it, as fast as the API server lets it be, and no
// longer than timeout for one answer.
func NewReader(config *rest.Config, userAgent string, timeout time.Duration) (client.Reader, error) {
	config = rest.CopyConfig(config)
	// The API server has priority levels of its own.
	config.UserAgent, config.Timeout, config.QPS = userAgent, timeout, -1
	return client.New(config, client.Options{Scheme: Scheme})
}

// Installed returns the policies that are in force in the cluster, with the profile for namespaces that choose none. note is
// told which of them cannot be used and so are left out, as the webhook leaves them out, and whether the cluster knows
// StatefulPolicies at all. Where they may not be read, the profiles are returned, and known is false.
func Installed(ctx context.Context, reader client.Reader, defaultProfile string, note func(string)) (set *policies.Set, known bool, err error) {
	var list v1alpha1.StatefulPolicyList
	err = reader.List(ctx, &list)
	known = !apierrors.IsForbidden(err)
	switch {
	case meta.IsNoMatchError(err):
		note("the cluster has no StatefulPolicy CRD, so only the profiles apply")
	case err != nil && known:
		return nil, known, fmt.Errorf("listing StatefulPolicies: %w", err)
	}
	set, unusable := policies.Compile(rules.All, list.Items, defaultProfile)
	if set == nil {
		return nil, known, unusable
	}
	if unusable != nil {
		note("left out: " + unusable.Error())
	}
	return set, known, nil
}
