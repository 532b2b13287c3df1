"""What the regressions of this room share: start, size of the sample, fitted attributes, prediction."""

import warnings
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from algos.common.validation import check_range
from algos.lp_embeddings._streamed_regression import StreamedRegression

__all__ = ["SampledRegression"]


class SampledRegression(StreamedRegression):
    """A linear regression that starts from a sample and ends with a proven gap; subclasses bring the loss and its solver."""

    warm_start: bool

    def _start(self, d: int) -> npt.NDArray[np.float64] | None:
        """Coefficients of the last fit, if they are asked for and fit the table."""
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        start = np.append(self.coef_, self.intercept_) if self.fit_intercept else self.coef_
        return start if start.shape == (d,) else None

    def _size(self, n: int) -> int | None:
        if self.size is None:
            return None
        size = int(check_range(self.size, name="size", low=1, integer=True))
        if size > n:
            warnings.warn(f"size={size} is larger than the number of rows, {n}; all rows are used.", UserWarning, stacklevel=4)
        return min(size, n)

    def _set_fit(self, result: Any, n_iter: int) -> Self:
        """Set the attributes from a result whose coefficients end with the intercept, if there is one."""
        self.coef_ = result.coef[:-1] if self.fit_intercept else result.coef
        self.intercept_ = float(result.coef[-1]) if self.fit_intercept else 0.0
        self.objective_ = result.objective
        self.gap_ = result.gap
        self.dual_ = result.dual
        self.dual_bound_ = result.dual_bound
        self.n_iter_ = n_iter
        self.n_rows_used_ = result.n_rows_used
        self.guarantee_ = result.guarantee
        self.certificate_ = result.certificate
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Predict the response (of a quantile regression: its conditional quantile).

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)
            ``X @ coef_ + intercept_``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        predicted: npt.NDArray[np.float64] = X @ self.coef_ + self.intercept_
        return predicted

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()  # type: ignore[misc]  # of BaseEstimator, which stands behind this class
        tags.input_tags.sparse = True
        return tags
