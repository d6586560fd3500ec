package compat

var operatorCases []compatCase
