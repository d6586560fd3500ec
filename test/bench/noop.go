package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/mooring-dev/mooring/webhooks"
)

// typedPath is the path of the minimal webhook that decodes its requests.
const typedPath = "/typed"

// noop serves the minimal webhook on Mooring's server: it reads the body, finds the request's uid and allows it. Below typedPath,
// controller-runtime decodes the request and its objects first. It prints its address and stops at SIGTERM.
func noop() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("https://" + listener.Addr().String())
	ctrllog.SetLogger(logr.Discard())
	mux := http.NewServeMux()
	mux.HandleFunc("/", sayYes)
	mux.Handle("POST "+typedPath+"/", &admission.Webhook{Handler: admission.HandlerFunc(decodeAndSayYes)})
	server := &webhooks.Server{
		Listener: listener, Handler: mux, Log: logr.Discard(),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil },
	}
	return server.Start(ctx)
}

// answered counts the reviews, to see whether the API server calls.
var answered atomic.Int64

func sayYes(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = fmt.Fprint(w, answered.Load())
		return
	}
	answered.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	uid, err := uidOf(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":%q,"allowed":true}}`, uid)
}

func decodeAndSayYes(_ context.Context, r admission.Request) admission.Response {
	decoder := admission.NewDecoder(scheme.Scheme)
	for _, raw := range []runtime.RawExtension{r.Object, r.OldObject} {
		if len(raw.Raw) == 0 {
			continue
		}
		object, err := scheme.Scheme.New(schema.GroupVersionKind(r.Kind))
		if err == nil {
			err = decoder.DecodeRaw(raw, object)
		}
		if err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
	}
	return admission.Allowed("")
}

// uidOf reads only as far as necessary: the API server writes the uid first.
func uidOf(review []byte) (string, error) {
	tokens := json.NewDecoder(bytes.NewReader(review))
	for {
		token, err := tokens.Token()
		if err != nil {
			return "", errors.New("no uid in the request")
		}
		if token != "uid" {
			continue
		}
		if token, err = tokens.Token(); err != nil {
			return "", err
		}
		return strings.TrimSpace(fmt.Sprint(token)), nil
	}
}

// selfSigned returns the standard library's test certificate.
func selfSigned() (*tls.Certificate, error) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	return &server.TLS.Certificates[0], nil
}
