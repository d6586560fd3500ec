package policies_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
)

// counted is a Cluster that counts its reads.
type counted struct {
	policies.Cluster
	lists, gets int
}

func (c *counted) List(kind *kinds.Kind, namespace string, selector labels.Selector) ([]kinds.Object, bool, error) {
	c.lists++
	return c.Cluster.List(kind, namespace, selector)
}

func (c *counted) Get(kind *kinds.Kind, namespace, name string) (kinds.Object, bool, error) {
	c.gets++
	return c.Cluster.Get(kind, namespace, name)
}

func TestRemember(t *testing.T) {
	asked := &counted{Cluster: cluster(t, "kind: Service")}
	c := policies.Remember(asked)
	service := object(t, "kind: Service")
	for range 2 {
		if o, _, err := c.Get(kinds.Service, service.GetNamespace(), service.GetName()); o == nil || err != nil {
			t.Errorf("there is %v, error %v", o, err)
		}
		if o, _, err := c.Get(kinds.Service, service.GetNamespace(), "another"); o != nil || err != nil {
			t.Errorf("there is %v, error %v", o, err)
		}
		// As text, the two selectors are equal.
		for want, selector := range []labels.Selector{labels.Nothing(), labels.Everything()} {
			if all, _, err := c.List(kinds.Service, service.GetNamespace(), selector); len(all) != want || err != nil {
				t.Errorf("%#v selects %d objects, want %d, error %v", selector, len(all), want, err)
			}
		}
	}
	if asked.gets != 2 || asked.lists != 2 {
		t.Errorf("%d gets and %d lists reached the cluster, want 2 of each", asked.gets, asked.lists)
	}
}
