// Package v1alpha1 defines StatefulPolicy, the configuration of Mooring. It is the same in a cluster (a custom resource) and on the
// command line (a file).
//
// +kubebuilder:object:generate=true
// +groupName=mooring.dev
package v1alpha1
