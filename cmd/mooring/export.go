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
		Short: "Write policies as the API server's own admission policies",
		Long: `Export writes the part of the policies that the API server can judge by itself, as ValidatingAdmissionPolicies with their
bindings, and their defaults as MutatingAdmissionPolicies. With them applied, the server still refuses the worst while no
replica of Mooring answers.

The policies are those of the cluster and both profiles; or those of the files given with --policy, or the profiles given
with --profile, and then no cluster is asked.`,
		Example: `  # The profiles and the policies in force
  mooring export --vap | kubectl apply -f -

  # One profile, for every namespace that chooses none
  mooring export --vap --profile=restricted --default-profile=restricted

  # A policy from a file, for a cluster older than Kubernetes 1.36, which has no MutatingAdmissionPolicy
  mooring export --vap --policy=policy.yaml --defaults=false`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !o.vap {
				return errors.New("--vap says what to export to, and is all there is")
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
	f.BoolVar(&o.defaults, "defaults", true, "export defaults as MutatingAdmissionPolicies, which servers have since Kubernetes 1.36; a cluster that is read is asked")
	f.StringArrayVar(&o.files, "policy", nil, "file with StatefulPolicies to export instead of the cluster's; may be repeated")
	f.StringSliceVar(&o.export.Profiles, "profile", nil, "profiles to export, for the namespaces that are labelled with them: baseline, restricted; both where the cluster is read")
	f.StringVar(&o.export.DefaultProfile, "default-profile", "", "profile of namespaces that choose none: baseline, restricted or off; baseline where the cluster is read, else off")
	f.StringSliceVar(&o.export.ExcludedNamespaces, "exclude-namespaces", native.DefaultExcludedNamespaces, "namespaces that are never judged")
	f.AddGoFlag(flag.Lookup(config.KubeconfigFlagName))
	registerCompletions(cmd, map[string][]string{
		"profile":         profiles.Names,
		"default-profile": append(slices.Clone(profiles.Names), policies.ProfileOff),
	})
	return cmd
}

// read fills in what is to be exported.
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
		return fmt.Errorf("no cluster to read the policies from (%w); give them with --policy or --profile", err)
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
	fmt.Fprintln(cmd.ErrOrStderr(), "mooring: this server has no MutatingAdmissionPolicy (Kubernetes 1.36 and later do): defaults are left to Mooring.")
	return nil
}
