// Command demo plays the story of a database that Mooring keeps safe, with kubectl on a real API server. It fails if an answer is
// not the expected one.
package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

const namespace = "mooring-demo"

//go:embed *.yaml
var files embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if os.Getenv("KUBECONFIG") != "" {
		return onOwnCluster(ctx)
	}
	fmt.Println("Starting etcd, the API server, its controllers and fake nodes on this machine.")
	cp, err := controlplane.Run(ctx, controlplane.Options{})
	if err != nil {
		return err
	}
	defer cp.Stop()
	fmt.Println("Installing Mooring from its chart, and running it under the chart's service account.")
	in, err := harness.On(ctx, cp, harness.Options{})
	if err != nil {
		return err
	}
	defer in.Stop()
	return play(ctx, func(args ...string) *exec.Cmd { return cp.Kubectl(ctx, args...) })
}

// onOwnCluster plays the story on the cluster of KUBECONFIG, in a namespace that is removed at the end.
func onOwnCluster(ctx context.Context) error {
	kubectl := func(args ...string) *exec.Cmd { return exec.CommandContext(ctx, "kubectl", args...) }
	if _, err := exec.LookPath("kubectl"); err != nil {
		return errors.New("KUBECONFIG is set, so the demo wants kubectl on the PATH; unset KUBECONFIG to run it on this machine alone")
	}
	if out, err := kubectl("get", "validatingwebhookconfiguration", "mooring").CombinedOutput(); err != nil {
		return fmt.Errorf("the cluster of KUBECONFIG has no Mooring; install it first: kubectl apply -f deploy/install.yaml\n%s", out)
	}
	return play(ctx, kubectl)
}

// step is a command of the story.
type step struct {
	// say is a line that says what it shows.
	say string
	// file is a file in this folder that the command reads.
	file string
	args []string
	// refused means that the server must refuse it.
	refused bool
	// want are words that the answer must contain.
	want []string
}

func kubectl(say string, args ...string) step { return step{say: say, args: args} }

