"""Claims about thresholds: the level they promise is the level they have, with few rows and whatever the tests have in common."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces.calibration import Calibration, calibrate
from algos.testable_halfspaces.moment_tests import moment_statistics
from proofs_check import Budget, Catalogue, Family, Instance, Mutant, Outcome, Source

cat = Catalogue("testable_halfspaces/calibration")

FloatArray = npt.NDArray[np.float64]


def _calibration(key: int) -> Calibration:
    """Simulate six tables of eight rows: three are ranked, and the threshold is the largest of them."""
    return calibrate(8, 1, level=0.25, n_calibration=6, key=key)


def _moved(known: Calibration, c: float) -> Calibration:
    """Put the thresholds at another number of deviations."""
    low, high = (np.where(np.isfinite(end), known.mean + s * c * known.sd, end) for end, s in ((known.low, -1.0), (known.high, 1.0)))
    return replace(known, low=low, high=high)


def _second_largest(make: Callable[[int], Calibration]) -> Callable[[int], Calibration]:
    def wrong(key: int) -> Calibration:
        known = make(key)
        return _moved(known, float(np.sort(known.ranked.max(axis=1))[known.rank - 2]))

    return wrong


@cat.completeness(
    "HS-14b",
    levels=(0.25,),
    impl={"calibration": _calibration},
    families=[Family("eight_rows", grid=({"n": 8},), role="adversarial")],
    budgets={"quick": Budget(512, 32), "full": Budget(4096, 32), "nightly": Budget(64_000, 32)},
    mutants=[
        Mutant("rank_too_low", "impl", {"calibration": _second_largest}, why="the quantile of m tables, not of m + 1", part="eight_rows(*"),
        Mutant(
            "two_deviations",
            "impl",
            {"calibration": lambda f: lambda key: _moved(f(key), 2.0)},
            why="thresholds at two standard deviations, as if statistics were Gaussian and their deviations known",
            part="eight_rows(*",
            quick=False,
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Calibration"),
    title="ranks give the level whatever the joint law",
    plain="With thresholds simulated afresh for every table, from three ranked tables, a Gaussian table of eight rows is rejected one time "
    "in four: exactly the level, however the tests depend on each other.",
    tex=r"P(\text{rejected})=1-\frac{k}{m'+1}",
)
def table_ranked_among_simulated_ones(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Simulate thresholds and judge a fresh table."""
    known = impl.calibration(int(rng.integers(2**31)))
    results = known.judge(moment_statistics(rng.standard_normal((inst.n, 1))))
    return Outcome(0.0, accepted=all(test.passed for test in results))


# --- one set of thresholds for many tables -----------------------------------------------------------------------------------------------

_LEVEL, _TABLES = 0.5, 48  # with 24 ranked tables the level holds for these very thresholds, up to a chance of 1e-7 over the simulation


def _thresholds(n: int, d: int) -> Calibration:
    return calibrate(n, d, level=_LEVEL, n_calibration=_TABLES, guarantee="tolerance", confidence=1.0 - 1e-7)


def _test_by_test(make: Callable[[int, int], Calibration]) -> Callable[[int, int], Calibration]:
    """Give every test the whole level."""

    def wrong(n: int, d: int) -> Calibration:
        known = make(n, d)
        rank = math.ceil((1.0 - _LEVEL) * (known.m_ranked + 1))
        c = np.sort(known.ranked, axis=0)[rank - 1]
        low = np.where(np.isfinite(known.low), known.mean - c * known.sd, known.low)
        return replace(known, low=low, high=np.where(np.isfinite(known.high), known.mean + c * known.sd, known.high))

    return wrong


def _gaussian(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance(dict(point))


@cat.completeness(
    "HS-25b",
    levels=(_LEVEL,),
    impl={"thresholds": _thresholds, "statistics": moment_statistics},
    families=[
        Family("gaussian", _gaussian, grid=({"n": 400, "d": 3},)),
        Family("few_rows", _gaussian, grid=({"n": 12, "d": 2},), role="adversarial"),
    ],
    budgets={"quick": Budget(160, 8), "full": Budget(1024, 8), "nightly": Budget(9600, 8)},
    mutants=[
        Mutant(
            "level_for_each_test",
            "impl",
            {"thresholds": _test_by_test},
            why="every test is given the whole level: their union is forgotten",
            part="gaussian(*",
        ),
        Mutant(
            "calibrated_for_more_rows",
            "impl",
            {"thresholds": lambda f: lambda n, d: f(4 * n, d)},
            why="thresholds of a table with four times as many rows",
            part="gaussian(*",
        ),
        Mutant(
            "two_sided_at_one_side",
            "impl",
            {"thresholds": lambda f: lambda n, d: replace(f(n, d), low=np.maximum(f(n, d).low, f(n, d).mean))},
            why="half of the null distribution is outside of the accepted interval",
            part="gaussian(*",
        ),
    ],
    source=Source("derived", proof="docs/theory/testable_halfspaces.md, Calibration"),
    title="Gaussian tables pass the moment tests",
    plain="Thresholds with a tolerance guarantee reject a Gaussian table, by any of the seven tests together, at most as often as the "
    "level says, also with a dozen rows.",
)
def gaussian_table_accepted(inst: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
    """Draw a Gaussian table and judge it."""
    known = impl.thresholds(inst.n, inst.d)
    results = known.judge(impl.statistics(rng.standard_normal((inst.n, inst.d))))
    return Outcome(0.0, accepted=all(test.passed for test in results))
