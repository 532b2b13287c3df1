#!/usr/bin/env bash
# install_peers.sh VENV CONSTRAINTS: install every peer of the benchmarks on its own. A peer that will not install is said so
# here and becomes a row of the table that says so; it never stops the others.
set -uo pipefail
venv=$1 constraints=$2
mkdir -p build/bench
: > build/bench/missing-peers.txt
grep -vE '^\s*(#|$)' "$constraints" | while IFS= read -r peer; do
  if "$venv/bin/python" -m uv pip install -q --python "$venv/bin/python" -c constraints.txt "$peer" 2>build/bench/install.log \
    || "$venv/bin/python" -m pip install -q -c constraints.txt "$peer" 2>build/bench/install.log; then
    echo "peer $peer: installed"
  else
    echo "peer $peer: not installed ($(tail -n 1 build/bench/install.log))"
    echo "$peer" >> build/bench/missing-peers.txt
  fi
done
