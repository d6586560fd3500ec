package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/native"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

type exportOptions struct {
	vap, defaults bool
	files         []string
	export        native.Options
}

func newExport() *cobra.Command {
	o := exportOptions{export: native.Options{Controllers: policies.Controllers()}}
	cmd := &cobra.Command{
		Use:   "export --vap",
		Short: "Write policies as ValidatingAdmissionPolicies",
		Long: `Export writes the part of the policies that the API server can evaluate itself: ValidatingAdmissionPolicies with their bindings, and
MutatingAdmissionPolicies for defaults. Once you apply them, the API server refuses the worst requests even while no replica of Mooring
answers.

By default it exports the StatefulPolicies of the cluster and both profiles. With --policy or --profile it exports these files or
profiles, and reads no cluster.`,
		Example: `  # The profiles and the policies of the cluster
  mooring export --vap | kubectl apply -f -

  # One profile, for every namespace that chooses none
  mooring export --vap --profile=restricted --default-profile=restricted

  # A policy from a file, for a cluster older than Kubernetes 1.36, which does not serve MutatingAdmissionPolicy v1
  mooring export --vap --policy=policy.yaml --defaults=false`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !o.vap {
				return errors.New("nothing to export. Fix: use --vap, the only export format")
			}
			if err := o.read(cmd); err != nil {
				return err
			}
			objects, err := native.Export(o.export)
			if err != nil {
				return err
			}
			out, err := native.YAML(objects)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.vap, "vap", false, "export ValidatingAdmissionPolicies (and MutatingAdmissionPolicies)")
	f.BoolVar(&o.defaults, "defaults", true, "export defaults as MutatingAdmissionPolicies, which need Kubernetes 1.36; when it reads a cluster, it asks the API server")
	f.StringArrayVar(&o.files, "policy", nil, "file with StatefulPolicies to export instead of the cluster's; may be repeated")
	f.StringSliceVar(&o.export.Profiles, "profile", nil, "profiles to export: baseline, restricted (default: both when it reads a cluster)")
	f.StringVar(&o.export.DefaultProfile, "default-profile", "", "profile of namespaces that choose none: baseline, restricted or off (default: baseline when it reads a cluster, else off)")
	f.StringSliceVar(&o.export.ExcludedNamespaces, "exclude-namespaces", native.DefaultExcludedNamespaces, "namespaces that are never judged")
	f.AddGoFlag(flag.Lookup(config.KubeconfigFlagName))
	registerCompletions(cmd, map[string][]string{
		"profile":         profiles.Names,
		"default-profile": append(slices.Clone(profiles.Names), policies.ProfileOff),
	})
	return cmd
}

// read sets what to export.
func (o *exportOptions) read(cmd *cobra.Command) error {
	o.export.Defaults = o.defaults
	if len(o.files) == 0 && len(o.export.Profiles) == 0 {
		if !cmd.Flags().Changed("default-profile") {
			o.export.DefaultProfile = "baseline"
		}
		o.export.Profiles = profiles.Names
		return o.readCluster(cmd)
	}
	if o.export.DefaultProfile == "" {
		o.export.DefaultProfile = policies.ProfileOff
	}
	for _, name := range o.files {
		read, err := readPolicies(name)
		if err != nil {
			return err
		}
		o.export.Policies = append(o.export.Policies, read...)
	}
	return nil
}

func (o *exportOptions) readCluster(cmd *cobra.Command) error {
	restConfig, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("cannot read policies from a cluster: %w. Fix: name policies with --policy or --profile", err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	reader, err := client.New(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	var list v1alpha1.StatefulPolicyList
	if err := reader.List(cmd.Context(), &list); err != nil {
		return err
	}
	o.export.Policies = list.Items
	if !o.defaults {
		return nil
	}
	server, err := discovery.NewDiscoveryClientForConfig(restConfig)
	if err != nil {
		return err
	}
	resources, err := server.ServerResourcesForGroupVersion(admissionv1.SchemeGroupVersion.String())
	if err != nil {
		return err
	}
	for _, r := range resources.APIResources {
		if r.Kind == "MutatingAdmissionPolicy" {
			return nil
		}
	}
	o.export.Defaults = false
	fmt.Fprintln(cmd.ErrOrStderr(), "mooring: this API server does not serve MutatingAdmissionPolicy v1 (Kubernetes 1.36 and later do), so defaults are not exported")
	return nil
}
