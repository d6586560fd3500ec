package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/audit"
	"github.com/mooring-dev/mooring/manifests"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/webhooks"
	corev1 "k8s.io/api/core/v1"
)

// connect makes lookups of objects that are not in the files use the cluster of --context.
func (o *checkOptions) connect(ctx context.Context, j *manifests.Judgement) error {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.context})
	config, err := kubeconfig.ClientConfig()
	if err != nil {
		return err
	}
	namespace, _, err := kubeconfig.Namespace()
	if err != nil {
		return err
	}
	j.Namespace = cmp.Or(j.Namespace, namespace)
	config.UserAgent, config.QPS, config.Timeout = "mooring-check/"+buildVersion(), -1, 15*time.Second
	live, err := client.New(config, client.Options{Scheme: audit.Scheme})
	if err != nil {
		return err
	}
	j.Live = webhooks.NewClusters(live, live, nil, live).Around(ctx, authenticationv1.UserInfo{}, true)
	// One clear error is better than one for each object.
	if _, _, err := policies.Get[*corev1.Namespace](j.Live, "", j.Namespace); err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("cannot read the cluster of %s: %w", o.context, err)
	}
	return nil
}

// load reads and compiles the policies.
func (p *policyFlags) load() (*policies.Set, error) {
	all, err := p.read()
	if err != nil {
		return nil, err
	}
	return policies.Compile(rules.All, all, p.profile)
}
