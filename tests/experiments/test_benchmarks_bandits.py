"""The numpy loops that LinUCB is timed against play the same rule, and every part of the benchmark runs."""

from pathlib import Path

import numpy as np
import pytest

from experiments import benchmarks
from experiments.benchmarks import _mb_linucb


def test_all_methods_get_the_same_rewards():
    X, mean, noise = _mb_linucb._world(70, 4, 60, seed=1)
    ours = _mb_linucb._ours_asked(X, mean, noise)
    np.testing.assert_allclose(_mb_linucb.recomputed(X, mean, noise), ours, rtol=1e-12)
    np.testing.assert_allclose(_mb_linucb.updated(X, mean, noise), ours, rtol=1e-12)


@pytest.mark.parametrize("part", ["linucb", "linucb_stream"])
def test_quick_parts_run_and_promise_no_ratio(part: str, tmp_path: Path) -> None:
    table = benchmarks.run("misspecified_bandits", [part], tier="quick", repeats=1, out=tmp_path)
    assert table.targets == []
    assert all(row.seconds is not None for row in table.rows)
