package v1alpha1

import _ "embed"

// Source is the Go text of the types of this package. Its comments and markers document every field of a policy: the
// custom resource definition is generated from them, and so are the pages about the rules.
//
//go:embed types.go
var Source string
