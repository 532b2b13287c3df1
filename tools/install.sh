#!/usr/bin/env bash
# install.sh PYTHON VENV CONSTRAINTS EXTRAS: make VENV if it is missing and install the project (editable) with EXTRAS.
# Uses uv where it can be installed, pip otherwise. Nothing is fetched when all requirements are already there.
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
if have_uv && "$venv/bin/python" -m uv pip install -q --python "$venv/bin/python" -c "$constraints" -e ".[$extras]"; then
  exit 0
fi
echo "uv is not usable here; falling back to pip"
"$venv/bin/python" -m pip install -q -c "$constraints" -e ".[$extras]"
