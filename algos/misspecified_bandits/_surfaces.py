"""A reward surface learnt from real measurements, and how far sparse linear models are from any surface."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.linear_programs import chebyshev_fit
from algos.common.randomness import RandomStateLike
from algos.common.validation import canonical_array, check_range
from algos.misspecified_bandits._consistent_models import all_supports
from algos.misspecified_bandits.environments import LinearBanditEnv

__all__ = ["SparseFit", "SurfaceBandit", "best_sparse_fit", "make_diabetes_bandit"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SparseFit:
    """The sparse linear model with the smallest largest error.

    Attributes
    ----------
    eps : float
        Its largest error.
    lower : float
        No model with as few coefficients has a smaller one; equal to eps but for rounding.
    support : tuple of int
        Columns used.
    theta : ndarray of shape (n_features,)
    intercept : float
    """

    eps: float
    lower: float
    support: tuple[int, ...]
    theta: FloatArray = field(repr=False)
    intercept: float


def best_sparse_fit(X: npt.ArrayLike, y: npt.ArrayLike, s: int, *, intercept: bool = True, max_supports: int = 10_000) -> SparseFit:
    r"""Return :math:`\min_{\|\theta\|_0\le s,c}\max_a|\langle\theta,\phi(a)\rangle+c-y(a)|` by trying all supports.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Features.
    y : array-like of shape (n,)
        Values to fit.
    s : int
        Coefficients, the intercept not counted.
    intercept : bool, default=True
        Whether there is a free constant.
    max_supports : int, default=10_000
        Refuse to solve more linear programs.

    Returns
    -------
    SparseFit

    Raises
    ------
    ValueError
        s outside 1, ..., d, shapes that do not fit, numbers that are not finite, or too many supports.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits.instances import best_sparse_fit
    >>> fit = best_sparse_fit(np.eye(3), [0.0, 2.0, 0.5], 1)
    >>> fit.support, round(fit.eps, 9), round(fit.intercept, 9)
    ((1,), 0.25, 0.25)
    """
    table = np.asarray(canonical_array(X), dtype=np.float64)
    n, d = table.shape
    count = int(check_range(s, name="s", low=1, high=d, integer=True))
    best: Any = None
    lower, chosen = math.inf, None
    for support in all_supports(d, count, max_supports):
        columns = np.column_stack([table[:, support], np.ones(n)]) if intercept else table[:, support]
        fit = chebyshev_fit(columns, y)
        lower = min(lower, fit.bound)
        if best is None or fit.residual < best.residual:
            best, chosen = fit, support
    theta = np.zeros(d)
    theta[chosen] = best.coef[:count]
    support = tuple(int(column) for column in np.asarray(chosen))
    return SparseFit(best.residual, lower, support, theta, float(best.coef[count]) if intercept else 0.0)


@dataclass(frozen=True, eq=False)
class SurfaceBandit:
    """Actions whose rewards come from no linear model; iterating gives X and mean.

    Attributes
    ----------
    name : str
    X : ndarray of shape (n_actions, n_features), read-only
    mean : ndarray of shape (n_actions,), read-only
    feature_names : tuple of str
    """

    name: str
    X: FloatArray = field(repr=False)
    mean: FloatArray = field(repr=False)
    feature_names: tuple[str, ...] = field(repr=False)

    def __iter__(self) -> Iterator[FloatArray]:
        return iter((self.X, self.mean))

    def sparse_fit(self, s: int, *, intercept: bool = True) -> SparseFit:
        """Return the best sparse model and its error; see `best_sparse_fit`."""
        return best_sparse_fit(self.X, self.mean, s, intercept=intercept)

    def env(self, *, sigma: float = 0.0, random_state: RandomStateLike = None) -> LinearBanditEnv:
        """Return an environment with these rewards.

        Parameters
        ----------
        sigma : float, default=0.0
            Standard deviation of the noise.
        random_state : None, int, Generator or RandomState, default=None
            Draws the noise.

        Returns
        -------
        LinearBanditEnv
        """
        return LinearBanditEnv(self.X, self.mean, sigma=sigma, random_state=random_state)


def make_diabetes_bandit(gamma: float = 0.01, *, columns: tuple[int, ...] = (2, 3, 8), alpha: float = 1.0) -> SurfaceBandit:
    """Make a smooth reward surface from scikit-learn's diabetes table: 442 patients, 10 measurements.

    Features are the standardised measurements. The reward is what kernel ridge regression with a Gaussian kernel predicts for the
    standardised disease progression from a few of the columns; the smaller gamma, the closer to linear.

    Parameters
    ----------
    gamma : float, default=0.01
        Width parameter of the kernel, positive.
    columns : tuple of int, default=(2, 3, 8)
        Measurements that matter: body mass index, blood pressure, and a serum measurement (log triglycerides).
    alpha : float, default=1.0
        Ridge penalty, positive.

    Returns
    -------
    SurfaceBandit

    Raises
    ------
    ValueError
        A parameter outside its range.

    Examples
    --------
    >>> from algos.misspecified_bandits.instances import make_diabetes_bandit
    >>> bandit = make_diabetes_bandit()
    >>> bandit.X.shape, bandit.sparse_fit(1).support
    ((442, 10), (2,))
    """
    from sklearn.datasets import load_diabetes
    from sklearn.kernel_ridge import KernelRidge

    check_range(gamma, name="gamma", low=0.0, low_open=True)
    check_range(alpha, name="alpha", low=0.0, low_open=True)
    data = load_diabetes(scaled=False)
    X = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    if not columns or not all(0 <= int(column) < X.shape[1] for column in columns):
        raise ValueError(f"columns={columns!r} must name some of the columns 0, ..., {X.shape[1] - 1}")
    target = (data.target - data.target.mean()) / data.target.std()
    used = X[:, list(columns)]
    mean = np.asarray(KernelRidge(kernel="rbf", gamma=gamma, alpha=alpha).fit(used, target).predict(used), dtype=np.float64)
    X = np.ascontiguousarray(X, dtype=np.float64)
    for array in (X, mean):
        array.flags.writeable = False
    return SurfaceBandit(f"diabetes, gamma {gamma:g}", X, mean, tuple(data.feature_names))
