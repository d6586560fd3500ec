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

// NewReader returns a reader for large lists. It uses protobuf if the API supports it, has no client-side rate limit, and waits at
// most timeout for an answer.
func NewReader(config *rest.Config, userAgent string, timeout time.Duration) (client.Reader, error) {
	config = rest.CopyConfig(config)
	// The API server has its own priority levels.
	config.UserAgent, config.Timeout, config.QPS = userAgent, timeout, -1
	return client.New(config, client.Options{Scheme: Scheme})
}

// Installed returns the policies in force in the cluster, with the default profile. note gets a message for each invalid policy,
// which is left out as in the webhook, and if the cluster does not have the CRD. If policies cannot be read, only the profiles are
// returned and known is false.
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
