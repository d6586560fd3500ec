package certs

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestParseIssuer(t *testing.T) {
	for in, want := range map[string]struct {
		issuer cmmeta.IssuerReference
		own    bool
		bad    bool
	}{
		"":                         {cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: "mooring-ca"}, true, false},
		"Issuer/a":                 {cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: "a"}, false, false},
		"ClusterIssuer/a.b":        {cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "ClusterIssuer", Name: "a.b"}, false, false},
		"PCA.pca.example.com/main": {cmmeta.IssuerReference{Group: "pca.example.com", Kind: "PCA", Name: "main"}, false, false},
		"a":                        {bad: true},
		"issuer/a":                 {bad: true},
		"Issuer/":                  {bad: true},
		"PCA./a":                   {bad: true},
	} {
		t.Run(in, func(t *testing.T) {
			issuer, own, err := parseIssuer(in)
			if issuer != want.issuer || own != want.own || (err != nil) != want.bad {
				t.Errorf("got %+v, own %t, %v", issuer, own, err)
			}
		})
	}
}

func TestParseIssued(t *testing.T) {
	o := testOptions(t, clocktesting.NewFakeClock(start))
	c := must[*chain](t)(newChain(o, start))
	good := must[map[string][]byte](t)(c.data())
	delete(good, "ca.key") // cert-manager keeps it to itself
	for name, test := range map[string]struct {
		change func(map[string][]byte)
		want   string // empty: good
	}{
		"the Secret that cert-manager writes": {func(map[string][]byte) {}, ""},
		"empty":                               {func(d map[string][]byte) { clear(d) }, "tls.crt and tls.key"},
		"a public CA, so no ca.crt":           {func(d map[string][]byte) { delete(d, "ca.crt") }, "use an issuer with its own CA"},
		"an invalid CA":                       {func(d map[string][]byte) { d["ca.crt"] = []byte("noise") }, "ca.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(good)
			test.change(data)
			got, err := parseIssued(data)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got error %v, want %q", err, test.want)
			}
			if err == nil && !trusts(t, got, got, start) {
				t.Error("the certificate is not trusted under its own CA")
			}
		})
	}
}

func TestAsk(t *testing.T) {
	o := testOptions(t, clocktesting.NewFakeClock(start))
	m := &certManager{stored: &stored{Options: o}, issuer: cmmeta.IssuerReference{Kind: "Issuer", Name: "a"}}
	theirs := certmanager.CertificateSpec{
		DNSNames: []string{"more.example"}, Duration: &metav1.Duration{Duration: time.Hour},
		PrivateKey: &certmanager.CertificatePrivateKey{Algorithm: certmanager.RSAKeyAlgorithm},
	}
	m.ask(&theirs)
	if !slices.Contains(theirs.DNSNames, "more.example") || theirs.Duration.Duration != time.Hour || theirs.PrivateKey.Algorithm != certmanager.RSAKeyAlgorithm {
		t.Errorf("what others asked for is gone: %+v", theirs)
	}
	for _, name := range o.names() {
		if !slices.Contains(theirs.DNSNames, name) && !slices.Contains(theirs.IPAddresses, name) {
			t.Errorf("%s is not asked for: %+v", name, theirs)
		}
	}
	before := theirs.DeepCopy()
	m.ask(&theirs)
	if !slices.Equal(before.DNSNames, theirs.DNSNames) || !slices.Equal(before.IPAddresses, theirs.IPAddresses) {
		t.Errorf("asking twice changes %+v into %+v", before, theirs)
	}
}

func TestBundleOf(t *testing.T) {
	o := testOptions(t, clocktesting.NewFakeClock(start))
	first, second := must[*chain](t)(newChain(o, start)), must[*chain](t)(newChain(o, start))
	data := must[[]byte](t)(bundleOf(slices.Concat(second.cas, first.cas, second.cas)))
	if n := strings.Count(string(data), "BEGIN CERTIFICATE"); n != 2 {
		t.Errorf("two CAs make a bundle of %d", n)
	}
	var many []*chain
	cas := first.cas
	for range 10 {
		many = append(many, must[*chain](t)(newChain(o, start)))
		cas = append(many[len(many)-1].cas, cas...)
	}
	if n := strings.Count(string(must[[]byte](t)(bundleOf(cas))), "BEGIN CERTIFICATE"); n != maxCAs {
		t.Errorf("the bundle has grown to %d CAs", n)
	}
}
