"""Regression on a stream: what the regressions of this room do with blocks of rows."""

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import validate_data

from algos.common.guarantees import Guarantee
from algos.lp_embeddings._coreset_parts import all_or_nothing
from algos.lp_embeddings._quantile_problem import append_ones
from algos.lp_embeddings.streaming import LpCoreset

__all__ = ["StreamedRegression"]

_SIZE = 10_000  # rows kept by default: on flights the loss of such a sample's solution is within some 0.3 % of the best
_USUAL_COLUMNS = 20  # for more columns the sample grows with their root
_REDUCTIONS = {"auto": "lewis", "lewis": "lewis", "leverage": "leverage", "uniform": "uniform"}
_REASON = "partial_fit: the fit comes from a coreset of the rows seen, which were not kept and cannot be checked"


class StreamedRegression:
    """Adds `partial_fit` to a regression with an exponent of its loss and a solver of weighted rows."""

    size: int | None
    sampler: str
    fit_intercept: bool
    random_state: Any
    dual_: Any
    certificate_: Any

    def _loss_exponent(self) -> float:
        """Check the parameter of the loss, and return the exponent of the norm that the coreset has to keep."""
        raise NotImplementedError

    def _solve(self, X: Any, y: Any, sample_weight: Any, *, whole: bool) -> Self:
        """Solve the regression on checked rows and set the attributes; with `whole` without sampling them, whatever the parameters say."""
        raise NotImplementedError

    def partial_fit(self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Add rows to a stream, and solve the regression on the few weighted rows that are kept of it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Responses.
        sample_weight : array-like of shape (n_samples,), optional
            Nonnegative weights.

        Returns
        -------
        object
            The estimator. ``coreset_`` is the :class:`LpCoreset` of ``[X 1 y]``, with `size` rows (10,000 if None): it can be saved and
            merged.

        Raises
        ------
        ValueError
            If the data or a parameter are invalid; nothing has changed then.

        Notes
        -----
        As after ``certify=False`` nothing is proved, whatever `certify` says: ``gap_`` and ``dual_bound_`` are NaN and ``objective_`` is an
        unbiased estimate at fixed coefficients. A call of `fit` forgets the stream, and the first `partial_fit` after it begins a new one.

        Every call scores what is stored (up to 2**16 rows) and solves a regression on `size` rows, some tenths of a second: add rows by the
        ten thousand. A stream that was not kept whole gives the same coefficients in whatever blocks it came.
        """
        with all_or_nothing(self):
            self._loss_exponent()
            coreset: LpCoreset | None = getattr(self, "coreset_", None)
            options: dict[str, Any] = {"accept_sparse": "csr", "dtype": (np.float64, np.float32), "order": "C", "y_numeric": True}
            X, y = validate_data(self, X, y, reset=coreset is None, **options)
            table = append_ones(X) if self.fit_intercept else X
            if coreset is None:
                coreset = self._new_coreset(int(table.shape[1]))
            self.coreset_ = coreset.copy().partial_fit(table, y, sample_weight)
            return self._solve_coreset()

    def _new_coreset(self, columns: int) -> LpCoreset:
        size = int(_SIZE * max(1.0, columns / _USUAL_COLUMNS) ** 0.5) if self.size is None else self.size
        if self.sampler not in _REDUCTIONS:
            raise ValueError(f"sampler={self.sampler!r} is not known; choose one of {', '.join(map(repr, _REDUCTIONS))}")
        reduction: Any = _REDUCTIONS[self.sampler]
        return LpCoreset(self._loss_exponent(), size, reduction=reduction, random_state=self.random_state)

    def _solve_coreset(self) -> Self:
        rows = self.coreset_.rows_
        if self.fit_intercept:
            rows = rows[:, :-1]
        if rows.shape[0]:
            self._solve(rows, self.coreset_.targets_, self.coreset_.row_weights_, whole=True)
        else:  # all rows and responses are zero: one row of zeros has the same solution
            self._solve(np.zeros((1, rows.shape[1])), np.zeros(1), None, whole=True)
        self.gap_, self.dual_bound_, self.dual_, self.certificate_ = math.nan, math.nan, None, None
        self.n_rows_used_ = int(rows.shape[0])
        self.guarantee_ = Guarantee("none", reason=_REASON)
        return self

    def _forget_stream(self) -> None:
        if hasattr(self, "coreset_"):
            del self.coreset_
