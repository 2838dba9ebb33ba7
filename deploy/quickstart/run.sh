#!/bin/sh
# The quick start: shows the plan for the sample organisation beside this file and
# carries it out. It may be run as often as one likes.
#
# usage: run.sh PROGRAM
set -eu

docket=$1
here=$(dirname "$0")
config=$here/docket.yaml
data=$here/data
tickets=$here/tickets

mkdir -p "$data"
chmod 700 "$data"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n%s\n' "$*"; }

# The quick start is about these files, whatever daemon runs on this machine.
unset DOCKET_CONFIG DOCKET_TOKEN

say "1. What docket would do with the findings in $here/findings (docket plan):"
status=0
"$docket" --config "$config" plan --detailed-exitcode --out "$data/plan.json" || status=$?

case $status in
  0)
    say "Nothing to do: every finding is known and every ticket says what it should."
    ;;
  3)
    say "2. Making it so (docket apply):"
    "$docket" --config "$config" apply "$data/plan.json"
    ;;
  *)
    exit "$status"
    ;;
esac

count=$(find "$tickets" -name 'docket-*.md' 2>/dev/null | wc -l | tr -d ' ')
say "The tickets are $count Markdown files in $tickets. Look around:"
cat <<END
  $docket -c $config cases list
  $docket -c $config cases list --team payments --priority P1
  $docket -c $config explain DK-1
  $docket -c $config findings list --state suppressed
END
say "Your own files:"
cat <<END
  cp $config docket.yaml   # or: $docket init
  Then change in docket.yaml: the paths of your exports (sources), who owns which account or repository
  (teams, route), and where the tickets go (sinks). After that:
  $docket config check && $docket plan --out plan.json && $docket apply plan.json
  make clean forgets what the quick start made.
END
