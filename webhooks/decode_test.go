package webhooks

import (
	"encoding/json"
	"math/rand"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kjson "k8s.io/apimachinery/pkg/util/json"
)

// TestDecodesAsTheAPIServerDoes fills every field of every judged kind, and decodes it with the API server's decoder and with this
// package's.
func TestDecodesAsTheAPIServerDoes(t *testing.T) {
	filler := fuzzer.FuzzerFor(metafuzzer.Funcs, rand.NewSource(1), serializer.NewCodecFactory(scheme)).NilChance(.1).NumElements(1, 2)
	for gvk, kind := range scheme.AllKnownTypes() {
		if _, ok := reviewed[gvk.Kind]; !ok {
			continue
		}
		t.Run(gvk.Kind, func(t *testing.T) {
			for range 20 {
				filled := reflect.New(kind).Interface()
				filler.Fill(filled)
				data, err := json.Marshal(filled)
				if err != nil {
					t.Fatal(err)
				}
				want, got := reflect.New(kind).Interface(), reflect.New(kind).Interface()
				if err := kjson.Unmarshal(data, want); err != nil {
					t.Fatal(err)
				}
				if err := decode(data, got); err != nil {
					t.Fatal(err)
				}
				if !equality.Semantic.DeepEqual(want, got) {
					t.Fatalf("decoded (-API server's +ours):\n%s", cmp.Diff(want, got))
				}
			}
		})
	}
}

// reviewed are the kinds that a rule judges.
var reviewed = map[string]bool{
	"StatefulSet": true, "Scale": true, "PersistentVolumeClaim": true, "PersistentVolume": true, "Service": true,
	"Pod": true, "Namespace": true, "HorizontalPodAutoscaler": true, "StatefulPolicy": true,
}
