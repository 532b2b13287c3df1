"""Regressions of this room with the interface of scikit-learn: validation and attributes; the mathematics is elsewhere."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import validate_data

from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_range
from algos.lp_embeddings._quantile_problem import append_ones, check_problem
from algos.lp_embeddings._sampled_regression import SampledRegression
from algos.lp_embeddings.quantile_regression import check_options, fit_quantile

__all__ = ["SampledQuantileRegressor"]


class SampledQuantileRegressor(SampledRegression, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Linear quantile regression on all rows, solved from a sample and a band of rows, with a proven optimality gap.

    Minimises :math:`\sum_i w_i \rho_t(y_i - x_i \beta - \beta_0)` with
    :math:`\rho_t(e) = t \max(e, 0) + (1 - t) \max(-e, 0)` and t = `quantile`. There is no penalty. Use it where the table is tall and the
    answer has to be the optimum, not an estimate of it.

    Parameters
    ----------
    quantile : float, default=0.5
        Quantile in (0, 1); one half is least absolute deviations.
    tol : float, default=1e-9
        Relative gap to prove: far below statistical error, and above the rounding of float64.
    certify : bool, default=True
        False stops after the sample: sketch-and-solve, faster and without guarantee.
    sampler : {"auto", "leverage", "lewis", "uniform"}, default="auto"
        How rows are sampled; see `certified_quantile`. It decides the accuracy of an uncertified fit and only the speed of a certified one.
    size : int, optional
        Expected number of sampled rows; about ``2 n^0.7`` if None. More than n is reduced to n with a warning.
    fit_intercept : bool, default=True
        Whether to add a column of ones, which costs a copy of X.
    warm_start : bool, default=False
        Whether the next call of `fit` starts at the present coefficients instead of the sample's. It changes the time, not the result
        beyond `tol`, and pays off after small changes: other weights, a few new rows. For another quantile the sample is the better start.
    max_rounds : int, default=12
        Limit on the bands that are solved; one is usual.
    random_state : None, int, Generator or RandomState, default=None
        Draws the sample. Different samples give the same objective within `tol`.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients, of minimum norm when columns are dependent.
    intercept_ : float
        Intercept; 0.0 without one.
    objective_ : float
        Sum over all rows of weight times pinball loss. (scikit-learn's `QuantileRegressor` minimises the mean.)
    gap_ : float
        Proven ``(objective_ - dual_bound_) / objective_``; 0 where the objective is zero up to rounding; NaN if ``certify=False``.
    dual_ : ndarray of shape (n_samples,) or None
        The dual vector that proves it: in ``[w (t - 1), w t]`` and orthogonal to the columns.
    dual_bound_ : float
        No coefficients reach a smaller objective; NaN if ``certify=False``.
    n_iter_ : int
        Bands solved.
    n_rows_used_ : int
        Distinct rows in the sample and the bands.
    guarantee_ : Guarantee
        What is promised, in the form common to all estimators.
    certificate_ : QuantileCertificate or None
        ``certificate_.verify(X, y, sample_weight)`` recomputes the statement from the data.
    coreset_ : LpCoreset
        What `partial_fit` keeps of the stream; absent after `fit`.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had string names.

    See Also
    --------
    algos.lp_embeddings.certified_quantile : The function behind it.
    algos.lp_embeddings.certify_quantile : Proves the gap of coefficients from another solver.

    Notes
    -----
    Time 2 n d^2 + O(n d), memory one copy of X (none without intercept) and some vectors of length n. CSR input stays sparse; only
    the sampled rows and the band become dense.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import SampledQuantileRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((4000, 2))
    >>> y = 3.0 + X @ [1.0, -1.0] + rng.standard_cauchy(4000)
    >>> model = SampledQuantileRegressor(random_state=0).fit(X, y)
    >>> print(np.round(model.coef_, 1), round(model.intercept_, 1), model.gap_ < 1e-9)
    [ 1. -1.] 3.0 True
    >>> model.certificate_.verify(X, y)
    True
    """

    def __init__(
        self,
        quantile: float = 0.5,
        *,
        tol: float = 1e-9,
        certify: bool = True,
        sampler: str = "auto",
        size: int | None = None,
        fit_intercept: bool = True,
        warm_start: bool = False,
        max_rounds: int = 12,
        random_state: RandomStateLike = None,
    ) -> None:
        self.quantile = quantile
        self.tol = tol
        self.certify = certify
        self.sampler = sampler
        self.size = size
        self.fit_intercept = fit_intercept
        self.warm_start = warm_start
        self.max_rounds = max_rounds
        self.random_state = random_state

    def fit(self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Fit the regression and prove its gap.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Responses.
        sample_weight : array-like of shape (n_samples,), optional
            Nonnegative weights; an integer weight is the same as repeating the row, zero the same as leaving it out.

        Returns
        -------
        SampledQuantileRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter are invalid; the message names the argument, its value and the rule.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `tol` was not proved after `max_rounds`; ``gap_`` is the gap that was.
        """
        self._loss_exponent()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=(np.float64, np.float32), order="C", y_numeric=True)
        self._solve(X, y, sample_weight)
        self._forget_stream()
        return self

    def _loss_exponent(self) -> float:
        check_range(self.quantile, name="quantile", low=0.0, high=1.0, low_open=True, high_open=True)
        return 1.0

    def _solve(self, X: Any, y: Any, sample_weight: Any, *, whole: bool = False) -> Self:
        data, t = check_problem(append_ones(X) if self.fit_intercept else X, y, self.quantile, sample_weight)
        size, certify = (None, True) if whole else (self._size(X.shape[0]), self.certify)
        options = check_options(data, self.tol, self.sampler, size, None, certify, self.max_rounds)
        start = self._start(data.shape[1])
        result = fit_quantile(data, t, options, as_generator(self.random_state), intercept=self.fit_intercept, start=start)
        return self._set_fit(result, result.n_rounds)
