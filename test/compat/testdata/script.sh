# What the cases' scripts use.

# retry SECONDS COMMAND…: until it succeeds. In vain ends the script.
retry() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > end)); then
      echo "in vain: $*"
      kubectl get statefulsets,pods,pvc,services
      exit 1
    fi
    sleep 0.5
  done
}

# ready NAME N: N members are ready, updated, and all there are.
ready() {
  local generation status
  read -r generation status <<<"$(kubectl get statefulset "$1" \
    -o jsonpath='{.metadata.generation} {.status.observedGeneration} {.spec.replicas} {.status.replicas} {.status.readyReplicas} {.status.updatedReplicas}')"
  [ "$status" = "$generation $2 $2 $2 $2" ]
}

# settled NAME N: waits until they are. One kubectl that watches costs less than many that ask.
settled() {
  kubectl wait "statefulset/$1" --for=jsonpath='{.status.readyReplicas}'="$2" --timeout=60s >/dev/null 2>&1 || true
  retry 60 ready "$1" "$2"
}

# none RESOURCE…: waits until there are none left.
none() { for resource; do kubectl wait "$resource" --all --for=delete --timeout=60s; done; }

# fails COMMAND…: it must.
fails() { ! "$@"; }

# refused PROFILES COMMAND…: the command fails under these profiles, and succeeds under the others.
refused() {
  case " $1 " in
  *" $PROFILE "*) fails "${@:2}" ;;
  *) "${@:2}" ;;
  esac
}

# unless PROFILES COMMAND…: does nothing under these profiles.
unless() { case " $1 " in *" $PROFILE "*) ;; *) "${@:2}" ;; esac; }

specs() {
  kubectl get statefulsets,services,pvc -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.spec}{"\n"}{end}'
}

# unchanged COMMAND…: the command changes no spec. One that does is counted as drift.
unchanged() {
  specs > before
  "$@"
  specs > after
  diff before after | grep '^>' | tee -a drift || true
}

# disruptable BUDGET: one of its Pods may be disrupted.
disruptable() { [ "$(kubectl get poddisruptionbudget "$1" -o jsonpath='{.status.disruptionsAllowed}')" = 1 ]; }

# has NAME JSONPATH VALUE: the StatefulSet has it.
has() { [ "$(kubectl get statefulset "$1" -o jsonpath="{$2}")" = "$3" ]; }

# quiet SECONDS: waits until nobody has written a StatefulSet, a claim or a Service for so long. Whoever goes on writing ends the
# script.
versions() { kubectl get statefulsets,services,pvc -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'; }
same() {
  local before
  before=$(versions)
  sleep "$1"
  [ "$before" = "$(versions)" ]
}
quiet() { retry 60 same "$1"; }
