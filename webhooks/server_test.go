package webhooks

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

// TestSlowClients opens connections that send their headers or body one byte at a time, or not at all. The server must close each
// and keep answering others.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Any certificate will do; httptest has one.
	borrowed := httptest.NewUnstartedServer(nil)
	borrowed.StartTLS()
	defer borrowed.Close()
	server := &Server{
		Listener: listener, Handler: testReviewer(t, databaseClusters(t)).Handler(logr.Discard()), Log: logr.Discard(),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &borrowed.TLS.Certificates[0], nil },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Start(t.Context()) }()

	secure := &tls.Config{InsecureSkipVerify: true}
	headers := "POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	var slow []net.Conn
	for _, start := range []string{headers, headers + "Content-Length: 7000000\r\n\r\n{"} {
		for range 50 {
			conn, err := tls.Dial("tcp", listener.Addr().String(), secure)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write([]byte(start)); err != nil {
				t.Fatal(err)
			}
			slow = append(slow, conn)
		}
	}
	silent, err := net.Dial("tcp", listener.Addr().String()) // not even a TLS handshake
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	slow = append(slow, silent)

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: secure}}
	response, err := client.Post("https://"+listener.Addr().String()+ValidatePath, "application/json", nil)
	if err != nil {
		t.Fatalf("others are not answered meanwhile: %v", err)
	}
	response.Body.Close()
	for i, conn := range slow {
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server does not hang up on client %d", i)
		}
	}
	select {
	case err := <-ended:
		t.Errorf("the server ended: %v", err)
	default:
	}
}
