"""Bring your own bound: the page's example from a module outside the package, by command and by pytest, and what is refused."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from proofs_check import ClaimDefinitionError, RunResult
from proofs_check.cli import main
from proofs_check.pytest_plugin import ClaimCheck, _together, parametrize_claims

PAGE = Path(__file__).resolve().parents[2] / "docs" / "user_guide" / "own_bound.md"
BLOCKS = [re.sub("^ {3}", "", block, flags=re.M) for block in re.findall(r"^ *```python\n(.*?)^ *```", PAGE.read_text(), re.M | re.S)]
FIFTEEN, HALF_SAMPLE, COMPANION = (next(b for b in BLOCKS if key in b) for key in ("def deviation", "half_sample = ", "def exact_dev"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_in(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def module(folder, name, text):
    (folder / f"{name}.py").write_text(text)
    return f"{name}:cat"


# ------------------------------------------------------------------------------------------------------------- the fifteen lines


def test_the_example_runs_as_printed_by_command(folder, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    assert main(["run", "--catalogue", module(folder, "own_module_a", FIFTEEN)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"USR-01 .* VERIFIED +slack 0\.741 .* mutants 1/1", out)
    assert len(FIFTEEN.strip().splitlines()) <= 16


def test_a_second_mistake_survives_alone_and_dies_with_the_companion(folder, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    both = FIFTEEN.replace("\n\ndef radius", f"\n{HALF_SAMPLE}\n\ndef radius").replace(
        'why="2n became 8n")]', 'why="2n became 8n"), half_sample]'
    )
    assert main(["run", "--catalogue", module(folder, "own_module_b", both)]) == 1
    assert "mutant half_the_sample survived: uses every other value" in capsys.readouterr().out
    with_companion = both.replace('source="folklore"', 'companions=("USR-02",), source="folklore"') + COMPANION
    assert main(["run", "--catalogue", module(folder, "own_module_c", with_companion)]) == 0
    assert "mutants 3/3" in capsys.readouterr().out


def test_the_example_runs_by_pytest(folder):
    module(folder, "mymodule", FIFTEEN)
    done = pytest_in(folder, "--claims", "mymodule:cat", "-v", "--claims-report", "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mymodule:cat::USR-01 PASSED" in done.stdout
    assert "mymodule:cat::USR-01/half PASSED" in done.stdout
    assert "USR-01" in (folder / "report.html").read_text()


def test_marks_and_parametrisation_work_as_printed(folder):
    module(folder, "mymodule", FIFTEEN)
    tests = next(block for block in BLOCKS if "claim_verdict" in block)
    more = """

@pytest.mark.claim("USR-01", catalogue="mymodule:false")
def test_never_runs():
    raise RuntimeError("reached although the claim is false")