func (s step) with(file string) step     { s.file = file; return s }
func (s step) isRefused() step           { s.refused = true; return s }
func (s step) says(words ...string) step { s.want = words; return s }
func scale(say string, replicas int) step {
	return kubectl(say, inDemo("scale", "statefulset", "mongo", fmt.Sprintf("--replicas=%d", replicas))...)
}
func settle(say string) step {
	return kubectl(say, inDemo("wait", "statefulset/mongo", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=60s")...)
}
func setReady(say, ready string) step {
	return kubectl(say, inDemo("patch", "pod", "mongo-0", "--subresource=status", "--type=strategic", "-p",
		`{"status":{"conditions":[{"type":"Ready","status":"`+ready+`"}]}}`)...)
}
func inDemo(args ...string) []string { return append([]string{"-n", namespace}, args...) }

var story = []step{
	kubectl("A namespace for the story. Nobody asked for anything, so that the profile baseline applies.", "create", "namespace", namespace),

	kubectl("A database of three members, before its Service: refused, with the command that helps.", "apply", "-f").with("mongodb.yaml").
		isRefused().says("headless-service/missing", "kubectl -n mooring-demo create service clusterip mongo --clusterip=None", "Policy baseline"),
	kubectl("A server-side dry run is only warned: GitOps tools try everything before they apply anything.", "apply", "--dry-run=server", "-f").
		with("mongodb.yaml").says("Warning: headless-service/missing", "created (server dry run)"),
	kubectl("Its headless Service.", "apply", "-f").with("service.yaml").says("service/mongo created"),
	kubectl("Now the database is accepted.", "apply", "-f").with("mongodb.yaml").says("statefulset.apps/mongo created"),
	settle("All three members get ready."),
	kubectl("And their claims are bound.", inDemo("get", "pods,pvc")...).says("data-mongo-2", "Bound"),

	scale("Three to one would take the majority: refused.", 1).isRefused().says("scale-down/quorum", "leaves 1 of 3 members ready; a majority is 2", "--replicas=2"),
	kubectl("A dry run gets the same answer.", inDemo("scale", "statefulset", "mongo", "--replicas=1", "--dry-run=server")...).
		isRefused().says("scale-down/quorum"),
	kubectl("So does a patch of the StatefulSet itself.", inDemo("patch", "statefulset", "mongo", "-p", `{"spec":{"replicas":1}}`)...).
		isRefused().says("scale-down/quorum"),
	scale("Three to two leaves a majority.", 2).says("scaled"),
	kubectl("The third Pod goes; its claim stays.", inDemo("wait", "pod/mongo-2", "--for=delete", "--timeout=60s")...),
	kubectl("The controller has seen it.", inDemo("wait", "statefulset/mongo", "--for=jsonpath={.status.replicas}=2", "--timeout=60s")...),
	scale("Two to one would not: refused.", 1).isRefused().says("scale-down/quorum", "leaves 1 of 2 members ready"),

	scale("Back to three: scaling up is never touched.", 3).says("scaled"),
	settle("The third member comes back to its old claim."),
	setReady("Now member 0 fails its readiness.", "False"),
	scale("A healthy member must not go while another is down: refused, and the message says who is down.", 2).
		isRefused().says("scale-down/quorum", "Not ready: mongo-0"),
	setReady("Member 0 recovers.", "True"),
	settle("All three are ready."),

	kubectl("The claim of a running member is not deleted.", inDemo("delete", "pvc", "data-mongo-0")...).isRefused().says("delete-protection/in-use"),
	kubectl("Nor is the namespace, which holds data.", "delete", "namespace", namespace).isRefused().says("delete-protection/namespace"),
	kubectl("What applying again brings back draws a warning.", inDemo("delete", "service", "mongo", "--dry-run=server")...).
		says("Warning: headless-service/in-use"),

	kubectl("How to start in a cluster that is in use: audit first. Nobody is refused or warned, and an Event tells what would have been.",
		"label", "namespace", namespace, "mooring.dev/mode=audit"),
	scale("The scale-down to one goes through.", 1).says("scaled"),
	kubectl("But it is on the object.", inDemo("wait", "--for=jsonpath={.reason}=WouldDeny", "event", "--field-selector=reason=WouldDeny", "--timeout=60s")...),
	scale("Up again.", 3).says("scaled"),
	settle("All three are ready."),
	kubectl("Then warn.", "label", "namespace", namespace, "mooring.dev/mode=warn", "--overwrite"),
	kubectl("The same request draws a warning.", inDemo("scale", "statefulset", "mongo", "--replicas=1", "--dry-run=server")...).says("Warning: scale-down/quorum"),
	kubectl("Then enforce, which takes no label.", "label", "namespace", namespace, "mooring.dev/mode-"),
	scale("And it is refused again.", 1).isRefused().says("scale-down/quorum"),

	kubectl("A policy asks for more than the profile. Policies only add.", "apply", "-f").with("policy.yaml"),
	kubectl("It is in force.", "wait", "statefulpolicy/mooring-demo", "--for=condition=Ready", "--timeout=60s"),
	kubectl("Claims are not to go with the StatefulSet: the profile would only warn, and the refusal names the policy.",
		inDemo("patch", "statefulset", "mongo", "-p", `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"}}}`)...).
		isRefused().says("retention-policy/required", "Policy mooring-demo"),
	kubectl("It fills in what the manifest leaves out, and says so.", inDemo("rollout", "restart", "statefulset", "mongo")...).
		says("Warning: update-strategy: spec.updateStrategy.type is set to OnDelete"),

	kubectl("Who may do so takes it on themselves, with a reason that everybody can read later.",
		inDemo("annotate", "statefulset", "mongo", "mooring.dev/bypass=scale-down", "mooring.dev/bypass-reason=the others are empty")...),
	scale("The scale-down to one passes with a warning.", 1).says("Warning: scale-down/quorum", "bypassed: the others are empty"),
	kubectl("What happened is on the object, for whoever is on call next.",
		inDemo("get", "events", "--field-selector=reason=Bypassed", "-o", "custom-columns=REASON:.reason,OBJECT:.involvedObject.name,MESSAGE:.message")...),
}

// play plays the story and cleans up.
func play(ctx context.Context, kubectl func(args ...string) *exec.Cmd) error {
	defer func() {
		fmt.Println("\nRemoving the namespace, whose data nobody needs, and the policy.")
		for _, args := range [][]string{
			{"annotate", "namespace", namespace, "mooring.dev/bypass=delete-protection", "mooring.dev/bypass-reason=the story has ended"},
			{"delete", "namespace", namespace, "--ignore-not-found"}, {"delete", "statefulpolicy", "mooring-demo", "--ignore-not-found"},
		} {
			if out, err := kubectl(args...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
	}()
	for i, s := range story {
		if err := s.play(i+1, kubectl); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Printf("\nAll %d answers were as they should be.\n", len(story))
	return nil
}

// play plays a step, prints it, and compares the answer with the expected one.
func (s step) play(number int, kubectl func(args ...string) *exec.Cmd) error {
	args, shown := s.args, s.args
	if s.file != "" {
		shown = append(shown[:len(shown):len(shown)], "test/demo/"+s.file)
		args = append(args[:len(args):len(args)], "-")
	}
	fmt.Printf("\n%2d. %s\n    $ kubectl %s\n", number, s.say, quote(shown))
	cmd := kubectl(args...)
	if s.file != "" {
		data, err := files.ReadFile(s.file)
		if err != nil {
			return err
		}
		cmd.Stdin = bytes.NewReader(data)
	}
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		fmt.Print("      ", line)
	}
	switch {
	case s.refused && err == nil:
		return fmt.Errorf("step %d was to be refused and was accepted", number)
	case !s.refused && err != nil:
		return fmt.Errorf("step %d was to be accepted: %w", number, err)
	}
	for _, word := range s.want {
		if !strings.Contains(string(out), word) {
			return fmt.Errorf("step %d: the answer does not say %q", number, word)
		}
	}
	return nil
}

// quote returns arguments as typed in a shell.
func quote(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if strings.ContainsAny(a, ` {}"$\`) {
			a = "'" + a + "'"
		}
		quoted[i] = a
	}
	return strings.Join(quoted, " ")
}
