"""A table replaced by a few weighted rows, with the interface of scikit-learn; the mathematics is elsewhere."""

import warnings
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_option, check_range, is_sparse
from algos.lp_embeddings import bounds
from algos.lp_embeddings._arguments import checked_exponent
from algos.lp_embeddings.importance import SAMPLERS, Draw, RowScores, Sampler, draw_rows, row_scores

__all__ = ["LpSubspaceEmbedding"]

_DRAWS = ("bernoulli", "fixed", "systematic")
_DTYPES = (np.float64, np.float32)
_ROUNDED = 1e-12  # probabilities nearer to 1 than this are certain


class LpSubspaceEmbedding(BaseEstimator):  # type: ignore[misc]
    r"""Few weighted rows of a table that preserve its lp norm in all directions at once.

    Rows i are kept with probability :math:`q_i`, in proportion to an importance score, and weighted by :math:`1/q_i`, so that

    .. math:: (1-\varepsilon)\|Ax\|_p \le \|TAx\|_p \le (1+\varepsilon)\|Ax\|_p \quad\text{for all } x .

    Any lp regression, lp low-rank problem or direction search can then work on the kept rows. Use it where the table is tall (rows by the
    thousand times the columns) and the loss is an lp norm; a uniform sample loses directions that few rows carry.

    Parameters
    ----------
    p : float, default=1.0
        Exponent of the norm, 1 <= p < inf; 1 is the robust norm, where least squares methods do not help.
    sampler : str, default="auto"
        Score that probabilities follow: "lewis", "sensitivity", "l2_augmented", "root_leverage", "leverage_sensitivity", "leverage" or
        "uniform", see `row_scores`. "auto": "l2_augmented" below p = 2, "leverage" at 2, "lewis" above, and from p = 4 on "sensitivity"
        where the table's total sensitivity is small.
    size : float, optional
        Expected number of rows, at least 1. By default the size that the theory suggests for `eps` and `delta` with the constant 2, see
        `sample_size`. Where there are no more rows than that, all of them are kept.
    eps : float, default=0.5
        Distortion wanted, positive; it matters when `size` is None. One half is a rough embedding; halving it takes four times the rows.
    delta : float, default=0.1
        Probability of failure, in (0, 1).
    draw : {"bernoulli", "fixed", "systematic"}, default="bernoulli"
        How rows are drawn; see `sample_rows`. Systematic samples have the exact size and no guarantee.
    random_state : None, int, Generator or RandomState, default=None
        Draws the sample. The same number gives the same sample for a table in memory, on disk or sparse.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (m,), int64
        Rows kept, increasing.
    weights_ : ndarray of shape (m,)
        What multiplies a row's term :math:`|a_i x|^p`: for solvers that take ``sample_weight``.
    scale_ : ndarray of shape (m,)
        ``weights_ ** (1/p)``: what multiplies the row itself.
    scores_ : ndarray of shape (n_samples,)
        Importance of every row.
    probabilities_ : ndarray of shape (n_samples,)
        Inclusion probability of every row; after several rounds ("root_leverage" below p = 2) the product over the rounds that the row
        took part in.
    total_bounds_ : tuple of float
        Lower and upper bound on the table's total sensitivity.
    sampler_ : str
        Score used.
    size_ : float
        Expected number of rows.
    rank_ : int
        Rank of the table.
    guarantee_ : Guarantee
        "isometry": all nonzero rows are kept. "proved distortion": holds with probability ``1 - delta`` with every constant
        explicit (`proved_distortion`). "calibrated size": the sample has the size of a theorem whose constant is measured, not proved. Else
        "none", with the reason.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had string names.

    See Also
    --------
    algos.lp_embeddings.distortion : Measures what a sample has done to the norms.
    algos.lp_embeddings.calibrate_m : Finds the size that a table really needs.

    Notes
    -----
    Time: one leverage computation (n d^2) for leverage, root leverage and uniform scores, about five to ten otherwise. Memory O(n + d^2)
    beyond the table. There is no `transform`, which by scikit-learn's contract returns one row for each row.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import LpSubspaceEmbedding
    >>> X = np.random.default_rng(0).standard_t(2, (20_000, 4))
    >>> embedding = LpSubspaceEmbedding(p=1.0, size=400, random_state=0).fit(X)
    >>> small = embedding.sketch(X)
    >>> x = np.array([1.0, -1.0, 0.5, 0.0])
    >>> print(round(float(np.abs(small @ x).sum() / np.abs(X @ x).sum()), 2), embedding.guarantee_.kind)
    0.96 proved distortion
    """

    def __init__(
        self,
        p: float = 1.0,
        sampler: Literal["auto"] | Sampler = "auto",
        size: float | None = None,
        eps: float = 0.5,
        delta: float = 0.1,
        draw: Draw = "bernoulli",
        random_state: RandomStateLike = None,
    ) -> None:
        self.p = p
        self.sampler = sampler
        self.size = size
        self.eps = eps
        self.delta = delta
        self.draw = draw
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Score the rows of a table and draw the sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Table.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), optional
            Responses. If given, the sample embeds the table ``[X y]``, which is what a regression of y on X needs.

        Returns
        -------
        LpSubspaceEmbedding
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter are invalid; the message names the argument, its value and the rule.

        Warns
        -----
        UserWarning
            If `size` is below the rank: such a sample cannot embed the table.
        """
        self._check_parameters()
        X, y = self._validated(X, y)
        table = X if y is None else _joined(X, y)
        found = row_scores(table, self.p, self.sampler)
        size = self._size(found)
        seed = int(as_generator(self.random_state).integers(2**63))
        sample, probabilities = draw_rows(table, found, size, seed=seed, draw=self.draw)
        self.sample_indices_ = sample.indices
        self.weights_ = sample.weights
        self.scale_ = sample.scale(self.p)
        self.scores_ = found.scores
        self.probabilities_ = probabilities
        self.total_bounds_ = found.total_bounds
        self.sampler_ = found.sampler
        self.size_ = float(min(size, int(np.count_nonzero(found.scores))))
        self.rank_ = found.rank
        self.guarantee_ = self._guarantee(found)
        self._n_rows = int(table.shape[0])
        return self

    def _check_parameters(self) -> None:
        checked_exponent(self.p)
        check_option(self.sampler, ("auto", *SAMPLERS), name="sampler")
        check_range(self.eps, name="eps", low=0.0, low_open=True, high=np.inf, high_open=True)
        check_range(self.delta, name="delta", low=0.0, high=1.0, low_open=True, high_open=True)
        check_option(self.draw, _DRAWS, name="draw")
        if self.size is not None:
            check_range(self.size, name="size", low=1.0, high=np.inf, high_open=True)
        if self.sampler == "leverage" and self.p != 2.0 and self.size is None:
            raise ValueError(f"size=None with sampler='leverage', p={self.p!r}: no size is known to suffice but for p = 2; give size")

    def _validated(self, X: Any, y: Any) -> tuple[Any, Any]:
        options: dict[str, Any] = {"accept_sparse": "csr", "dtype": _DTYPES, "order": "C"}
        if y is None:
            return validate_data(self, X, **options), None
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, **options)
        return X, y

    def _size(self, found: RowScores) -> float:
        if self.size is None:
            return self._suggested(found)
        if self.size < min(found.rank, int(np.count_nonzero(found.scores))):
            warnings.warn(
                f"size={self.size} is below the rank of the table, {found.rank}: the sample cannot embed it.", UserWarning, stacklevel=3
            )
        return float(self.size)

    def _suggested(self, found: RowScores) -> int:
        return bounds.sample_size(
            sampler=found.sampler,
            p=float(self.p),
            d=found.rank,
            S=found.total_bounds[1],
            eps=self.eps,
            delta=self.delta,
            n=int(np.count_nonzero(found.scores)),
            max_sensitivity=float(found.sensitivity_upper.max()),
        )

    def _guarantee(self, found: RowScores) -> Guarantee:
        certain = self.probabilities_ >= 1.0 - _ROUNDED
        if np.all(certain[found.scores > 0.0]):
            return Guarantee("isometry", 0.0, reason="all rows that are not zero are kept")
        if self.draw == "systematic":
            return Guarantee("none", reason="no embedding theorem covers systematic draws; use draw='bernoulli'")
        proved = self._proved(found, certain)
        chance = f"probability at least {1.0 - self.delta:g} over random_state, drawn independently of the table"
        if proved < np.inf:
            return Guarantee("proved distortion", proved, (chance,), "Bernstein's inequality on a net, with bounds on every sensitivity")
        if found.sampler == "leverage" and self.p != 2.0:
            return Guarantee("none", reason=f"no theorem covers leverage scores for p={self.p:g}; use sampler='auto'")
        suggested = self._suggested(found)
        if self.size_ < min(suggested, int(np.count_nonzero(found.scores))):
            reason = f"{self.size_:g} rows are expected, below the {suggested} that the theory suggests for eps={self.eps:g}"
            return Guarantee("none", reason=reason)
        premises = (chance, "the constant 2 and the logarithm in sample_size, measured on many tables and not proved")
        return Guarantee("calibrated size", float(self.eps), premises, f"the size of the theorem about sampler={found.sampler!r}")

    def _proved(self, found: RowScores, certain: npt.NDArray[np.bool_]) -> float:
        """Distortion proved with every constant; infinite when that is vacuous, or for several dependent rounds."""
        if found.sampler == "root_leverage" and self.p < 2.0:
            return np.inf
        uncertain = (found.scores > 0.0) if self.draw == "fixed" else (found.scores > 0.0) & ~certain
        q = self.probabilities_
        if self.draw == "fixed":
            q = q * (max(round(float(q.sum())), 1) / float(q.sum()))
        share = float(np.max(found.sensitivity_upper[uncertain] / q[uncertain]))
        return bounds.proved_distortion(p=float(self.p), rank=found.rank, share=share, delta=self.delta)

    def sketch(self, X: Any) -> Any:
        r"""Return the kept rows, multiplied so that their lp norm estimates that of the table.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The table that was fitted, or another one with the same rows in the same order (as its responses).

        Returns
        -------
        ndarray or csr_array of shape (m, n_features)
            ``scale_[:, None] * X[sample_indices_]``, the product TA.

        Raises
        ------
        ValueError
            If X has another number of rows or columns.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        rows = self._rows(X)
        if is_sparse(rows):
            return rows.multiply(self.scale_.astype(rows.dtype, copy=False)[:, None]).tocsr()
        return self.scale_.astype(rows.dtype, copy=False)[:, None] * rows

    def _rows(self, X: Any) -> Any:
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_DTYPES, reset=False)
        if X.shape[0] != self._n_rows:
            raise ValueError(f"X has {X.shape[0]} rows, the table fitted had {self._n_rows}; a sample belongs to the rows of one table")
        return X[self.sample_indices_]

    def fit_sketch(self, X: Any, y: Any = None) -> tuple[Any, ...]:
        """Fit, and return the kept rows as they are, with their weights, for a solver that takes ``sample_weight``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Table.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), optional
            Responses; see `fit`.

        Returns
        -------
        rows : ndarray or csr_array of shape (m, n_features)
            ``X[sample_indices_]``, not scaled.
        targets : ndarray of shape (m,) or (m, n_targets)
            ``y[sample_indices_]``; only where y was given.
        weights : ndarray of shape (m,)
            ``weights_``.
        """
        self.fit(X, y)
        rows = self._rows(X)
        if y is None:
            return rows, self.weights_
        return rows, np.asarray(y)[self.sample_indices_], self.weights_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _joined(X: Any, y: npt.NDArray[Any]) -> Any:
    """Return ``[X y]``."""
    columns = np.asarray(y, dtype=X.dtype).reshape(X.shape[0], -1)
    stack: Any = sp.hstack if is_sparse(X) else np.hstack
    return stack([X, columns])
