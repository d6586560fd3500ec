package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mooring-dev/mooring/webhooks"
)

// around are the objects that the recorded reviews and their rules need, so that there are no warnings.
const around = `
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE, labels: {mooring.dev/profile: "PROFILE"}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: disks.example.com
allowVolumeExpansion: true
---
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: NAMESPACE}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: orders}, ports: [{port: 5432}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: orders, namespace: NAMESPACE}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: orders}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: NAMESPACE}
spec: {clusterIP: None, selector: {app: db}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: NAMESPACE}
spec: {serviceName: db, replicas: 3, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: example/db, readinessProbe: {tcpSocket: {port: 5432}}}]}}}
`

// asked are the recorded reviews and their paths. Those with an aim have a target.
var asked = []struct {
	what, review, path string
	aimed              bool
}{
	{"StatefulSet create", "database-create", webhooks.ValidatePath, true},
	{"StatefulSet create, defaults", "database-create", webhooks.MutatePath, true},
	{"StatefulSet update", "database-grow", webhooks.ValidatePath, true},
	{"StatefulSet update, defaults", "database-grow", webhooks.MutatePath, true},
	{"StatefulSet update of the template, read live", "database-update", webhooks.ValidatePath, false},
	{"scale up", "scale-up", webhooks.ValidatePath, false},
	{"scale down, read live", "scale-down", webhooks.ValidatePath, false},
	{"claim create", "claim-create", webhooks.ValidatePath, false},
	{"claim delete, read live", "claim-delete", webhooks.ValidatePath, false},
}

// target is a measured webhook.
type target struct {
	name, url string
	pid       int
	// namespace is the namespace of its reviews.
	namespace string
}

// load is the result of a measurement.
type load struct{ throughput, p50, p99, cpu figures }

func (b *bench) https(ctx context.Context) error {
	none, stop, err := startNoop(ctx)
	if err != nil {
		return err
	}
	defer stop()
	decodes := none
	decodes.name, decodes.url = "decodes and allows", none.url+typedPath
	targets := []target{none, decodes}
	for _, profile := range []string{"baseline", "restricted"} {
		t := target{name: profile, url: b.Webhook, pid: b.PID(), namespace: "bench-" + profile}
		if _, err := b.Apply(ctx, strings.NewReplacer("NAMESPACE", t.namespace, "PROFILE", profile).Replace(around)); err != nil {
			return err
		}
		targets = append(targets, t)
	}
	targets[0].namespace, targets[1].namespace = targets[2].namespace, targets[2].namespace
	rows := [][]string{{"review", "connections", "webhook", "reviews/s", "of the no-op's", "p50 ms", "p99 ms", "of the no-op's p99", "CPU s per 10,000", "of the no-op's CPU"}}
	for _, a := range asked {
		for _, connections := range []int{1, 8} {
			results := make([]load, len(targets))
			for round := range b.rounds {
				for i := range targets {
					at := (i + round) % len(targets)
					body, err := b.review(ctx, a.review, targets[at].namespace)
					if err != nil {
						return err
					}
					if err := results[at].measure(ctx, targets[at], a.path, body, connections, b.each); err != nil {
						return fmt.Errorf("%s to %s: %w", a.what, targets[at].name, err)
					}
				}
			}
			if connections == 8 && a.aimed {
				baseline := results[2]
				b.aim("HTTPS, 8 connections: "+a.what+", of the no-op's throughput", baseline.throughput.over(results[0].throughput), atLeast, .7, "%.2f")
				b.aim("HTTPS, 8 connections: "+a.what+", of the throughput of the webhook that decodes", baseline.throughput.over(results[1].throughput), atLeast, 3, "%.2f")
				b.aim("HTTPS, 8 connections: "+a.what+", of the no-op's p99", baseline.p99.over(results[0].p99), atMost, 1.5, "%.2f")
			}
			for i, r := range results {
				rows = append(rows, []string{
					a.what, fmt.Sprint(connections), targets[i].name, fmt.Sprintf("%.0f", r.throughput.median()), r.throughput.over(results[0].throughput).spread("%.2f"),
					fmt.Sprintf("%.2f", r.p50.median()), fmt.Sprintf("%.2f", r.p99.median()), r.p99.over(results[0].p99).spread("%.2f"),
					fmt.Sprintf("%.2f", r.cpu.median()), r.cpu.over(results[0].cpu).spread("%.2f"),
				})
			}
		}
	}
	b.table("Over HTTPS", "Reviews recorded from a real API server are sent again over connections that stay open. The no-op serves on the same server, "+
		"reads the body, finds the uid and allows the request. \"Decodes and allows\" is controller-runtime's webhook with its decoder, which "+
		"most webhooks in Go use. Load generator and webhook share the machine's cores. Ratios compare values of the same round: median (lowest–highest).", rows)
	memory := [][]string{{"process", "resident MiB"}}
	for _, process := range []struct {
		name string
		pid  int
	}{{"no-op", none.pid}, {"mooring serve", b.PID()}} {
		mib, err := resident(process.pid)
		if err != nil {
			return err
		}
		memory = append(memory, []string{process.name, fmt.Sprintf("%.0f", mib)})
	}
	b.table("Memory after that", "Memory of both processes after all of these reviews.", memory)
	return nil
}

