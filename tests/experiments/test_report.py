"""The report command: claims and figures in one file, and an exit code with its reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import proofs_check
from experiments import cli, figures, report
from experiments.report import tightest_and_loosest
from proofs_check import Catalogue, FloatBudget, Instance, Mutant, Outcome
from proofs_check.calibration import Calibration


def norms(rng: np.random.Generator, point: dict[str, Any]) -> Instance:
    return Instance({"n": point["n"]}, {"x": rng.standard_normal(point["n"])})


def catalogue(*, factor: float = 1.0) -> Catalogue:
    """Two claims on norms: l1 <= factor sqrt(n) l2, true for factor 1; and l2 <= 4 l1, true and four times too weak at n = 1."""
    made = Catalogue("mine/norms")
    common: dict[str, Any] = {
        "families": [proofs_check.Family("gauss", norms, grid=({"n": 1}, {"n": 4}))],
        "impl": {"l1": lambda x: float(np.abs(x).sum())},
        "mutants": [Mutant("far", "impl", {"l1": lambda f: lambda x: 1e9}, why="nonsense")],
        "source": "folklore",
        "budget": FloatBudget(k=8, scale=lambda i, o: o.reference, why="a sum, a root and a product"),
    }

    @made.inequality("MN-01", plain="the l1 norm is at most sqrt(n) times the l2 norm", **common)
    def upper(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
        return Outcome(impl.l1(inst.x), reference=factor * float(np.sqrt(inst.n) * np.linalg.norm(inst.x)))

    @made.inequality("MN-02", plain="a bound four times too weak at n = 1", **common)
    def loose(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
        return Outcome(impl.l1(inst.x), reference=4.0 * float(np.sqrt(inst.n) * np.linalg.norm(inst.x)))

    return made


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[[Catalogue], None]:
    """Make the report command judge another catalogue."""
    run = proofs_check.run

    def use(claims: Catalogue) -> None:
        monkeypatch.setattr(proofs_check, "run", lambda patterns, tier, **options: run(patterns, tier, catalogue=claims, **options))

    return use


def test_report_holds_claims_and_figures_and_says_all_is_well(
    judged: Callable[[Catalogue], None],
    quick_make: Callable[[str, BaseException], None],
    made: figures.FigureResult,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judged(catalogue())
    monkeypatch.setattr(figures, "make", lambda entry, **options: made)
    assert cli.main(["report", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "2 claims: 2 SURVIVED" in out
    assert "tightest  MN-01" in out
    assert "loosest   MN-02" in out
    page = (tmp_path / "report" / "index.html").read_text()
    assert str(tmp_path / "report" / "index.html") in out
    assert "MN-01" in page
    assert made.record["title"] in page
    assert made.record["answer"].split("|")[0] in page
    assert "The judge on trial" in page
    assert "judge     sound: 6 of 6 broken checkers found out" in out
    assert out.splitlines()[-1] == "exit 0: all as expected"


def test_judge_that_fails_its_own_trial_exits_3(
    judged: Callable[[Catalogue], None],
    monkeypatch: pytest.MonkeyPatch,
    made: figures.FigureResult,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judged(catalogue())
    monkeypatch.setattr(figures, "make", lambda entry, **options: made)
    nothing: tuple[Any, ...] = ()
    unsound = Calibration("quick", nothing, nothing, nothing, nothing, nothing, ("delta=0.1: false refutation 0.1 > 1e-06",), 0.0)
    monkeypatch.setattr(report, "_judge_on_trial", lambda: unsound)
    assert cli.main(["report", "--out", str(tmp_path)]) == 3
    out = capsys.readouterr().out
    assert "judge     NOT SOUND" in out
    assert out.splitlines()[-1] == "exit 3: the judge did not pass its own trial: delta=0.1: false refutation 0.1 > 1e-06"
    assert "false refutation 0.1 &gt; 1e-06" in (tmp_path / "report" / "index.html").read_text()


def test_refuted_claim_exits_1_and_is_named(
    judged: Callable[[Catalogue], None],
    quick_make: Callable[[str, BaseException], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judged(catalogue(factor=0.5))
    assert cli.main(["report", "--out", str(tmp_path)]) == 1
    assert "MN-01 REFUTED" in capsys.readouterr().out.splitlines()[-1]


def test_interrupted_figures_leave_a_report_of_the_rest(
    judged: Callable[[Catalogue], None],
    quick_make: Callable[[str, BaseException], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judged(catalogue())
    quick_make("flights_scores", KeyboardInterrupt())
    assert cli.main(["report", "--out", str(tmp_path), "--json"]) == 130
    summary = json.loads(capsys.readouterr().out)
    assert summary["counts"]["SURVIVED"] == 2
    names = [name.split("/")[-1] for name in figures.catalogue()]
    assert summary["figures"] == names[: names.index("flights_scores")]  # those before it
    assert summary["figures"]
    assert summary["tightest"]["id"] == "MN-01"
    assert Path(summary["report"]).exists()


def test_tightest_and_loosest_ignore_violated_bounds(tmp_path: Path) -> None:
    result = proofs_check.run((), catalogue=catalogue(factor=0.5), out=None)
    assert [claim for claim, _, _ in tightest_and_loosest(result)] == ["MN-02", "MN-02"]
