# Functions that the scripts of the cases use.

# retry SECONDS COMMAND…: runs the command until it succeeds. If it does not succeed in time, the script fails.
retry() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > end)); then
      echo "timed out waiting for: $*"
      kubectl get statefulsets,pods,pvc,services
      exit 1
    fi
    sleep 0.5
  done
}

# ready NAME N: checks that the StatefulSet has N Pods, and that all of them are ready and up to date.
ready() {
  local generation status
  read -r generation status <<<"$(kubectl get statefulset "$1" \
    -o jsonpath='{.metadata.generation} {.status.observedGeneration} {.spec.replicas} {.status.replicas} {.status.readyReplicas} {.status.updatedReplicas}')"
  [ "$status" = "$generation $2 $2 $2 $2" ]
}

# settled NAME N: waits until the StatefulSet is ready as above. kubectl wait watches, which costs less than polling.
settled() {
  kubectl wait "statefulset/$1" --for=jsonpath='{.status.readyReplicas}'="$2" --timeout=60s >/dev/null 2>&1 || true
  retry 60 ready "$1" "$2"
}

# none RESOURCE…: waits until no objects of these resources are left.
none() { for resource; do kubectl wait "$resource" --all --for=delete --timeout=60s; done; }

# fails COMMAND…: succeeds if the command fails.
fails() { ! "$@"; }

# refused PROFILES COMMAND…: the command must fail under these profiles, and must succeed under the others.
refused() {
  case " $1 " in
  *" $PROFILE "*) fails "${@:2}" ;;
  *) "${@:2}" ;;
  esac
}

# unless PROFILES COMMAND…: runs the command, except under these profiles.
unless() { case " $1 " in *" $PROFILE "*) ;; *) "${@:2}" ;; esac; }

# specs: prints the spec of each StatefulSet, Service and claim.
specs() {
  kubectl get statefulsets,services,pvc -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.spec}{"\n"}{end}'
}

# unchanged COMMAND…: runs a command that must not change a spec. Each changed spec counts as drift.
unchanged() {
  specs > before
  "$@"
  specs > after
  diff before after | grep '^>' | tee -a drift || true
}

# disruptable BUDGET: checks that the PodDisruptionBudget allows one disruption.
disruptable() { [ "$(kubectl get poddisruptionbudget "$1" -o jsonpath='{.status.disruptionsAllowed}')" = 1 ]; }

# has NAME JSONPATH VALUE: checks a field of the StatefulSet.
has() { [ "$(kubectl get statefulset "$1" -o jsonpath="{$2}")" = "$3" ]; }

# quiet SECONDS: waits until no StatefulSet, claim or Service has been written for this time. If writes continue, the script fails.
versions() { kubectl get statefulsets,services,pvc -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'; }
same() {
  local before
  before=$(versions)
  sleep "$1"
  [ "$before" = "$(versions)" ]
}
quiet() { retry 60 same "$1"; }