"""
    false = FIFTEEN.replace("cat = Catalogue", "false = Catalogue").replace("@cat.", "@false.").replace("(2 * n))", "(20 * n))")
    (folder / "mymodule.py").write_text(
        FIFTEEN + "\n" + false.replace("def radius", "def too_small").replace("bound=radius", "bound=too_small")
    )
    (folder / "test_mine.py").write_text(tests + more)
    done = pytest_in(folder, "-v", "test_mine.py")
    assert done.returncode == 1
    assert "test_claims[USR-01] PASSED" in done.stdout
    assert "test_claims[USR-01/half] PASSED" in done.stdout
    assert "test_the_bound_is_tight PASSED" in done.stdout
    assert "test_never_runs ERROR" in done.stdout
    assert "REFUTED USR-01" in done.stdout
    assert "again: python -m proofs_check run USR-01 --tier quick" in done.stdout
    assert "reached although" not in done.stdout


def test_a_catalogue_that_is_not_there_is_a_usage_error(folder):
    done = pytest_in(folder, "--claims", "nothing_here:cat")
    assert done.returncode == 4
    assert "nothing_here" in done.stderr


# ------------------------------------------------------------------------------------------------------------------------ checks


def test_a_check_returns_the_verdict_or_says_what_is_wrong(synthetic):
    assert ClaimCheck("GD-01", catalogue="synthetic_claims:good")().status == "VERIFIED"
    for claim, words in (("BD-02", r"REFUTED BD-02.*\n  measured .* against 1 on gauss"), ("BD-01", "REFUTED BD-01: E = ")):
        with pytest.raises(AssertionError, match=words):
            ClaimCheck(claim, catalogue="synthetic_claims:bad")()
    with pytest.raises(AssertionError, match="mutant unnoticed of BD-03 survived: far below the bound"):
        ClaimCheck("BD-03", "unnoticed", catalogue="synthetic_claims:bad")()


def test_an_undecided_claim_fails_unless_it_may_be_skipped(synthetic):
    undecided = ClaimCheck("BR-07", catalogue="synthetic_claims:broken")
    with pytest.raises(AssertionError, match=r"INCONCLUSIVE BR-07.*missed the premise"):
        undecided()
    with pytest.raises(pytest.skip.Exception, match="missed the premise"):
        ClaimCheck("BR-07", catalogue="synthetic_claims:broken", inconclusive="skip")()


def test_one_test_per_claim_and_per_quick_mutant(synthetic):
    mark = parametrize_claims(catalogue=synthetic.mutants).mark
    assert mark.kwargs["ids"] == [
        "MU-01", "MU-01/harmless", "MU-01/crash", "MU-01/crash_unexpected", "MU-01/too_small", "MU-01/world", "MU-02", "MU-02/less",
    ]  # fmt: skip
    assert len(parametrize_claims("MU-02", catalogue=synthetic.mutants).mark.kwargs["ids"]) == 2


def test_results_of_single_claims_are_joined():
    parts = [RunResult((), {claim: {}}, "quick", 1, 2.0, {}) for claim in ("A", "B")]
    assert (list(_together(parts).summaries), _together(parts).seconds) == (["A", "B"], 4.0)


# ------------------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mutants=[Mutant", "mutants=[][:0] and [Mutant", "USR-01: no mutant; a check that nothing can fail proves nothing"),
        ('source="folklore"', 'source="derived"', "a derived statement has no proof; say in `proof`"),
        (
            "def radius(*, n, delta)",
            "def radius(*, m, n, delta)",
            "bound parameter ['m'] is not in params of family 'coins'; add it to the grid",
        ),
        ("levels=(.5, .2, .05)", "levels=(.5, 2)", "levels lie strictly between 0 and 1"),
        ('"USR-01"', '"USR1"', "claim id 'USR1'; ids look like"),
        ("levels=(.5", "tight=.9, levels=(.5", "`tight` without adversary; add an adversarial family"),
        ("import numpy", "import nothing_of_this_name as numpy\nimport numpy", "No module named 'nothing_of_this_name'"),
        ("cat = Catalogue", "1 / 0\ncat = Catalogue", "raised ZeroDivisionError: division by zero"),
        ("cat = Catalogue", "raise SystemExit(0)\ncat = Catalogue", "raised SystemExit: 0"),
    ],
)
def test_a_module_with_a_hole_is_refused_in_one_line(folder, capsys, monkeypatch, request, old, new, words):
    monkeypatch.syspath_prepend(str(folder))
    assert old in FIFTEEN
    name = f"own_hole_{abs(hash(request.node.name))}"
    assert main(["run", "--catalogue", module(folder, name, FIFTEEN.replace(old, new, 1))]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_the_page_quotes_messages_that_exist():
    from proofs_check import Catalogue, FloatBudget, Source

    quoted = dict(re.findall(r"^\| ([^|]+?) \| `([^`]+)` \|$", PAGE.read_text(), re.M))
    common = {"impl": {"f": len}, "families": {"f": [{"n": 1}]}, "mutants": [], "source": "folklore", "plain": "p"}
    raising = {
        "no mutant": lambda: Catalogue("x").inequality("USR-01", **common)(len),
        "derived without a proof": lambda: Source("derived"),
        "a bare tolerance": lambda: Catalogue("x").identity("USR-01", budget=1e-9, **common)(len),
        "a tolerance without a reason": lambda: FloatBudget(k=1),
    }
    for hole, make in raising.items():
        with pytest.raises(ClaimDefinitionError) as error:
            make()
        assert quoted[hole] in str(error.value)