// startNoop starts the no-op webhook in its own process.
func startNoop(ctx context.Context) (target, func(), error) {
	cmd, err := self(ctx, "noop")
	if err != nil {
		return target{}, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return target{}, nil, err
	}
	if err := cmd.Start(); err != nil {
		return target{}, nil, err
	}
	stop := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return target{}, nil, fmt.Errorf("the no-op did not start: %w", err)
	}
	return target{name: "no-op", url: strings.TrimSpace(url), pid: cmd.Process.Pid}, stop, nil
}

var version = regexp.MustCompile(`"resourceVersion":"[0-9]+"`)

// review returns a recorded review as the API server sends it, moved to a namespace. A Scale gets the StatefulSet's resourceVersion
// there.
func (b *bench) review(ctx context.Context, name, namespace string) ([]byte, error) {
	data, err := recording(name)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, err
	}
	body := bytes.ReplaceAll(compact.Bytes(), []byte(`"namespace":"default"`), []byte(`"namespace":"`+namespace+`"`))
	if !strings.HasPrefix(name, "scale") {
		return body, nil
	}
	is, err := b.Run(ctx, b.Kubeconfig, "", "-n", namespace, "get", "statefulset", "db", "-o", "jsonpath={.metadata.resourceVersion}")
	return version.ReplaceAll(body, []byte(`"resourceVersion":"`+is+`"`)), err
}

// recording reads a recorded review.
func recording(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join("..", "webhooks", "testdata", name+".review.json"))
}

// measure sends the review repeatedly for the given time.
func (l *load) measure(ctx context.Context, t target, path string, body []byte, connections int, each time.Duration) error {
	client := &http.Client{Transport: &http.Transport{
		// The API server uses HTTP/1.1 for webhooks. The certificate is not known here.
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}},
		MaxIdleConnsPerHost: connections,
	}}
	defer client.CloseIdleConnections()
	ask := func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+path+"?timeout=5s", bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", response.Status, answer)
		}
		return err
	}
	// Warm up: handshakes and first requests are not measured.
	if _, err := inParallel(connections, each/4, ask); err != nil {
		return err
	}
	before, err := cpuTime(t.pid)
	if err != nil {
		return err
	}
	start := time.Now()
	took, err := inParallel(connections, each, ask)
	if err != nil {
		return err
	}
	elapsed := time.Since(start)
	after, err := cpuTime(t.pid)
	if err != nil {
		return err
	}
	slices.Sort(took)
	n := float64(len(took))
	l.throughput = append(l.throughput, n/elapsed.Seconds())
	l.p50 = append(l.p50, percentile(took, .5))
	l.p99 = append(l.p99, percentile(took, .99))
	l.cpu = append(l.cpu, (after-before).Seconds()/n*10_000)
	return nil
}

// inParallel calls do repeatedly in this many goroutines for this long, and returns the duration of each call.
func inParallel(goroutines int, each time.Duration, do func() error) ([]time.Duration, error) {
	took, errs := make([][]time.Duration, goroutines), make([]error, goroutines)
	end := time.Now().Add(each)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for start := time.Now(); start.Before(end) && errs[g] == nil; {
				errs[g] = do()
				now := time.Now()
				took[g] = append(took[g], now.Sub(start))
				start = now
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(took...), nil
}
