"""Linear regression on few columns by the largest error, with the interface of scikit-learn."""

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from algos.common.guarantees import Guarantee
from algos.common.linear_programs import chebyshev_fit
from algos.common.validation import check_option, check_range
from algos.misspecified_bandits._sparse_fits import best_support, check_scales, hard_thresholding, least_squares_on, orthogonal_matching
from algos.misspecified_bandits._supports import count_supports

__all__ = ["SparseMisspecifiedRegressor"]

FloatArray = npt.NDArray[np.float64]

_METHODS = ("chebyshev", "omp", "htp")
_ROUNDING = 1e-9  # of least squares, relative to the responses


class SparseMisspecifiedRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Linear model on few columns with a small largest error: how far from sparse and linear the responses are.

    Minimises :math:`\max_i|y_i-\langle\beta,x_i\rangle-\beta_0|` over :math:`\beta` with at most s entries that are not zero. The minimum
    is the misspecification of the responses: what the searches for the best action call eps. It is a demanding notion, for a single row
    can decide it.

    Parameters
    ----------
    n_nonzero : int, default=3
        s. More than the columns of X means all of them. Three columns can still be drawn, and all triples of 60 columns be tried.
    method : {"chebyshev", "omp", "htp"}, default="chebyshev"
        The minimum itself, or the least-squares fit on the columns of orthogonal matching pursuit or of hard thresholding pursuit, which
        are fast and robust, with whatever largest error they have.
    exact_max_supports : int, default=50_000
        Most supports that ``"chebyshev"`` tries, a fraction of a millisecond each; beyond, it fits the columns of matching pursuit by the
        largest error, and `exact_` is False.
    fit_intercept : bool, default=True
        Whether there is a :math:`\beta_0`, which does not count as an entry.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        :math:`\beta`.
    intercept_ : float
        :math:`\beta_0`; 0.0 without one.
    support_ : ndarray of int64
        Columns in use, at most s.
    eps_ : float
        Largest error on the training rows.
    eps_lower_ : float
        No model with s columns has a smaller largest error. If supports were tried it is that of the best one, proved by multipliers, and
        differs from `eps_` by the accuracy of the linear program; otherwise it is the root mean square error of the least-squares fit on
        all columns.
    exact_ : bool
        Whether all supports were tried or ruled out.
    guarantee_ : Guarantee
        The largest error is within ``guarantee_.value`` of the smallest possible one.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only if X has column names.

    See Also
    --------
    algos.misspecified_bandits.SparseRecoveryBandit : Uses such fits to find the best action.

    Notes
    -----
    Time O(C(d, s) n s^2) for the least-squares fits of all supports, in whose order linear programs of s + 2 variables and 2 n rows are
    solved until the least-squares error rules out the rest.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import SparseMisspecifiedRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((300, 12))
    >>> y = 2.0 + X[:, 1] - 0.5 * X[:, 7] + rng.uniform(-0.1, 0.1, 300)
    >>> model = SparseMisspecifiedRegressor(n_nonzero=2).fit(X, y)
    >>> model.support_.tolist(), round(model.intercept_, 1), bool(model.eps_ <= 0.1), model.guarantee_.value < 1e-9
    ([1, 7], 2.0, True, True)
    >>> bool(SparseMisspecifiedRegressor(n_nonzero=1).fit(X, y).eps_lower_ > 0.5)
    True
    """

    def __init__(
        self, n_nonzero: int = 3, *, method: str = "chebyshev", exact_max_supports: int = 50_000, fit_intercept: bool = True
    ) -> None:
        self.n_nonzero = n_nonzero
        self.method = method
        self.exact_max_supports = exact_max_supports
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: npt.ArrayLike) -> Self:
        """Find the columns and fit them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Responses.

        Returns
        -------
        SparseMisspecifiedRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            A parameter outside its range, data that are malformed or not finite, or coefficients beyond 1e305.
        LinearProgramError
            The final fit failed its check, which takes numbers of very different sizes within one column.
        """
        check_range(self.n_nonzero, name="n_nonzero", low=1, integer=True)
        check_option(self.method, _METHODS, name="method")
        check_range(self.exact_max_supports, name="exact_max_supports", low=0, integer=True)
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        values = np.asarray(y, dtype=np.float64)
        base = np.ones((len(values), 1)) if self.fit_intercept else None
        unit = float(np.max(np.abs(values))) or 1.0  # squares of the responses must not overflow
        support, lower = self._search(X, values / unit, base)
        self._set_model(X, values, support, base)
        self.eps_ = float(np.max(np.abs(values - self.predict(X))))
        lower = _least_squares_error(X, values / unit, base) if lower is None else lower
        self.eps_lower_ = min(lower * unit, self.eps_)
        self.guarantee_ = self._promise()
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return the predictions of the linear model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Another number of columns than in `fit`, or entries that are not finite.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(X[:, self.support_] @ self.coef_[self.support_] + self.intercept_)

    def _search(self, X: FloatArray, y: FloatArray, base: FloatArray | None) -> tuple[npt.NDArray[np.int64], float | None]:
        """Return the columns, and the proved bound if all supports were tried."""
        s = min(self.n_nonzero, X.shape[1])
        self.exact_ = self.method == "chebyshev" and count_supports(X.shape[1], s) <= self.exact_max_supports
        if self.exact_:
            found = best_support(X, y, s, base)
            return found.support, found.lower
        find = hard_thresholding if self.method == "htp" else orthogonal_matching
        return find(X, y, s, base), None

    def _set_model(self, X: FloatArray, y: FloatArray, support: npt.NDArray[np.int64], base: FloatArray | None) -> None:
        check_scales(X[:, support], y)
        n_base = 0 if base is None else 1
        columns = X[:, support] if base is None else np.hstack([base, X[:, support]])
        if not columns.shape[1]:
            fitted = np.empty(0)
        elif self.method == "chebyshev":
            fitted = chebyshev_fit(columns, y).coef
        else:
            fitted = least_squares_on(X, y, support, base)
        self.coef_ = np.zeros(X.shape[1])
        self.coef_[support] = fitted[n_base:]
        self.intercept_ = float(fitted[0]) if n_base else 0.0
        self.support_ = np.flatnonzero(self.coef_).astype(np.int64)

    def _promise(self) -> Guarantee:
        how = "all supports were tried or ruled out" if self.exact_ else "the bound allows models with all columns"
        return Guarantee("proved gap", self.eps_ - self.eps_lower_, reason=f"no model with {self.n_nonzero} columns is nearer: {how}")


def _least_squares_error(X: FloatArray, y: FloatArray, base: FloatArray | None) -> float:
    """Return the root mean square error of all columns, which no model beats in its largest error; less rounding, for y of size 1."""
    everything = np.arange(X.shape[1], dtype=np.int64)
    left = y - (X if base is None else np.hstack([base, X])) @ least_squares_on(X, y, everything, base)
    return max(0.0, float(np.linalg.norm(left)) / math.sqrt(len(y)) * (1.0 - _ROUNDING) - _ROUNDING)
