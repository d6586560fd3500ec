// Package crd validates a StatefulPolicy with the API server's own library, without an API server.
package crd

import (
	"context"
	_ "embed"
	"fmt"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

//go:embed mooring.dev_statefulpolicies.yaml
var file []byte

// compiled is the custom resource's schema in the forms that its validators need.
type compiled struct {
	structural  *structuralschema.Structural
	values      schemavalidation.SchemaValidator
	expressions *cel.Validator
}

// compile runs on first use: expressions take a while to compile, and most runs have no policy.
var compile = sync.OnceValues(func() (*compiled, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(file, &definition); err != nil {
		return nil, err
	}
	var schema apiextensions.CustomResourceValidation
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(definition.Spec.Versions[0].Schema, &schema, nil); err != nil {
		return nil, err
	}
	values, _, err := schemavalidation.NewSchemaValidator(schema.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(schema.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	return &compiled{structural, values, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
})

// Validate returns the API server's errors on creating the policy. The policy may be one that the Go type cannot hold.
func Validate(object map[string]any) (field.ErrorList, error) {
	c, err := compile()
	if err != nil {
		return nil, fmt.Errorf("reading the schema of StatefulPolicies: %w", err)
	}
	defaulting.Default(object, c.structural)
	u := &unstructured.Unstructured{Object: object}
	errs := apivalidation.ValidateObjectMetaAccessor(u, false, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, schemavalidation.ValidateCustomResource(nil, object, c.values)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, object)...)
	if len(errs) > 0 {
		// Expressions expect an object that the schema accepts.
		return errs, nil
	}
	errs, _ = c.expressions.Validate(context.Background(), nil, c.structural, object, nil, celconfig.RuntimeCELCostBudget)
	for _, err := range errs {
		if err.Field == "<nil>" {
			// The one expression on the whole object validates its name.
			err.Field = "metadata.name"
		}
	}
	return errs, nil
}

// Refused returns every reason for which a cluster refuses the policy: the API server's errors or, if there are none, Mooring's.
func Refused(policy *v1alpha1.StatefulPolicy) (field.ErrorList, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	if err != nil {
		return nil, err
	}
	refused, err := Validate(object)
	if err != nil || len(refused) > 0 {
		return refused, err
	}
	_, err = policies.Compile(rules.All, []v1alpha1.StatefulPolicy{*policy}, policies.ProfileOff)
	return fieldErrors(err)
}

// fieldErrors extracts the field errors from joined and wrapped errors. It returns any other error unchanged.
func fieldErrors(err error) (field.ErrorList, error) {
	if err == nil {
		return nil, nil
	}
	if one, ok := err.(*field.Error); ok {
		return field.ErrorList{one}, nil
	}
	var within []error
	switch err := err.(type) {
	case interface{ Unwrap() []error }:
		within = err.Unwrap()
	case interface{ Unwrap() error }:
		within = []error{err.Unwrap()}
	case utilerrors.Aggregate:
		within = err.Errors()
	}
	if len(within) == 0 {
		return nil, err
	}
	var all field.ErrorList
	for _, err := range within {
		some, err := fieldErrors(err)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}
