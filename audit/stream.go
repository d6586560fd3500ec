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

// pageSize is the number of objects on a page. A larger page needs more memory and fewer requests.
const pageSize = 250

// errUnsorted means that the API server does not list objects by namespace.
var errUnsorted = errors.New("the API server does not list by namespace")

// stream yields the objects of a kind in the order of their namespaces. It holds one page and fetches the next.
type stream struct {
	kind  *kinds.Kind
	pages <-chan page
	page  page
}

type page struct {
	objects []kinds.Object
	// more is the number of remaining objects, according to the API server.
	more int64
	err  error
}

// source defines what streams read.
type source struct {
	reader client.Reader
	// in are the namespaces to read, in the API server's order; a single "" means all.
	in []string
	// hold makes each stream read everything and sort it before it yields the first object.
	hold bool
	// unknown is called with the kind that cannot be read, the namespace, and the error.
	unknown func(k *kinds.Kind, namespace string, err error)
}

// open starts to read all objects of the kind, until the context ends.
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

// list yields the pages of a list. A forbidden list is recorded as unknown and ends; any other error is in the last page.
func (s source) list(ctx context.Context, k *kinds.Kind, namespace string) func(yield func(page) bool) {
	return func(yield func(page) bool) {
		token := ""
		for {
			list := k.NewList()
			err := s.reader.List(ctx, list, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(token))
			if next := expired(err); next != "" && next != token {
				// The snapshot of this list has expired. The rest is read as it is now.
				token = next
				continue
			}
			if k == kinds.Advanced && meta.IsNoMatchError(err) {
				return
			}
			if apierrors.IsForbidden(err) {
				if s.in[0] == "" {
					// Report it once, not for each namespace.
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

// expired returns the token to continue with after a token has expired, or "".
func expired(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().ListMeta.Continue
}

// next fetches a page if necessary, and reports whether there is an object left.
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

// take returns the objects of the namespace, which must be the first that any stream has left.
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

// key orders namespaces as the API server does, whose keys join namespace and name with a slash.
func key(namespace string) string { return namespace + "/" }
