package certs

import (
	"bytes"
	"crypto/x509"
	"maps"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

const day = 24 * time.Hour

// start is far from the real time, so that a test that reads the real clock fails.
var start = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func testOptions(t *testing.T, clock clock.Clock) Options {
	t.Helper()
	o := Options{
		Namespace: "mooring-system", Secret: "mooring-cert", Service: "mooring", ExtraNames: []string{"127.0.0.1", "hook.example"},
		Clock: clock,
	}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	return o
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// trusts reports whether an API server with this caBundle accepts the leaf of c for the Service's name.
func trusts(t *testing.T, bundle, c *chain, now time.Time) bool {
	t.Helper()
	config := &admissionv1.WebhookClientConfig{
		CABundle: must[[]byte](t)(bundle.bundle()),
		Service:  &admissionv1.ServiceReference{Namespace: "mooring-system", Name: "mooring"},
	}
	return accepts(config, &c.leaf, now) == nil
}

func TestOptions(t *testing.T) {
	ok := Options{Namespace: "ns", Secret: "cert", Service: "svc"}
	tests := map[string]struct {
		change func(*Options)
		want   string
	}{
		"the defaults":                       {func(*Options) {}, ""},
		"an IP address instead of a Service": {func(o *Options) { o.Service, o.ExtraNames = "", []string{"127.0.0.1"} }, ""},
		"no name":                            {func(o *Options) { o.Service = "" }, "needs a Service or a DNS name"},
		"no Secret":                          {func(o *Options) { o.Secret = "" }, "needs a namespace and a name"},
		"no namespace":                       {func(o *Options) { o.Namespace = "" }, "needs a namespace and a name"},
		"a leaf outlives its CA":             {func(o *Options) { o.CAValidity = day }, "must not exceed that of its CA"},
		"a settle time beyond the expiry":    {func(o *Options) { o.LeafValidity, o.Settle = 3*time.Hour, time.Hour }, "settle time"},
		"a negative settle time":             {func(o *Options) { o.Settle = -1 }, "settle time"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := ok
			test.change(&o)
			err := o.complete()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

func TestNewChain(t *testing.T) {
	o := testOptions(t, clocktesting.NewFakeClock(start))
	c := must[*chain](t)(newChain(o, start))
	for _, name := range []string{
		"mooring.mooring-system.svc", "mooring.mooring-system.svc.cluster.local", "mooring.mooring-system", "mooring",
		"hook.example", "127.0.0.1",
	} {
		if err := c.leaf.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if got, want := c.leaf.Leaf.NotAfter, start.Add(90*day); !got.Equal(want) {
		t.Errorf("the leaf expires at %s, want %s", got, want)
	}
	if got, want := c.cas[0].NotAfter, start.Add(365*day); !got.Equal(want) {
		t.Errorf("the CA expires at %s, want %s", got, want)
	}
	if !trusts(t, c, c, start) || !trusts(t, c, c, start.Add(-30*time.Minute)) {
		t.Error("a new leaf must be trusted, by an API server whose clock is behind too")
	}
	if trusts(t, c, c, start.Add(91*day)) {
		t.Error("an expired leaf must not be trusted")
	}
	if c.leaf.Leaf.IsCA || c.leaf.Leaf.KeyUsage&x509.KeyUsageCertSign != 0 {
		t.Error("the leaf must not be able to sign")
	}
}

func TestLeafDoesNotOutliveItsCA(t *testing.T) {
	o := testOptions(t, clocktesting.NewFakeClock(start))
	c := must[*chain](t)(newChain(o, start))
	c = must[*chain](t)(c.withNewLeaf(o, start.Add(300*day)))
	if !c.leaf.Leaf.NotAfter.Equal(c.cas[0].NotAfter) {
		t.Errorf("the leaf expires at %s, its CA at %s", c.leaf.Leaf.NotAfter, c.cas[0].NotAfter)
	}
}

func TestNext(t *testing.T) {
	o := testOptions(t, clocktesting.NewFakeClock(start))
	fresh := must[*chain](t)(newChain(o, start))
	pending := must[*chain](t)(fresh.withNewCA(o, start))
	moreNames := o
	moreNames.ExtraNames = append(moreNames.ExtraNames, "10.0.0.1")
	fewerNames := o
	fewerNames.ExtraNames = nil
	rotated := must[*chain](t)(pending.withNewLeaf(o, start.Add(364*day))) // outlives the older CA by far

	tests := map[string]struct {
		c              *chain
		o              Options
		settled        bool
		after          time.Duration
		reason         string // empty: stays
		newLeaf, newCA bool
		cas            int
	}{
		"new":          {c: fresh, o: o, after: 0, cas: 1},
		"new, settled": {c: fresh, o: o, settled: true, cas: 1},
		"before two thirds of the leaf's lifetime": {c: fresh, o: o, settled: true, after: 60 * day, cas: 1},
		"after two thirds of the leaf's lifetime":  {c: fresh, o: o, after: 60*day + time.Second, reason: "the leaf expires", newLeaf: true, cas: 1},
		"after two thirds of the CA's lifetime":    {c: fresh, o: o, settled: true, after: 244 * day, reason: "the CA expires", newCA: true, cas: 2},
		"new CA, not in the caBundles yet":         {c: pending, o: o, after: day, cas: 2},
		"new CA, not settled, leaf due":            {c: pending, o: o, after: 70 * day, cas: 2},
		"new CA, settled":                          {c: pending, o: o, settled: true, after: day, reason: "the new CA is in place", newLeaf: true, cas: 2},
		"an additional name":                       {c: fresh, o: moreNames, reason: "not valid for 10.0.0.1", newLeaf: true, cas: 1},
		"one name fewer":                           {c: fresh, o: fewerNames, cas: 1},
		"an old CA has expired":                    {c: withLifetimes(rotated, start.Add(400*day)), o: o, after: 366 * day, reason: "drop it", cas: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			now := start.Add(test.after)
			next, reason, err := test.c.next(test.o, test.settled, now)
			if err != nil {
				t.Fatal(err)
			}
			if (reason == "") != (test.reason == "") || !strings.Contains(reason, test.reason) {
				t.Errorf("got reason %q, want %q", reason, test.reason)
			}
			if (next == test.c) != (test.reason == "") {
				t.Error("a chain must change if and only if there is a reason")
			}
			if got := next.leaf.Leaf != test.c.leaf.Leaf; got != test.newLeaf {
				t.Errorf("new leaf: %t", got)
			}
			if got := next.cas[0] != test.c.cas[0]; got != test.newCA {
				t.Errorf("new CA: %t", got)
			}
			if len(next.cas) != test.cas {
				t.Errorf("got %d CAs, want %d", len(next.cas), test.cas)
			}
			if test.newLeaf && (next.pending() || next.missing(test.o.names()) != "") {
				t.Error("a new leaf must be signed by the newest CA and carry all names")
			}
		})
	}
}

// withLifetimes changes the expiry of the newest CA and the leaf, in memory only.
func withLifetimes(c *chain, end time.Time) *chain {
	ca, leaf := *c.cas[0], *c.leaf.Leaf
	ca.NotAfter, leaf.NotAfter = end.Add(365*day), end.Add(90*day)
	changed := &chain{leaf: c.leaf, cas: append([]*x509.Certificate{&ca}, c.cas[1:]...), signer: c.signer}
	changed.leaf.Leaf = &leaf
	return changed
}

// TestYears simulates three years of rotation in steps of three hours, with API servers that see a caBundle late and replicas that
// see the Secret late. No API server may ever reject a replica.
func TestYears(t *testing.T) {
	clock := clocktesting.NewFakeClock(start)
	o := testOptions(t, clock)
	o.Settle = 9 * time.Hour
	const lag = 6 * time.Hour // of an API server
	c := must[*chain](t)(newChain(o, start))
	apiserver, injected, replica := c, start, c
	leaves, cas := 0, 0
	for ; clock.Now().Before(start.Add(3 * 365 * day)); clock.Step(3 * time.Hour) {
		now := clock.Now()
		if now.Sub(injected) >= lag {
			apiserver = c
		}
		next, reason, err := c.next(o, now.Sub(injected) >= o.Settle, now)
		if err != nil {
			t.Fatal(err)
		}
		if reason != "" {
			if next.leaf.Leaf != c.leaf.Leaf {
				leaves++
			}
			if next.cas[0] != c.cas[0] {
				cas++
			}
			if !bytes.Equal(must[[]byte](t)(next.bundle()), must[[]byte](t)(c.bundle())) {
				injected = now
			}
			// The slow replica only now gets the previous leaf.
			replica, c = c, must[*chain](t)(parse(must[map[string][]byte](t)(next.data())))
		}
		for who, served := range map[string]*chain{"the leader": c, "a replica that lags behind": replica} {
			if !served.leaf.Leaf.NotAfter.After(now) {
				continue // a leaf that nobody renewed in time would show at the leader
			}
			if !trusts(t, apiserver, served, now) {
				t.Fatalf("after %s, %s is not trusted", now.Sub(start), who)
			}
		}
		if err := c.expired(now); err != nil {
			t.Fatal(err)
		}
	}
	if leaves < 15 || cas < 4 {
		t.Errorf("%d leaves and %d CAs in three years: the test has not tested much", leaves, cas)
	}
}

func TestParse(t *testing.T) {
	o := testOptions(t, clocktesting.NewFakeClock(start))
	c := must[*chain](t)(newChain(o, start))
	good := must[map[string][]byte](t)(must[*chain](t)(c.withNewCA(o, start)).data())
	other := must[map[string][]byte](t)(must[*chain](t)(newChain(o, start)).data())

	tests := map[string]struct {
		change func(map[string][]byte)
		want   string // empty: good
	}{
		"the Secret as written":               {func(map[string][]byte) {}, ""},
		"an additional key":                   {func(d map[string][]byte) { d["more"] = []byte("x") }, ""},
		"empty":                               {func(d map[string][]byte) { clear(d) }, "tls.crt and tls.key"},
		"no leaf key":                         {func(d map[string][]byte) { delete(d, "tls.key") }, "tls.crt and tls.key"},
		"another leaf's key":                  {func(d map[string][]byte) { d["tls.key"] = other["tls.key"] }, "tls.crt and tls.key"},
		"a truncated leaf":                    {func(d map[string][]byte) { d["tls.crt"] = d["tls.crt"][:100] }, "tls.crt and tls.key"},
		"no CA":                               {func(d map[string][]byte) { delete(d, "ca.crt") }, "ca.crt"},
		"an invalid CA":                       {func(d map[string][]byte) { d["ca.crt"] = []byte("noise") }, "ca.crt"},
		"another CA":                          {func(d map[string][]byte) { d["ca.crt"] = other["ca.crt"] }, "ca.key is not the key"},
		"no CA key":                           {func(d map[string][]byte) { delete(d, "ca.key") }, "ca.key"},
		"a certificate instead of the CA key": {func(d map[string][]byte) { d["ca.key"] = d["ca.crt"] }, "ca.key"},
		"another CA and key":                  {func(d map[string][]byte) { d["ca.crt"], d["ca.key"] = other["ca.crt"], other["ca.key"] }, "not signed by any"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(good)
			test.change(data)
			got, err := parse(data)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got error %v, want %q", err, test.want)
			}
			if err == nil && (!got.leaf.Leaf.Equal(c.leaf.Leaf) || len(got.cas) != 2 || !got.pending()) {
				t.Error("the chain has changed on its way through the Secret")
			}
		})
	}
}

func TestReplacement(t *testing.T) {
	o := testOptions(t, clocktesting.NewFakeClock(start))
	fresh := must[*chain](t)(newChain(o, start))
	pending := must[*chain](t)(fresh.withNewCA(o, start))
	tests := map[string]struct {
		held     *chain
		after    time.Duration
		overlaps bool
		cas      int
	}{
		"no chain":                       {held: nil, cas: 1},
		"a valid chain":                  {held: fresh, after: day, overlaps: true, cas: 2},
		"a chain in mid-rotation":        {held: pending, after: day, overlaps: true, cas: 2},
		"an expired chain":               {held: fresh, after: 91 * day, cas: 1},
		"a chain whose CA expired first": {held: fresh, after: 366 * day, cas: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			now := start.Add(test.after)
			k := &keeper{selfSigned: &selfSigned{&stored{Options: o}}}
			k.serving.Store(test.held)
			got := must[*chain](t)(k.replacement(now))
			if len(got.cas) != test.cas {
				t.Errorf("got %d CAs, want %d", len(got.cas), test.cas)
			}
			if !trusts(t, got, got, now) {
				t.Error("the replacement does not trust its own leaf")
			}
			if test.overlaps && (got.leaf.Leaf != test.held.leaf.Leaf || !trusts(t, got, test.held, now)) {
				t.Error("the replacement must keep the leaf that the others still serve")
			}
		})
	}

	t.Run("repeatedly", func(t *testing.T) {
		k := &keeper{selfSigned: &selfSigned{&stored{Options: o}}}
		k.serving.Store(fresh)
		for range 10 {
			c := must[*chain](t)(k.replacement(start))
			k.serving.Store(must[*chain](t)(c.withNewLeaf(o, start)))
		}
		if n := len(k.serving.Load().cas); n != maxCAs {
			t.Errorf("the bundle has grown to %d CAs", n)
		}
	})
}

func TestAccepts(t *testing.T) {
	o := testOptions(t, clocktesting.NewFakeClock(start))
	c := must[*chain](t)(newChain(o, start))
	bundle := must[[]byte](t)(c.bundle())
	foreign := must[[]byte](t)(must[*chain](t)(newChain(o, start)).bundle())
	service := &admissionv1.ServiceReference{Namespace: "mooring-system", Name: "mooring"}
	url := func(s string) *string { return &s }
	tests := map[string]struct {
		config admissionv1.WebhookClientConfig
		want   string // empty: accepts
	}{
		"by Service":          {admissionv1.WebhookClientConfig{CABundle: bundle, Service: service}, ""},
		"by IP address":       {admissionv1.WebhookClientConfig{CABundle: bundle, URL: url("https://127.0.0.1:9443/x")}, ""},
		"by DNS name":         {admissionv1.WebhookClientConfig{CABundle: bundle, URL: url("https://hook.example/x")}, ""},
		"by another address":  {admissionv1.WebhookClientConfig{CABundle: bundle, URL: url("https://127.0.0.2/x")}, "127.0.0.2"},
		"no caBundle":         {admissionv1.WebhookClientConfig{Service: service}, "holds no certificate"},
		"a foreign caBundle":  {admissionv1.WebhookClientConfig{CABundle: foreign, Service: service}, "does not accept"},
		"our CA among others": {admissionv1.WebhookClientConfig{CABundle: append(bytes.Clone(foreign), bundle...), Service: service}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := accepts(&test.config, &c.leaf, start)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}
