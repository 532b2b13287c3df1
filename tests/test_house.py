"""Facts about the house itself: what importing costs, what ships, what the commands are called."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import algos
import experiments
import proofs_check

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = [Path(package.__file__).parent for package in (algos, experiments, proofs_check)]  # of the checkout, or of the installed wheel
HEAVY = ["cvxpy", "matplotlib", "dask", "pandas", "rich", "sklearn", "numba", "scipy.stats", "jinja2"]


def modules_after(code: str) -> set[str]:
    """Modules loaded in a fresh interpreter once `code` has run."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        ("import algos", HEAVY),
        ("import algos.lp_embeddings", HEAVY),
        ("import proofs_check", HEAVY),
        ("import proofs_check.cli as c; c.main(['list'])", HEAVY),
        ("import experiments", HEAVY),
        ("import experiments.cli as c; c.main(['list'])", HEAVY),
        ("import algos.lp_embeddings as lp; lp.leverage_scores", ["cvxpy", "matplotlib", "dask", "pandas", "rich", "scipy.stats"]),
        ("import algos.lp_embeddings as lp; lp.SampledQuantileRegressor", ["cvxpy", "matplotlib", "dask", "rich"]),
    ],
)
def test_import_leaves_heavy_modules_alone(code: str, forbidden: list[str]) -> None:
    if "main(" in code:
        code = f"try:\n    {code}\nexcept SystemExit as stop:\n    assert not stop.code"
    assert modules_after(code).isdisjoint(forbidden)


def test_constraints_hold_no_address_and_pin_every_line() -> None:
    for name in ("constraints.txt", "constraints-peers.txt", "constraints-no-deps.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert lines
        assert all("==" in line for line in lines)


def test_every_dependency_has_a_floor_and_a_pin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "constraints.txt").read_text(), re.M))
    extras = project["optional-dependencies"]
    peers = set(extras["peers"])
    for requirement in project["dependencies"] + [r for rows in extras.values() for r in rows if r not in peers]:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name is not None
        assert ">=" in requirement, requirement
        assert name[0].lower() in pinned, requirement


def test_each_package_is_typed() -> None:
    assert all((folder / "py.typed").exists() for folder in PACKAGES)


def test_readme_and_ci_call_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    called = set()
    for name in ("README.md", ".ci/run", "CONTRIBUTING.md"):
        for line in re.findall(r"\bmake ([a-z][a-z -]*[a-z])\b", (ROOT / name).read_text()):
            first = line.split()[0]
            called.add(first)
    assert {"report", "test"} <= called
    assert called <= targets


def test_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^version: {re.escape(version)}$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_module_exceeds_the_length_that_can_be_read_in_one_go() -> None:
    long = [(path, lines) for folder in PACKAGES for path in folder.rglob("*.py") if (lines := path.read_text().count("\n")) > 500]
    assert not long
