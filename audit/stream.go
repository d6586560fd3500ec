package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies/kinds"
)

// pageSize is how many objects are asked for at a time. Memory grows with it, the number of requests shrinks.
const pageSize = 250

// errUnsorted says that the API server lists objects in an order of its own, so that namespaces do not come one by one.
var errUnsorted = errors.New("the API server does not list by namespace")

// stream yields the objects of one kind in the order of their namespaces. It holds one page while the next is on its way.
type stream struct {
	kind  *kinds.Kind
	pages <-chan page
	page  page
}

type page struct {
	objects []kinds.Object
	// more is how many objects the API server says are left.
	more int64
	err  error
}

// source says what streams read.
type source struct {
	reader client.Reader
	// in are the namespaces to read, in the API server's order; a single empty name stands for all of them.
	in []string
	// hold has each stream read everything before it yields the first, and bring it in order itself.
	hold bool
	// unknown is told which kind cannot be read in which namespace, and why.
	unknown func(k *kinds.Kind, namespace string, err error)
}

// open begins to read all objects of the kind. It stops when the context ends.
func (s source) open(ctx context.Context, k *kinds.Kind) *stream {
	pages := make(chan page)
	go func() {
		defer close(pages)
		var held page
		for _, namespace := range s.in {
			for p := range s.list(ctx, k, namespace) {
				if s.hold && p.err == nil {
					held.objects = append(held.objects, p.objects...)
					continue
				}
				select {
				case pages <- p:
				case <-ctx.Done():
					return
				}
			}
		}
		slices.SortStableFunc(held.objects, func(a, b kinds.Object) int { return strings.Compare(key(a.GetNamespace()), key(b.GetNamespace())) })
		select {
		case pages <- held:
		case <-ctx.Done():
		}
	}()
	return &stream{kind: k, pages: pages}
}

// list yields the pages of one list. What is forbidden is unknown and ends it; any other error is in the last page.
func (s source) list(ctx context.Context, k *kinds.Kind, namespace string) func(yield func(page) bool) {
	return func(yield func(page) bool) {
		token := ""
		for {
			list := k.NewList()
			err := s.reader.List(ctx, list, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(token))
			if next := expired(err); next != "" && next != token {
				// The snapshot that was being read is gone. What follows is read as it is now.
				token = next
				continue
			}
			if k == kinds.Advanced && meta.IsNoMatchError(err) {
				return
			}
			if apierrors.IsForbidden(err) {
				if s.in[0] == "" {
					// Nobody wants to hear of it for each namespace.
					namespace = ""
				}
				s.unknown(k, namespace, err)
				return
			}
			if err != nil {
				yield(page{err: fmt.Errorf("listing %s: %w", k.Resource, err)})
				return
			}
			token = list.GetContinue()
			var p page
			for _, o := range k.Items(list) {
				if o, err = kinds.Judged(o); err != nil {
					yield(page{err: fmt.Errorf("%s %s/%s: %w", kinds.Singular(o), o.GetNamespace(), o.GetName(), err)})
					return
				}
				kinds.Trim(o)
				p.objects = append(p.objects, o)
			}
			if left := list.GetRemainingItemCount(); left != nil {
				p.more = *left
			}
			if !yield(p) || token == "" {
				return
			}
		}
	}
}

// expired returns the token to go on with after a token has expired, or nothing.
func expired(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().ListMeta.Continue
}

// next makes sure that the page has an object, and tells whether there is one left.
func (s *stream) next() (bool, error) {
	for len(s.page.objects) == 0 {
		p, ok := <-s.pages
		if !ok {
			return false, nil
		}
		if p.err != nil {
			return false, p.err
		}
		s.page = p
	}
	return true, nil
}

// take returns the objects of the namespace, which is the least that any stream has left.
func (s *stream) take(namespace string) ([]kinds.Object, error) {
	var taken []kinds.Object
	for {
		ok, err := s.next()
		if !ok {
			return taken, err
		}
		n := 0
		for n < len(s.page.objects) && s.page.objects[n].GetNamespace() == namespace {
			n++
		}
		taken = append(taken, s.page.objects[:n]...)
		if s.page.objects = s.page.objects[n:]; len(s.page.objects) == 0 {
			continue
		}
		if key(s.page.objects[0].GetNamespace()) <= key(namespace) {
			return nil, errUnsorted
		}
		return taken, nil
	}
}

// key orders namespaces as the API server does, which keeps namespace and name joined by a slash.
func key(namespace string) string { return namespace + "/" }
