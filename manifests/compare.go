package manifests

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/mooring-dev/mooring/policies"
)

// pair is one object before and after; either may be missing.
type pair struct{ was, now *Document }

// subject returns the document that findings on the pair are about.
func (p pair) subject() *Document {
	if p.now != nil {
		return p.now
	}
	return p.was
}

// compare pairs the objects of two sets. If several files have the same object, the nearest files are paired: those with the same
// path, then those in the same folder. Objects without a pair are new or deleted.
func compare(older, newer []*Document) []pair {
	was := map[policies.Ref][]*Document{}
	for _, d := range older {
		was[identity(d.Object)] = append(was[identity(d.Object)], d)
	}
	taken := map[*Document]*Document{}
	now := map[policies.Ref][]*Document{}
	for _, d := range newer {
		now[identity(d.Object)] = append(now[identity(d.Object)], d)
	}
	for ref, after := range now {
		var couples []pair
		for _, a := range after {
			for _, b := range was[ref] {
				couples = append(couples, pair{was: b, now: a})
			}
		}
		slices.SortStableFunc(couples, func(a, b pair) int {
			return cmp.Or(b.nearness()-a.nearness(), b.likeness()-a.likeness())
		})
		for _, p := range couples {
			if taken[p.was] == nil && taken[p.now] == nil {
				taken[p.was], taken[p.now] = p.now, p.was
			}
		}
	}
	var pairs []pair
	for _, d := range newer {
		pairs = append(pairs, pair{was: taken[d], now: d})
	}
	for _, d := range older {
		if taken[d] == nil {
			pairs = append(pairs, pair{was: d})
		}
	}
	return pairs
}

// nearness compares two files of two sets: the same file of the same rendering is nearest, then one in the same folder. All others
// are equally far.
func (p pair) nearness() int {
	switch was, now := p.was.File, p.now.File; {
	case was.Folder != now.Folder:
		return 0
	case was.Name != now.Name:
		return 1
	}
	return 2
}

// likeness ranks the copies that an object may have moved to: an unchanged one first, then the one that shares most of the path.
func (p pair) likeness() int {
	same := 0
	if equality.Semantic.DeepEqual(p.was.Object, p.now.Object) {
		same = 1 << 20
	}
	was, now := strings.Split(p.was.File.Name, string(filepath.Separator)), strings.Split(p.now.File.Name, string(filepath.Separator))
	for _, name := range was {
		if slices.Contains(now, name) {
			same++
		}
	}
	return same
}

// renamed returns the StatefulSet that replaces each deleted one under another name.
func renamed(pairs []pair) map[*Document]*appsv1.StatefulSet {
	to := map[*Document]*appsv1.StatefulSet{}
	var added []*Document
	for _, p := range pairs {
		if p.was == nil {
			if _, ok := p.now.Object.(*appsv1.StatefulSet); ok {
				added = append(added, p.now)
			}
		}
	}
	for _, p := range pairs {
		if p.now != nil {
			continue
		}
		older, ok := p.was.Object.(*appsv1.StatefulSet)
		if !ok {
			continue
		}
		i := slices.IndexFunc(added, func(d *Document) bool {
			return sameWork(older, d.Object.(*appsv1.StatefulSet))
		})
		if i >= 0 {
			to[p.was] = added[i].Object.(*appsv1.StatefulSet)
			added = slices.Delete(added, i, i+1)
		}
	}
	return to
}

// sameWork reports whether two StatefulSets with different names run the same: they select the same Pods, or have the same images
// and claim names.
func sameWork(a, b *appsv1.StatefulSet) bool {
	if a.Namespace != b.Namespace {
		return false
	}
	return equality.Semantic.DeepEqual(a.Spec.Selector, b.Spec.Selector) || slices.Equal(runs(a), runs(b))
}

// runs lists the images of the containers and the names of the claims.
func runs(set *appsv1.StatefulSet) []string {
	var of []string
	for _, c := range set.Spec.Template.Spec.Containers {
		of = append(of, c.Image)
	}
	of = append(of, "")
	for _, c := range set.Spec.VolumeClaimTemplates {
		of = append(of, c.Name)
	}
	return of
}

// change returns the change of the pair's object.
func (p pair) change(c cluster, renamed map[*Document]*appsv1.StatefulSet) (policies.Change, error) {
	if p.now == nil {
		return policies.Change{Operation: admissionv1.Delete, Old: p.was.Object, InFiles: true, Replacement: renamed[p.was]}, nil
	}
	ch := policies.Change{Operation: admissionv1.Create, New: p.now.Object, Unknown: p.now.unknown}
	if p.was != nil {
		ch.Old, ch.UnknownBefore = p.was.Object, p.was.unknown
	} else {
		stored, err := c.stored(p.now.Object)
		if err != nil {
			return ch, err
		}
		ch.Old = stored
	}
	if ch.Old == nil {
		return ch, nil
	}
	ch.Operation, ch.InFiles = admissionv1.Update, true
	older, ok1 := ch.Old.(*appsv1.StatefulSet)
	newer, ok2 := ch.New.(*appsv1.StatefulSet)
	if ok1 && ok2 && p.now.silent && c.autoscaled(newer) {
		// The autoscaler owns the number, so it stays. Other objects are still judged with the object in the file.
		kept := *newer
		kept.Spec.Replicas = older.Spec.Replicas
		ch.New = &kept
	}
	return ch, nil
}
