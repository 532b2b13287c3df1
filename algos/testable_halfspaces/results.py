"""What every tester returns: one row of a table, with its threshold, its p-value and the direction that speaks against the data."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DistributionRejected", "DistributionRejectedWarning", "InfeasibleEps", "Measured", "TestResult", "tests_table"]

FloatArray = npt.NDArray[np.float64]


class DistributionRejected(RuntimeError):
    """The marginal of the data is not the one that the guarantee assumes.

    Parameters
    ----------
    tests : iterable of TestResult
        All tests that were run; the message names those that failed.

    Attributes
    ----------
    tests : tuple of TestResult
    """

    def __init__(self, tests: Iterable["TestResult"]) -> None:
        self.tests = tuple(tests)
        super().__init__("; ".join(test.sentence() for test in self.tests if not test.passed) or "no test failed")


class DistributionRejectedWarning(UserWarning):
    """A fitted halfspace predicts, but is not accepted, since a test of the marginal failed; its certificate may hold all the same."""


class InfeasibleEps(ValueError):
    """The accuracy asked for is below what this number of rows can certify even on data that meet every assumption."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A statistic of the marginal before it is judged.

    Attributes
    ----------
    name : str
        What was measured, such as ``"kurtosis_low"``.
    value : float
    n_used : int
        Rows that entered it.
    direction : ndarray of shape (d,) or None
        Unit vector at which an extreme over directions was found.
    bracket : tuple of float or None
        Interval that holds the true extreme.
    p_value : float
        Exact p-value where one is known without simulation, else NaN.
    """

    name: str
    value: float
    n_used: int
    direction: FloatArray | None = None
    bracket: tuple[float, float] | None = None
    p_value: float = math.nan


@dataclass(frozen=True, eq=False)
class TestResult:
    """One test of the marginal distribution.

    Attributes
    ----------
    name : str
        What was measured, such as ``"kurtosis_low"`` or ``"band_mass"``.
    statistic : float
        Its value on the data.
    low, high : float
        The test passes when ``low <= statistic <= high``; an end that is not tested is infinite.
    p_value : float
        Probability, under the target marginal, of a value at least as far out; NaN where thresholds are fixed slacks that no null
        distribution stands behind.
    direction : ndarray of shape (d,) or None
        Unit vector along which the data break the assumption, where the statistic has one.
    null_mean, null_sd : float
        Mean and standard deviation under the target; NaN where not known.
    n_used : int
        Rows that entered the statistic.
    bracket : tuple of float or None
        Interval that certainly holds the statistic's supremum (or infimum) over directions, where the statistic itself was found by
        a search.

    Examples
    --------
    >>> TestResult("kurtosis_low", 1.7, 2.4, float("inf"), 0.01, None, 2.7, 0.05, 7400).passed
    False
    """

    __test__ = False  # pytest collects classes whose name begins with Test

    name: str
    statistic: float
    low: float
    high: float
    p_value: float
    direction: FloatArray | None
    null_mean: float
    null_sd: float
    n_used: int
    bracket: tuple[float, float] | None = None

    @property
    def passed(self) -> bool:
        """Whether the statistic lies between its thresholds; NaN never does."""
        return self.low <= self.statistic <= self.high

    @property
    def threshold(self) -> float:
        """The end of the accepted interval that the statistic violates, or is nearest to."""
        if math.isinf(self.low) or math.isinf(self.high):
            return self.high if math.isinf(self.low) else self.low
        return self.low if self.statistic - self.low < self.high - self.statistic else self.high

    def sentence(self) -> str:
        """Return the result as a sentence.

        Examples
        --------
        >>> TestResult("band_mass", 0.31, 0.18, 0.21, 0.001, None, 0.197, 0.002, 5000).sentence()
        'band_mass = 0.31 is outside [0.18, 0.21] (p = 0.001, 5000 rows)'
        """
        verb = "lies in" if self.passed else "is outside"
        p = "" if math.isnan(self.p_value) else f"p = {self.p_value:.3g}, "
        return f"{self.name} = {self.statistic:.4g} {verb} [{self.low:.4g}, {self.high:.4g}] ({p}{self.n_used} rows)"


def tests_table(tests: Iterable[TestResult]) -> dict[str, npt.NDArray[np.generic]]:
    """Return test results as columns.

    Parameters
    ----------
    tests : iterable of TestResult
        Rows.

    Returns
    -------
    dict of str to ndarray of shape (k,)
        ``name, statistic, low, high, threshold, passed, p_value, null_mean, null_sd, n_used``.

    Examples
    --------
    >>> table = tests_table([TestResult("mean", 0.01, -float("inf"), 0.05, 0.4, None, 0.02, 0.01, 100)])
    >>> table["passed"].tolist()
    [True]
    """
    rows = list(tests)
    columns = ("name", "statistic", "low", "high", "threshold", "passed", "p_value", "null_mean", "null_sd", "n_used")
    return {column: np.array([getattr(row, column) for row in rows]) for column in columns}
