package compat

// e2eRefused are Kubernetes' cases that baseline refuses, and why a user of baseline wants that.
var e2eRefused = map[string]e2eAllowance{}

// e2eQuick are the cases for the quick part.
var e2eQuick = []string{}
