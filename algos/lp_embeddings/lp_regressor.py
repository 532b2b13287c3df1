"""Linear regression in an lp norm with the interface of scikit-learn; the mathematics is in `lp_regression`."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import validate_data

from algos.common.randomness import RandomStateLike, as_generator
from algos.lp_embeddings._quantile_problem import append_ones, check_problem
from algos.lp_embeddings._sampled_regression import SampledRegression
from algos.lp_embeddings.lp_regression import check_exponent, check_lp_options, fit_lp

__all__ = ["SampledLpRegressor"]


class SampledLpRegressor(SampledRegression, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Linear regression in an lp norm on all rows, started from a sample, with a proven optimality gap.

    Minimises :math:`\bigl(\sum_i w_i |y_i - x_i \beta - \beta_0|^p\bigr)^{1/p}`. There is no penalty. Exponents between 1 and 2 trade the
    robustness of least absolute deviations against the efficiency of least squares; exponents above 2 weigh the largest residuals.

    Parameters
    ----------
    p : float, default=1.5
        Exponent in [1, 100]: half way between absolute and squared deviations by default.
    tol : float, default=1e-9
        Relative gap to prove: far below statistical error, and above the rounding of float64.
    certify : bool, default=True
        False stops after the sample: sketch-and-solve, faster and without guarantee.
    sampler : {"auto", "leverage", "lewis", "uniform"}, default="auto"
        How rows are sampled; see `certified_lp`. It decides the accuracy of an uncertified fit and only the speed of a certified one.
    size : int, optional
        Expected number of sampled rows; about ``2 n^0.7`` if None. More than n is reduced to n with a warning.
    fit_intercept : bool, default=True
        Whether to add a column of ones, which costs a copy of X.
    warm_start : bool, default=False
        Whether the next call of `fit` starts at the present coefficients instead of a sample. It changes the time, not the result beyond
        `tol`, and pays off for a sequence of similar problems: another p, other weights, new rows.
    max_iter : int, default=60
        Limit on the Newton steps over all rows; three to six are usual for p between 1.5 and 4.
    random_state : None, int, Generator or RandomState, default=None
        Draws the sample. Different samples give the same objective within `tol`.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients, of minimum norm when columns are dependent.
    intercept_ : float
        Intercept; 0.0 without one.
    objective_ : float
        Weighted lp norm of the residuals of all rows.
    gap_ : float
        Proven ``(objective_ - dual_bound_) / objective_``; 0 where the objective is zero up to rounding; NaN if ``certify=False``.
    dual_ : ndarray of shape (n_samples,) or None
        The dual vector that proves it: orthogonal to the columns, of norm 1 in the dual norm.
    dual_bound_ : float
        No coefficients reach a smaller objective; NaN if ``certify=False``.
    n_iter_ : int
        Newton steps over all rows, or on the sample if ``certify=False``.
    n_rows_used_ : int
        Rows of the sample, all rows if the table was too small to sample, 0 after a warm start.
    guarantee_ : Guarantee
        What is promised, in the form common to all estimators.
    certificate_ : LpCertificate or None
        ``certificate_.verify(X, y, sample_weight)`` recomputes the statement from the data.
    coreset_ : LpCoreset
        What `partial_fit` keeps of the stream; absent after `fit`.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had string names.

    See Also
    --------
    algos.lp_embeddings.certified_lp : The function behind it.
    algos.lp_embeddings.SampledQuantileRegressor : Quantile loss; p = 1 is its median up to a factor of two.

    Notes
    -----
    Time 2 n d^2 for the sample, then n d^2 + O(n d) a step; memory one copy of X (none without intercept) and some vectors of length n. CSR
    input stays sparse; only the sampled rows become dense.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import SampledLpRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((4000, 2))
    >>> y = 3.0 + X @ [1.0, -1.0] + rng.standard_t(3, 4000)
    >>> model = SampledLpRegressor(p=1.2, random_state=0).fit(X, y)
    >>> print(np.round(model.coef_, 1), round(model.intercept_, 1), model.gap_ < 1e-9)
    [ 1. -1.] 3.0 True
    >>> model.certificate_.verify(X, y)
    True
    """

    def __init__(
        self,
        p: float = 1.5,
        *,
        tol: float = 1e-9,
        certify: bool = True,
        sampler: str = "auto",
        size: int | None = None,
        fit_intercept: bool = True,
        warm_start: bool = False,
        max_iter: int = 60,
        random_state: RandomStateLike = None,
    ) -> None:
        self.p = p
        self.tol = tol
        self.certify = certify
        self.sampler = sampler
        self.size = size
        self.fit_intercept = fit_intercept
        self.warm_start = warm_start
        self.max_iter = max_iter
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
        SampledLpRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter are invalid; the message names the argument, its value and the rule.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `tol` was not proved after `max_iter` steps; ``gap_`` is the gap that was.
        """
        self._loss_exponent()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=(np.float64, np.float32), order="C", y_numeric=True)
        self._solve(X, y, sample_weight)
        self._forget_stream()
        return self

    def _loss_exponent(self) -> float:
        return check_exponent(self.p)

    def _solve(self, X: Any, y: Any, sample_weight: Any, *, whole: bool = False) -> Self:
        p = check_exponent(self.p)
        data, _ = check_problem(append_ones(X) if self.fit_intercept else X, y, 0.5, sample_weight)
        size, certify = (None, True) if whole else (self._size(X.shape[0]), self.certify)
        options = check_lp_options(data, self.tol, self.sampler, size, certify, self.max_iter)
        start = self._start(data.shape[1]) if self.certify else None
        result = fit_lp(data, p, options, as_generator(self.random_state), start=start, intercept=self.fit_intercept)
        return self._set_fit(result, result.n_iter)
