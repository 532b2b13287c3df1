"""The halfspace benchmark compares like with like: its numpy twins are the same functions, its peers see the same rows."""

from pathlib import Path

import numpy as np
import pytest

from algos.common.blocks import RowSource
from algos.testable_halfspaces import agnostic_certificate, massart_certificate, ramp_loss
from algos.testable_halfspaces._labelled_rows import LabelledRows
from algos.testable_halfspaces._moments import batch_moments
from algos.testable_halfspaces._single_row_descent import single_row_descent
from algos.testable_halfspaces.ramp_learner import SIGMAS
from experiments import benchmarks
from experiments.benchmarks import Row, Settings, Target, _hs_kernels, _hs_learner, _hs_memory, testable_halfspaces
from experiments.progress import Silent

ROUNDING = 1e-12  # sums of a few thousand numbers of order one


def settings(tmp_path: Path) -> Settings:
    return Settings("quick", 0, 1, tmp_path / "scratch", Silent())


@pytest.mark.parametrize("sigma", [0.1, 1.0, 16.0])
def test_numpy_loss_is_the_ramp_loss(sigma: float) -> None:
    X, y = _hs_kernels.labelled(3000, 5, 1)
    w = np.full(5, 5**-0.5)
    value, gradient = _hs_kernels.numpy_loss(X, y, w, sigma)
    ours = ramp_loss(X, y, w, sigma)
    assert value == pytest.approx(ours.value, abs=ROUNDING)
    np.testing.assert_allclose(gradient, ours.gradient, atol=ROUNDING / sigma)


def test_sweeps_of_fourth_moments_agree() -> None:
    rng = np.random.default_rng(2)
    X, V = rng.standard_normal((3000, 4)), rng.standard_normal((6, 4))
    for ours, twin in zip(batch_moments(RowSource(X), V, 4), _hs_kernels.numpy_sweep(X, V), strict=True):
        np.testing.assert_allclose(ours, twin, rtol=1e-11)
    np.testing.assert_allclose(_hs_kernels.two_products(X, V), V @ X.T @ X, rtol=1e-10)


def test_labels_are_those_of_a_halfspace_up_to_the_flips_asked_for() -> None:
    X, y = _hs_kernels.labelled(20_000, 3, 0, flips=0.2)
    w = np.linalg.lstsq(X, y, rcond=None)[0]
    assert abs(np.mean(np.sign(X @ w) != y) - 0.2) < 0.02  # six standard errors, and the angle of least squares


@pytest.mark.parametrize("part", ["search", "sweep", "gram"])
def test_quick_kernels_run_and_promise_no_ratio(part: str, tmp_path: Path) -> None:
    table = benchmarks.run("testable_halfspaces", [part], tier="quick", repeats=1, out=tmp_path)
    assert len(table.rows) >= 2
    assert not any(row.note.startswith("failed") for row in table.rows)
    assert not table.targets


def test_kernel_and_numpy_loss_are_shown_to_agree(tmp_path: Path) -> None:
    rows = [item for item in _hs_kernels.loss(settings(tmp_path)) if isinstance(item, Row)]
    gaps = [row.quality["difference from numpy"] for row in rows if row.method == _hs_kernels.FUSED]
    assert len(gaps) == 4
    assert max(gaps) < ROUNDING / min(_hs_kernels.SIGMAS)


def test_path_and_logistic_regression_learn_the_same_rows(tmp_path: Path) -> None:
    rows = {row.method: row for row in _hs_learner.path(settings(tmp_path)) if isinstance(row, Row)}
    shares = [rows[name].quality["share of mistakes"] for name in (_hs_learner.PATH, _hs_learner.LOGISTIC)]
    assert all(0.18 < share < 0.23 for share in shares)  # a fifth of the labels is flipped
    assert rows[_hs_learner.PATH].quality["widths"] >= 8


def test_both_sides_make_as_many_steps(tmp_path: Path) -> None:
    rows = [item for item in _hs_learner.steps(settings(tmp_path)) if isinstance(item, Row)]
    assert [row.method.startswith("epsdelta") for row in rows].count(True) == 2
    for row in rows:
        assert row.cpu is not None
        assert row.quality["steps per second"] * row.cpu == pytest.approx(2000 * len(SIGMAS))


def test_a_path_of_single_row_steps_moves_towards_the_halfspace() -> None:
    X, y = _hs_kernels.labelled(2000, 3, 0)
    w = np.ones(3) / np.sqrt(3.0)
    kept = single_row_descent(LabelledRows(X, y), w, 1.0, 0.05, 2000)
    assert ramp_loss(X, y, kept[-1], 1.0).value < ramp_loss(X, y, w, 1.0).value


def test_pieces_give_the_certificate_of_the_whole_and_the_files_go(tmp_path: Path) -> None:
    items = list(_hs_memory.blocks(settings(tmp_path)))
    targets = [item for item in items if isinstance(item, Target)]
    assert [target.measured for target in targets] == [0, 0]
    assert len([item for item in items if isinstance(item, Row)]) == 2 * (len(_hs_memory.BLOCKS) + 2)
    assert not list(tmp_path.iterdir())


def test_a_changed_row_is_counted_as_a_difference() -> None:
    X, y = _hs_kernels.labelled(2000, 3, 0)
    one = massart_certificate(X, y, [1.0, 0.0, 0.0], 0.5, 0.2)
    X[7, 1] = np.nextafter(X[7, 1], 9.0)
    assert _hs_memory.differing_fields(one, massart_certificate(X, y, [1.0, 0.0, 0.0], 0.5, 0.2)) >= 1  # its fingerprint
    assert _hs_memory.differing_fields(one, one) == 0
    assert _hs_memory.differing_fields(one, agnostic_certificate(X, y, [1.0, 0.0, 0.0], 0.5)) > 3


@pytest.mark.slow
def test_memory_is_measured_in_processes_of_their_own(tmp_path: Path) -> None:
    items = list(_hs_memory.memory(settings(tmp_path)))
    (target,) = (item for item in items if isinstance(item, Target))
    rows = [item for item in items if isinstance(item, Row)]
    assert target.measured is not None
    assert 10 < target.measured < target.limit  # an interpreter with numpy takes more than 10 MB
    assert [0.0 < row.quality["eps_hat"] <= 1.0 for row in rows] == [True, True]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_verdicts_report_every_step_and_no_ratio_at_small_size(tmp_path: Path) -> None:
    table = benchmarks.run("testable_halfspaces", ["verdict"], tier="quick", repeats=1, out=tmp_path)
    assert not table.targets
    assert len(table.rows) == 3
    for row in table.rows[1:]:
        assert {"learn s", "choose s", "certify s", "test s"} <= set(row.quality)
        assert row.seconds is not None
        assert row.seconds == pytest.approx(sum(value for name, value in row.quality.items() if name.endswith(" s")))


def test_every_part_is_listed() -> None:
    assert list(testable_halfspaces.PARTS) == ["loss", "path", "search", "steps", "sweep", "gram", "verdict", "blocks", "memory"]
