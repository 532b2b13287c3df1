"""Benchmarks measure what they say: exact references, fair order, honest rows."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from experiments import benchmarks
from experiments.benchmarks import Row, Settings, Target, _lp_leverage, _lp_memory, _lp_quantile, _lp_streaming, _timing, lp_embeddings
from experiments.benchmarks import proofs_check as proofs_check_benchmark
from experiments.benchmarks._table import Table
from experiments.progress import Silent


def settings(tmp_path: Path) -> Settings:
    return Settings("quick", 0, 1, tmp_path / "scratch", Silent())


def exact_leverage(A: np.ndarray) -> list[Fraction]:
    """Leverage scores of an integer matrix of two columns in exact arithmetic."""
    rows = [[Fraction(int(value)) for value in row] for row in A]
    g = [[sum(row[i] * row[j] for row in rows) for j in (0, 1)] for i in (0, 1)]
    determinant = g[0][0] * g[1][1] - g[0][1] ** 2
    inverse = [[g[1][1] / determinant, -g[0][1] / determinant], [-g[0][1] / determinant, g[0][0] / determinant]]
    return [sum(row[i] * inverse[i][j] * row[j] for i in (0, 1) for j in (0, 1)) for row in rows]


def test_ill_conditioned_matrix_has_exactly_the_scores_of_the_well_conditioned_one() -> None:
    U = np.random.default_rng(0).integers(-500, 501, (6, 2)).astype(float)
    for cond in (1e8, 1e12):
        A = _lp_leverage.nearly_dependent(U, cond)
        assert exact_leverage(A) == exact_leverage(U)
        scaled = A / np.linalg.norm(A, axis=0)
        assert cond / 100 < np.linalg.cond(scaled) < cond * 100
    with pytest.raises(ValueError, match="cond=1e\\+16 is too large"):
        _lp_leverage.nearly_dependent(U, 1e16)


def test_baselines_agree_with_exact_arithmetic() -> None:
    U = np.random.default_rng(1).integers(-9, 10, (40, 2)).astype(float)
    exact = np.array([float(value) for value in exact_leverage(U)])
    for scores in (
        _lp_leverage.blocked_gram_cholesky(U),
        _lp_leverage.row_norms_of_q(U, "numpy"),
        _lp_leverage.row_norms_of_q(U, "scipy"),
    ):
        np.testing.assert_allclose(scores, exact, rtol=1e-12)


def test_methods_take_turns_and_one_that_fails_does_not_stop_the_others() -> None:
    calls: list[str] = []

    def fail() -> None:
        raise RuntimeError("no such solver\nsecond line")

    times = _timing.interleave({"a": lambda: calls.append("a"), "b": fail, "c": lambda: calls.append("c")}, 2)
    assert calls == ["a", "c", "a", "c", "a", "c"]
    assert times["b"].error == "failed: RuntimeError: no such solver"
    assert times["b"].fields() == {"note": "failed: RuntimeError: no such solver"}
    assert len(times["a"].runs) == 2


def test_a_slow_method_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_timing, "ONCE_ABOVE_SECONDS", -1.0)
    calls: list[int] = []
    times = _timing.interleave({"slow": lambda: calls.append(1)}, 5)
    assert len(calls) == 1
    assert times["slow"].fields()["repeats"] == 1


def test_targets_pass_miss_or_say_that_nothing_was_measured() -> None:
    assert Target("p", "s", 1.0, 1.0).verdict == "pass"
    assert Target("p", "s", 1.0, 1.0001).verdict == "miss"
    assert Target("p", "s", 1.0, None).verdict == "not measured"


def test_table_is_written_as_markdown_and_json_with_versions_and_machine(tmp_path: Path) -> None:
    table = Table("x", "quick", 0, 3)
    table.add(Row("part", "1e4 x 2", "ours", 0.5, 0.25, 1.0, 0.4, 3, 2.0, {"gap": 1e-12}))
    table.add(Row("part", "1e4 x 2", "peer", note="not installed (peer)"))
    table.add(Target("part", "ours / peer", 0.5, None, "peer gave no time"))
    table.write(tmp_path)
    saved = json.loads((tmp_path / "x.json").read_text())
    assert saved["versions"]["numpy"] == np.__version__
    assert saved["machine"]["cores"] >= 1
    assert [row["method"] for row in saved["rows"]] == ["ours", "peer"]
    text = (tmp_path / "x.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert ["ours / peer", "0.5", "", "not measured", "peer gave no time"] in rows
    assert ["1e4 x 2", "ours", "0.5", "0.25 - 1", "0.4", "2", "gap 1e-12", "3 runs"] in rows
    assert ["1e4 x 2", "peer", "", "", "", "", "", "not installed (peer)"] in rows


def test_missing_peer_is_a_row_and_its_target_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(A: np.ndarray, b: np.ndarray, t: float) -> dict[str, _lp_quantile.Solver]:
        raise ImportError("No module named 'pyqreg'", name="pyqreg")

    monkeypatch.setattr(_lp_quantile, "PEERS", {"pyqreg2": absent})
    A, b = _lp_quantile.synthetic(500, 3, 0)
    items = list(_lp_quantile._compare(settings(tmp_path), "quantile", "case", A, b, 0.5, 0.3))
    assert [item.note for item in items if isinstance(item, Row) and item.method == "pyqreg2"] == ["not installed (pyqreg)"]
    gap, time = [item for item in items if isinstance(item, Target)]
    assert gap.verdict == "pass"
    assert (time.verdict, time.note) == ("not measured", "pyqreg2 gave no time")


def test_every_installed_peer_solves_the_same_problem(tmp_path: Path) -> None:
    A, b = _lp_quantile.synthetic(400, 3, 0)
    items = list(_lp_quantile._compare(settings(tmp_path), "quantile", "case", A, b, 0.9, None))
    excess = {
        row.method: row.quality["excess over our bound"] for row in items if isinstance(row, Row) and "excess over our bound" in row.quality
    }
    assert {"scikit-learn QuantileRegressor", "HiGHS (scipy linprog, dual)"} <= set(excess)
    # 1e-6: the duality gap at which the interior point peers stop; -1e-9: our own bound's gap.
    assert all(-1e-9 <= value <= 1e-6 for value in excess.values())


def test_rows_measured_before_an_interrupt_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(settings: Settings) -> Iterator[Row]:
        yield Row("part", "case", "ours", 1.0)
        raise KeyboardInterrupt

    monkeypatch.setitem(lp_embeddings.PARTS, "leverage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        benchmarks.run("lp_embeddings", ["leverage"], out=tmp_path)
    assert [row["method"] for row in json.loads((tmp_path / "lp_embeddings.json").read_text())["rows"]] == ["ours"]


@pytest.mark.slow
def test_memory_of_a_memory_map_is_measured_in_its_own_process_and_the_file_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lp_memory, "QUICK_BYTES", 40_000_000)
    row, target = _lp_memory.memory(settings(tmp_path))
    assert isinstance(row, Row)
    assert isinstance(target, Target)
    assert row.quality["sum of scores"] == pytest.approx(_lp_memory.COLUMNS, rel=1e-9)
    assert target.measured is not None
    assert 10 < target.measured < 300  # an interpreter with numpy takes more than 10 MB
    assert not list(tmp_path.iterdir())


def test_a_coreset_of_blocks_keeps_the_norms_that_the_table_says() -> None:
    X = np.random.default_rng(0).standard_normal((70_000, 3))
    quality = _lp_streaming._quality(X, _lp_streaming.coreset_of_blocks(X, 9000, "root_leverage"))
    assert 800 < quality["rows kept"] < 1200
    assert 0.0 < quality["largest error in 8 directions"] < 0.2  # six standard errors of a thousand rows
    np.testing.assert_allclose(_lp_streaming.gram_of_blocks(X, 9000), X.T @ X, rtol=1e-10, atol=1e-8)


@pytest.mark.slow
def test_memory_of_a_stream_is_measured_in_its_own_process(tmp_path: Path) -> None:
    row, target = _lp_streaming.stream_memory(settings(tmp_path))
    assert isinstance(row, Row)
    assert isinstance(target, Target)
    assert row.quality["largest error in 8 directions"] < 0.2
    assert target.measured is not None
    assert 10 < target.measured < 100  # the block itself takes 10 MB; all rows would take 160


@pytest.mark.slow
@pytest.mark.parametrize("part", ["leverage", "conditioning"])
def test_quick_parts_run_and_promise_no_ratio(part: str, tmp_path: Path) -> None:
    table = benchmarks.run("lp_embeddings", [part], tier="quick", repeats=1, out=tmp_path)
    assert table.rows
    assert not any("time /" in target.statement for target in table.targets)
    assert table.misses == 0


def test_engine_is_compared_with_a_loop_over_the_same_trials(tmp_path: Path) -> None:
    calls: list[int] = []

    def count(inst: object, rng: np.random.Generator, impl: object) -> float:
        calls.append(1)
        return 0.0

    methods = proofs_check_benchmark._methods(count, 64 * 20, str(tmp_path))
    counts = {}
    for name, method in methods.items():
        calls.clear()
        method()
        counts[name] = len(calls)
    # The first and the deciding block are measured twice, to notice a claim that is not deterministic; the slack has no stream of its own.
    assert counts == {
        "engine": 64 * 22,
        "engine, records on disk": 64 * 22,
        "bare loop": 64 * 20,
        "bare loop, one generator": 64 * 20,
    }


def test_fresh_processes_report_their_processor_time() -> None:
    assert proofs_check_benchmark._processor_seconds("print('what the code prints is not the time')") > 0.0
