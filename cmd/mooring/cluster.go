//go:build !lean

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/audit"
	"github.com/mooring-dev/mooring/manifests"
	"github.com/mooring-dev/mooring/manifests/render"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/webhooks"
	corev1 "k8s.io/api/core/v1"
)

// inCluster returns the commands that the lean build leaves to the complete one.
func inCluster() []*cobra.Command {
	return []*cobra.Command{newAudit(), newExport(), newReplay(), newServe(), newRender()}
}

var renderChart, renderKustomization = render.Chart, render.Kustomization

// newRender makes the command that the lean build runs to have a folder rendered. It reads the release from the standard
// input and writes a rendering, both as JSON.
func newRender() *cobra.Command {
	return &cobra.Command{
		Use:    "render chart|kustomization FOLDER",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var release manifests.Release
			if err := json.NewDecoder(cmd.InOrStdin()).Decode(&release); err != nil {
				return fmt.Errorf("the release on the standard input: %w", err)
			}
			var answer rendering
			var err error
			switch args[0] {
			case "chart":
				answer.Manifests, err = renderChart(release, args[1])
			case "kustomization":
				answer.Manifests, err = renderKustomization(args[1])
			default:
				return fmt.Errorf("%q is neither chart nor kustomization", args[0])
			}
			if err != nil && !errors.As(err, &answer.Error) {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(answer)
		},
	}
}

// connect has what is not among the files looked up in the cluster of --context.
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
	j.Live = webhooks.NewWorld(live, live, live).Around(ctx, authenticationv1.UserInfo{}, true)
	// One clear answer is better than one for each object.
	if _, _, err := policies.Get[*corev1.Namespace](j.Live, "", j.Namespace); err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("the cluster of %s cannot be asked: %w", o.context, err)
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
