#!/usr/bin/env bash
# wheel_test.sh PYTHON VENV: build the wheel, install it into a fresh environment and run the quick suite against it from a
# folder outside the checkout, so that a file missing from the wheel is noticed.
set -euo pipefail
python=$1 venv=$PWD/$2 top=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf build/wheel
"$venv/bin/python" -m hatchling build -t wheel -d build/wheel
wheel=$(ls "$top"/build/wheel/*.whl)
"$python" -m venv "$work/venv"
if "$venv/bin/python" -m uv --version >/dev/null 2>&1; then
  "$venv/bin/python" -m uv pip install -q --python "$work/venv/bin/python" -c constraints.txt "epsdelta[data,test] @ file://${wheel// /%20}"
  "$venv/bin/python" -m uv pip install -q --python "$work/venv/bin/python" --no-deps -r constraints-no-deps.txt
else
  "$work/venv/bin/python" -m pip install -q -c constraints.txt "epsdelta[data,test] @ file://${wheel// /%20}"
  "$work/venv/bin/python" -m pip install -q --no-deps -r constraints-no-deps.txt
fi
# The tests and what they read beside them, without the packages under test.
cp -r .ci tests docs tools ./*.md CITATION.cff LICENSE Makefile constraints*.txt pyproject.toml "$work/"
cd "$work"
"$work/venv/bin/python" - <<'PY'
import algos, experiments, proofs_check
for package in (algos, experiments, proofs_check):
    assert "site-packages" in package.__file__, package.__file__
PY
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider
