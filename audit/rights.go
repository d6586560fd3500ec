package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"

	"github.com/mooring-dev/mooring/policies/words"
	"github.com/mooring-dev/mooring/report"
)

// Asker returns the name of the user that the configuration authenticates as, or "" if the cluster does not tell.
func Asker(ctx context.Context, config *rest.Config) string {
	client, err := authenticationclient.NewForConfig(config)
	if err != nil {
		return ""
	}
	review, err := client.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return ""
	}
	return review.Status.UserInfo.Username
}

// rights are the missing rights by namespace, "" for the whole cluster.
type rights map[string][]schema.GroupResource

func (r rights) add(resource schema.GroupResource, namespace string) {
	if !slices.Contains(r[namespace], resource) {
		r[namespace] = append(r[namespace], resource)
	}
}

// errors returns one error for each namespace: what cannot be read there, and the command that grants it.
func (r rights) errors(cluster, user string) []report.Error {
	var all []report.Error
	for namespace, resources := range r {
		var names []string
		for _, resource := range resources {
			names = append(names, resource.String())
		}
		slices.Sort(names)
		where := "in this cluster"
		if namespace != "" {
			where = "in namespace " + namespace
		}
		who := user
		if who == "" {
			who = "this user"
		}
		all = append(all, report.Error{Cluster: cluster, Message: fmt.Sprintf(
			"%s may not list %s %s. What depends on them is not judged, or only warns. Fix: %s", who, strings.Join(names, ", "), where, bind(user, namespace))})
	}
	return all
}

// bind returns the command that grants the user the rights of an audit in the namespace, or in the whole cluster.
func bind(user, namespace string) string {
	command, subject := "kubectl create clusterrolebinding", "--user="+words.Shell(user)
	if namespace != "" {
		command = "kubectl -n " + namespace + " create rolebinding"
	}
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		subject = "--serviceaccount=" + account
	}
	name := "mooring-audit"
	if user == "" {
		subject = "--user=<user>"
	} else {
		name += "-" + strings.NewReplacer("/", "-", "%", "-").Replace(user)
	}
	return fmt.Sprintf("%s %s --clusterrole=mooring-audit %s", command, words.Shell(name), subject)
}
