"""Coresets of streams: a few weighted rows that stand for all rows seen so far, in bounded memory; the mathematics is elsewhere."""

import copy
import os
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from algos.common.blocks import RowSource
from algos.common.randomness import RandomStateLike, as_generator
from algos.common.serialization import load_state, save_state
from algos.common.validation import check_range, is_sparse
from algos.lp_embeddings import _coreset_parts as parts
from algos.lp_embeddings._buckets import Plan
from algos.lp_embeddings._kept_rows import KeptRows
from algos.lp_embeddings._whole_table import join_columns, sample_table
from algos.lp_embeddings.importance import Sampler
from algos.lp_embeddings.merge_reduce import FAILURE, Stream

__all__ = ["LpCoreset"]

FloatArray = npt.NDArray[np.float64]

_DTYPES = (np.float64, np.float32)
_KIND = "LpCoreset"


class LpCoreset(KeptRows, BaseEstimator):  # type: ignore[misc]
    r"""Weighted rows that stand for a stream of rows in all directions at once: merge and reduce.

    For rows :math:`a_i` with weights :math:`w_i`, the kept rows satisfy, for every x,

    .. math:: \sum_{i\text{ kept}} w'_i |a_i x|^p \approx \sum_i w_i |a_i x|^p, \qquad \text{with equality in expectation.}

    `partial_fit` keeps a logarithmic number of samples of about `size` rows and forgets the rest; `fit` draws one sample of a table that
    is at hand. Use it where rows arrive in pieces, lie on several machines (`merge`), or are too many for memory. Where the table can be
    read again, `fit` or `fit_blocks` gives the better sample: one reduction instead of a tree of them.

    Parameters
    ----------
    p : float, default=1.0
        Exponent of the norm, 1 <= p < inf; 1 is the robust norm.
    size : float, default=1000
        Expected number of rows after a reduction, at least 1. It has to exceed the number of columns by far; `sample_size` suggests values.
    leaf : int, optional
        Rows reduced together at the bottom of the tree, at least `size`: more rows take more memory and lose less. By default the power of
        two that is at least 40 times `size`, but no more than 2**16 unless that is less than 4 times `size`: blocks of 2**16 rows
        are then reduced without being copied.
    reduction : str, default="lewis"
        Score that probabilities follow: "lewis" (relaxed iterations to a residual of 0.1), "root_leverage" (one leverage computation,
        p <= 2, four times as fast), "l2_augmented", "sensitivity", "leverage", "leverage_sensitivity", "uniform" or "auto"; see
        `row_scores`.
    start : int, default=0
        Number of the first row. Workers whose coresets will be merged number their rows differently; random numbers belong to row numbers.
    random_state : None, int, Generator or RandomState, default=None
        Draws the samples. Workers should share an integer.

    Attributes
    ----------
    rows_ : ndarray or csr_array of shape (m, n_features)
        Rows kept, as they arrived, in the order of the stream. This attribute and the next ones are computed when first asked for after
        rows have been added, by one more reduction of all that is stored.
    targets_ : ndarray of shape (m,) or (m, n_targets), or None
        Responses of these rows, if y was given.
    row_weights_ : ndarray of shape (m,)
        What multiplies a row's term :math:`|a_i x|^p`: for solvers that take ``sample_weight``.
    weights_ : ndarray of shape (m,)
        The same, under the name that `LpSubspaceEmbedding` uses.
    sample_indices_ : ndarray of shape (m,), int64
        Numbers of these rows in the stream, increasing.
    scores_ : ndarray of shape (m,)
        Importance of these rows in the last reduction.
    probabilities_ : ndarray of shape (m,)
        Product of the probabilities with which they survived; ``row_weights_`` is the given weight divided by it.
    total_bounds_ : tuple of float
        Lower and upper bound on the total sensitivity of all rows seen: from all rows after `fit`, from ranks alone after `partial_fit`.
    guarantee_ : Guarantee
        "isometry": no row that is not zero was dropped. "computed distortion" (p = 2): exact for every reduction, multiplied over levels.
        "proved distortion" (other p): Bernstein's inequality on nets for every reduction, with probability 0.9 for all together. "none",
        with the reason, where such a statement would be vacuous, or where a direction was lost.
    n_seen_ : int
        Rows seen.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had string names.

    See Also
    --------
    algos.lp_embeddings.LpSubspaceEmbedding : Samples of a table that is at hand, with sizes by theory.
    algos.lp_embeddings.distortion : Measures what a sample has done to the norms.

    Notes
    -----
    The result depends on the rows, on `leaf`, `size` and the seed, never on the blocks in which the rows came. Memory: `leaf` rows and
    `size` rows for each of log2(n / leaf) levels. Time: n d^2 times the passes of the scores; the levels above the leaves add the share
    2 `size` / `leaf` of that. A call that fails or is interrupted leaves the state as it was before.

    Weights multiply along the tree and stay unbiased; the distortion grows with its depth, slowly: relative errors of levels add up.

    References
    ----------
    The scheme is folklore of coresets of streams (Bentley and Saxe's logarithmic method). Derived: docs/theory/lp_embeddings.md, "Streams".

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import LpCoreset
    >>> rng = np.random.default_rng(0)
    >>> coreset, total = LpCoreset(p=1.0, size=300, leaf=2000, random_state=0), 0.0
    >>> x = np.array([1.0, -1.0, 0.5])
    >>> for _ in range(10):
    ...     block = rng.standard_t(2, (1500, 3))
    ...     total += np.abs(block @ x).sum()
    ...     coreset = coreset.partial_fit(block)
    >>> estimate = coreset.row_weights_ @ np.abs(coreset.rows_ @ x)
    >>> print(coreset.n_seen_, len(coreset.rows_) < 400, abs(estimate / total - 1) < 0.1)
    15000 True True
    """

    def __init__(
        self,
        p: float = 1.0,
        size: float = 1000,
        *,
        leaf: int | None = None,
        reduction: Literal["auto"] | Sampler = "lewis",
        start: int = 0,
        random_state: RandomStateLike = None,
    ) -> None:
        self.p = p
        self.size = size
        self.leaf = leaf
        self.reduction = reduction
        self.start = start
        self.random_state = random_state

    def partial_fit(self, X: Any, y: Any = None, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Add rows to the stream.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows. Sparse and dense blocks may follow each other: they are converted to what came first. So may float32 and float64: no digit
            is lost.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), optional
            Responses, in all blocks or in none. The coreset then preserves the norms of ``[X y]``, as a regression of y on X needs.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows' terms; an integer weight counts a row as often.

        Returns
        -------
        LpCoreset
            Itself.

        Raises
        ------
        ValueError
            Data or a parameter are invalid, blocks differ in columns or responses, or p was changed. The state is as it was before.

        Warns
        -----
        UserWarning
            At the first call, if `size` is below the number of columns: such a sample cannot embed a table of full rank.
        """
        with parts.all_or_nothing(self):
            stream = self._state()
            table, weights = self._checked_rows(X, y, sample_weight, reset=stream is None)
            if stream is None:
                stream = Stream(self._plan(table.shape[1]))
                first = check_range(self.start, name="start", low=0, integer=True)
            else:
                stream = replace(stream, plan=self._next_plan(stream))
                first = stream.ranges[-1][1]
            try:
                stream = stream.push(table, start=first, weights=weights)
            except ValueError:
                parts.explain_entries(table)  # names the row of this block
                raise
            return self._commit(stream, parts.target_shape(y))

    def fit(self, X: Any, y: Any = None, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Forget all rows seen so far and draw one sample of a table; `partial_fit` and `merge` can go on from it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Table.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), optional
            Responses; see `partial_fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        LpCoreset
            Itself.

        Raises
        ------
        ValueError
            Data or a parameter are invalid.

        Notes
        -----
        The same sample as that of `fit_blocks` on the same rows, and, if y and weights are not given, as that of
        :class:`LpSubspaceEmbedding` with the same p, size, seed and ``sampler=reduction``.
        """
        with parts.all_or_nothing(self):
            table, weights = self._checked_rows(X, y, sample_weight, reset=True)
            return self._fit_source(RowSource(table, name="X"), weights, parts.target_shape(y))

    def fit_blocks(self, X: Any, y: Any = None, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Like `fit`, for tables that are read again and again instead of being in memory: two passes for leverage scores, and one to draw.

        Parameters
        ----------
        X : memmap, dask array, re-iterable of blocks, or RowSource
            Table of shape (n_samples, n_features); see :class:`~algos.common.blocks.RowSource`.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), optional
            Responses; not needed if X is a RowSource that has them.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        LpCoreset
            Itself.

        Raises
        ------
        ValueError
            Data or a parameter are invalid.
        TypeError
            A stream that can be read only once: use `partial_fit`, block by block.

        Notes
        -----
        Memory: some vectors of length n, the rows kept, and one block. For rows that can be seen only once, call `partial_fit` in a loop.
        """
        if isinstance(X, RowSource) and y is not None:
            raise ValueError("y is given beside a RowSource; give it to the source: RowSource(X, y)")
        source = X if isinstance(X, RowSource) else RowSource(X, y)
        weights = parts.checked_weights(sample_weight, source.n_rows)
        with parts.all_or_nothing(self):
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
            self.n_features_in_ = source.n_features
            return self._fit_source(source, weights, parts.target_shape(next(iter(source)).y))

    def _fit_source(self, source: RowSource, weights: FloatArray | None, target_shape: tuple[int, ...] | None) -> Self:
        first = check_range(self.start, name="start", low=0, integer=True)
        stream = sample_table(source, weights, self._plan(source.n_features), start=first, delta=FAILURE / 2.0)
        return self._commit(stream, target_shape)

    def merge(self, other: "LpCoreset") -> Self:
        """Add all that another coreset has seen; that one stays as it is.

        Parameters
        ----------
        other : LpCoreset
            With the same p, columns and kind of responses, and other row numbers (`start`). Its seed, size and leaf may differ; those of
            this one are used from now on.

        Returns
        -------
        LpCoreset
            Itself. With equal seeds ``a.merge(b)`` and ``b.merge(a)`` hold the same rows.

        Raises
        ------
        ValueError
            The two do not fit together, or have seen a row of the same number. The state is as it was before.
        TypeError
            Not a coreset.
        NotFittedError
            The other one has seen no rows.
        """
        if not isinstance(other, LpCoreset):
            raise TypeError(f"other is a {type(other).__name__}; give an LpCoreset")
        theirs = other._state()
        if theirs is None:
            raise NotFittedError("other has seen no rows; call its partial_fit or fit first")
        ours = self._state()
        if ours is None:
            ours = Stream(self._plan(None))
        else:
            parts.check_alike(self, other)
            ours = replace(ours, plan=self._next_plan(ours))
        if ours.plan.p != theirs.plan.p:
            raise ValueError(f"p={ours.plan.p:g} here and p={theirs.plan.p:g} in other; norms of different exponents cannot be merged")
        merged = ours.merge(theirs)
        self.n_features_in_ = other.n_features_in_
        if hasattr(other, "feature_names_in_"):
            self.feature_names_in_: Any = other.feature_names_in_
        return self._commit(merged, other._target_shape)

    def copy(self) -> Self:
        """Return an independent coreset in the same state; rows are shared, because states are never changed in place.

        Returns
        -------
        LpCoreset
        """
        return copy.copy(self)

    def _state(self) -> Stream | None:
        return getattr(self, "_stream", None)

    def _plan(self, columns: int | None) -> Plan:
        """Check the parameters for a new stream and draw its seed."""
        plan = parts.make_plan(self.p, self.size, self.leaf, self.reduction, int(as_generator(self.random_state).integers(2**63)))
        if columns is not None:
            parts.warn_if_small(plan.size, columns)
        return plan

    def _next_plan(self, stream: Stream) -> Plan:
        """Check the parameters for a stream that goes on."""
        plan = parts.make_plan(self.p, self.size, self.leaf, self.reduction, stream.plan.seed)
        if plan.p != stream.plan.p:
            raise ValueError(f"p={plan.p:g}, but the rows seen so far were sampled for p={stream.plan.p:g}; start a new coreset")
        return plan

    def _checked_rows(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Any, FloatArray | None]:
        """Return ``[X y]`` in the form of the stream, and weights. Entries are looked at where they are used, not in a pass of its own."""
        options: dict[str, Any] = {"accept_sparse": "csr", "dtype": _DTYPES, "order": "C", "ensure_all_finite": False}
        if y is None:
            X = validate_data(self, X, reset=reset, **options)
        else:
            X, y = validate_data(self, X, y, reset=reset, multi_output=True, y_numeric=True, **options)
        if not reset and parts.target_shape(y) != self._target_shape:
            raise ValueError(
                f"y has shape {parts.row_shape(parts.target_shape(y))} for a row, in earlier blocks {parts.row_shape(self._target_shape)}; "
                "give responses of one shape in all blocks or in none"
            )
        weights = parts.checked_weights(sample_weight, X.shape[0])
        table = X if y is None else join_columns(X, y)
        if not reset and is_sparse(table) != self._stream.is_sparse:
            table = sp.csr_array(table) if self._stream.is_sparse else table.toarray()
        return table, weights

    def _commit(self, stream: Stream, target_shape: tuple[int, ...] | None) -> Self:
        self._target_shape = target_shape
        self._stream = stream
        self._found = None
        self.n_seen_ = stream.n_seen
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and state to one file, replacing it as a whole: after a crash the former file or this one is there.

        Parameters
        ----------
        path : str or path-like
            File; see :func:`~algos.common.serialization.save_state`. Nothing is pickled.

        Raises
        ------
        OSError
            The file cannot be written; a former one stays.
        sklearn.exceptions.NotFittedError
            No rows were seen.

        Notes
        -----
        A generator given as `random_state` is not saved (the loaded coreset has None there); the seed drawn from it is.
        """
        check_is_fitted(self, "n_seen_")
        params = self.get_params()
        if not isinstance(params["random_state"], int | np.integer | None):
            params["random_state"] = None
        names = getattr(self, "feature_names_in_", None)
        shape = self._target_shape
        content = {
            "params": params,
            "n_features_in": int(self.n_features_in_),
            "feature_names_in": None if names is None else [str(name) for name in names],
            "target_shape": None if shape is None else list(shape),
            "p": self._stream.plan.p,
            "stream": self._stream.to_state(),
        }
        save_state(path, content, kind=_KIND)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a coreset back; it goes on as if it had never been away, bit for bit.

        Parameters
        ----------
        path : str or path-like
            File written by `save`.

        Returns
        -------
        LpCoreset

        Raises
        ------
        FileNotFoundError
            No such file.
        ValueError
            The file is damaged or holds something else.
        """
        content = load_state(path, kind=_KIND)
        try:
            coreset = cls(**content["params"])
            names, shape, state = content["feature_names_in"], content["target_shape"], content["stream"]
            plan = parts.make_plan(content["p"], coreset.size, coreset.leaf, coreset.reduction, state["seed"])
            coreset.n_features_in_ = content["n_features_in"]
            if names is not None:
                coreset.feature_names_in_ = np.array(names, dtype=object)
            return coreset._commit(Stream.from_state(state, plan), None if shape is None else tuple(shape))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{os.fspath(path)} does not hold a complete coreset ({error!r}); use a copy of it") from error

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
