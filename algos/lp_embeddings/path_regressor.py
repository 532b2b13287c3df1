"""Several quantiles and responses at once, with the interface of scikit-learn; the mathematics is in `quantile_path`."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_option, check_range
from algos.lp_embeddings._quantile_problem import append_ones, geometry
from algos.lp_embeddings.non_crossing import NonCrossingResult, at_joint_fit, fit_non_crossing
from algos.lp_embeddings.quantile_path import QuantilePathResult, check_path, check_quantiles, fit_path, rearranged
from algos.lp_embeddings.quantile_regression import check_options

__all__ = ["QuantilePath"]


class QuantilePath(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear quantile regressions for several quantiles and responses on one sample, each with a proven optimality gap.

    `predict` gives the quantile nearest to the median, as scikit-learn expects one number for each row and response;
    `predict_quantiles` gives all of them.

    Parameters
    ----------
    quantiles : array-like of shape (k,), default=(0.1, 0.5, 0.9)
        Quantiles in (0, 1), strictly increasing: the median and the band around it that holds four of five.
    tol : float, default=1e-9
        Relative gap to prove for each fit.
    certify : bool, default=True
        False stops after the sample: sketch-and-solve, faster and without guarantee.
    sampler : {"auto", "leverage", "lewis", "uniform"}, default="auto"
        How rows are sampled; see `certified_quantile`.
    size : int, optional
        Expected number of sampled rows; about ``2 n^0.7`` if None. More than n means all rows.
    fit_intercept : bool, default=True
        Whether to add a column of ones, which costs a copy of X.
    non_crossing : {None, "rearrange", "constrain"}, default=None
        "rearrange" sorts the predicted quantiles of each row. They then never cross, anywhere, and the sum of the k quantile losses is not
        larger than that of the linear fits, on any data; see `rearranged`. The coefficients and their certificates remain those of the
        linear fits. "constrain" fits all quantiles of a response together, under the condition that they do not cross at the training rows,
        and so in their convex hull: predictions stay linear, and the sum of the losses is proved optimal among such fits; see
        `non_crossing_quantiles`. None by default, because only single fits are optimal for each quantile on its own.
    max_rounds : int, default=12
        Limit on the bands that are solved for each fit; one is usual.
    random_state : None, int, Generator or RandomState, default=None
        Draws the sample.

    Attributes
    ----------
    quantiles_ : tuple of float
        The k quantiles.
    coef_ : ndarray of shape (k, n_features) or (n_responses, k, n_features)
        Coefficients of the linear fits; the longer shape if y was two-dimensional.
    intercept_ : ndarray of shape (k,) or (n_responses, k)
        Intercepts; zeros without one.
    objective_, dual_bound_, gap_ : ndarray of shape (k,) or (n_responses, k)
        Loss over all rows, proven lower bound, and proven relative gap of every fit; the last two NaN if ``certify=False``. With
        ``non_crossing="constrain"`` the bounds remain those of fits that may cross, so the gaps show what the order costs each level.
    joint_gap_ : ndarray of shape () or (n_responses,)
        With ``non_crossing="constrain"`` only: proven relative gap of the sum of the losses among fits that do not cross at a row.
    joint_certificates_ : list of NonCrossingCertificate
        With ``non_crossing="constrain"`` only: the proofs, one for each response.
    n_iter_ : int
        Largest number of bands that one of the fits needed.
    n_rows_used_ : int
        Largest number of distinct rows that one of the fits looked at closely.
    certificates_ : list of QuantileCertificate or None
        One for each fit, the quantiles of the first response first.
    guarantee_ : Guarantee
        The largest of the gaps (of ``joint_gap_`` with ``non_crossing="constrain"``), as a promise for all fits.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had string names.

    See Also
    --------
    algos.lp_embeddings.certified_quantile_path : The function behind it.
    algos.lp_embeddings.SampledQuantileRegressor : One quantile of one response.

    Notes
    -----
    Time: the whitening once (2 n d^2), then O(n d) and two small interior point problems for each fit. Memory: a vector of length n for
    each fit besides those of a single regression. See `non_crossing_quantiles` for the cost of its option.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import QuantilePath
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(5000, 1))
    >>> y = 1.0 + X[:, 0] * (2.0 + rng.standard_normal(5000))
    >>> path = QuantilePath([0.25, 0.5, 0.75], non_crossing="rearrange", random_state=0).fit(X, y)
    >>> print(np.round(path.predict_quantiles([[0.0], [1.0]]), 1))
    [[1.  1.  1. ]
     [2.3 3.  3.7]]
    """

    def __init__(
        self,
        quantiles: npt.ArrayLike = (0.1, 0.5, 0.9),
        *,
        tol: float = 1e-9,
        certify: bool = True,
        sampler: str = "auto",
        size: int | None = None,
        fit_intercept: bool = True,
        non_crossing: str | None = None,
        max_rounds: int = 12,
        random_state: RandomStateLike = None,
    ) -> None:
        self.quantiles = quantiles
        self.tol = tol
        self.certify = certify
        self.sampler = sampler
        self.size = size
        self.fit_intercept = fit_intercept
        self.non_crossing = non_crossing
        self.max_rounds = max_rounds
        self.random_state = random_state

    def fit(self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Fit all quantiles of all responses and prove their gaps.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_responses)
            Responses.
        sample_weight : array-like of shape (n_samples,), optional
            Nonnegative weights.

        Returns
        -------
        QuantilePath
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter are invalid, or if ``non_crossing="constrain"`` and no combination of columns is positive at every
            row; the message names the argument, its value and the rule.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            For each fit whose `tol` was not proved; ``gap_`` holds the gaps that were.
        """
        levels = check_quantiles(self.quantiles)
        check_option(self.non_crossing, (None, "rearrange", "constrain"), name="non_crossing")
        constrained = self.non_crossing == "constrain"
        if constrained and not self.certify:
            raise ValueError("non_crossing='constrain' keeps the order at all rows and proves its gap there; use certify=True.")
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=(np.float64, np.float32), order="C", y_numeric=True, multi_output=True)
        problems, many = check_path(append_ones(X) if self.fit_intercept else X, y, sample_weight)
        size = None if self.size is None else min(int(check_range(self.size, name="size", low=1, integer=True)), X.shape[0])
        options = check_options(problems[0], self.tol, self.sampler, size, None, self.certify, self.max_rounds)
        shape = geometry(problems[0], intercept=self.fit_intercept)
        results = fit_path(problems, levels, options, as_generator(self.random_state), intercept=self.fit_intercept, shape=shape)
        path = QuantilePathResult(levels, results, (len(problems), len(levels)) if many else (len(levels),))
        if not constrained:
            return self._set_fit(path)
        k = len(levels)
        joint = [
            fit_non_crossing(data, shape, levels, results[i * k : (i + 1) * k], options, intercept=self.fit_intercept)
            for i, data in enumerate(problems)
        ]
        together = tuple(judged for i, fit in enumerate(joint) for judged in at_joint_fit(results[i * k : (i + 1) * k], fit))
        return self._set_fit(replace(path, results=together))._set_joint(joint, many=many)

    def _set_fit(self, path: QuantilePathResult) -> Self:
        coef = path.coef
        self.quantiles_ = path.quantiles
        self.coef_ = coef[..., :-1] if self.fit_intercept else coef
        self.intercept_ = coef[..., -1] if self.fit_intercept else np.zeros(path.shape)
        self.objective_, self.dual_bound_, self.gap_ = path.objective, path.dual_bound, path.gap
        self.n_iter_ = max(1, *(result.n_rounds for result in path))
        self.n_rows_used_ = max(result.n_rows_used for result in path)
        self.certificates_ = [result.certificate for result in path]
        worst = max(path, key=lambda result: result.gap).guarantee
        self.guarantee_ = worst if not worst.holds else Guarantee(worst.kind, float(self.gap_.max()), worst.premises, worst.reason)
        return self

    def _set_joint(self, joint: list[NonCrossingResult], *, many: bool) -> Self:
        gaps = np.array([fit.gap for fit in joint])
        self.joint_gap_ = gaps if many else gaps.reshape(())
        self.joint_certificates_ = [fit.certificate for fit in joint]
        self.guarantee_ = max(joint, key=lambda fit: fit.gap).guarantee
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Predict the quantile nearest to the median.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_responses)
            The entries of `predict_quantiles` that belong to this quantile.
        """
        check_is_fitted(self)
        central = int(np.argmin(np.abs(np.asarray(self.quantiles_) - 0.5)))
        predicted: npt.NDArray[np.float64] = self.predict_quantiles(X)[..., central]
        return predicted

    def predict_quantiles(self, X: Any) -> npt.NDArray[np.float64]:
        """Predict all quantiles.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, k) or (n_samples, n_responses, k)
            Linear predictions, sorted along the last axis with ``non_crossing="rearrange"``. With "constrain" they increase along it in
            the convex hull of the training rows.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        flat = X @ self.coef_.reshape(-1, self.coef_.shape[-1]).T + self.intercept_.ravel()
        predicted: npt.NDArray[np.float64] = flat.reshape(len(flat), *self.intercept_.shape)
        return rearranged(predicted) if self.non_crossing == "rearrange" else predicted

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags
