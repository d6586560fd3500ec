// Package v1alpha1 holds StatefulPolicy, the one document in which Mooring is told what to guard: the same in a
// cluster (a custom resource) and on the command line (a file).
//
// +kubebuilder:object:generate=true
// +groupName=mooring.dev
package v1alpha1
