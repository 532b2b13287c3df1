"""The rows that a coreset holds, as attributes that are computed when they are first asked for."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from algos.common.guarantees import Guarantee
from algos.common.validation import is_sparse
from algos.lp_embeddings import _coreset_parts as parts
from algos.lp_embeddings._buckets import Bucket
from algos.lp_embeddings._reduction import weighted_rows
from algos.lp_embeddings.merge_reduce import Stream

__all__ = ["KeptRows"]

FloatArray = npt.NDArray[np.float64]


class KeptRows:
    """Fitted attributes of a coreset that follow from the state of its stream."""

    n_features_in_: int
    _stream: Stream
    _target_shape: tuple[int, ...] | None
    _found: tuple[Bucket, float] | None

    def _sample(self) -> tuple[Bucket, float]:
        """Return the sample and its risk, computed once for each state."""
        check_is_fitted(self, "n_seen_")
        if self._found is None:
            bucket, risk = self._stream.summary()
            self._found = bucket.take(np.arange(len(bucket))), risk  # the caller may change what he gets, and the state stays as it is
        return self._found

    @property
    def rows_(self) -> Any:
        """Rows kept."""
        table = self._sample()[0].table
        if self._target_shape is None:
            return table
        return table[:, : self.n_features_in_] if is_sparse(table) else np.ascontiguousarray(table[:, : self.n_features_in_])

    @property
    def targets_(self) -> Any:
        """Responses of the rows kept."""
        table = self._sample()[0].table
        if self._target_shape is None:
            return None
        part = table[:, self.n_features_in_ :]
        return np.asarray(part.toarray() if is_sparse(part) else part).reshape(len(self.row_weights_), *self._target_shape)

    @property
    def row_weights_(self) -> FloatArray:
        """Weights of the rows kept."""
        return self._sample()[0].weights

    @property
    def weights_(self) -> FloatArray:
        """Weights of the rows kept."""
        return self.row_weights_

    @property
    def sample_indices_(self) -> npt.NDArray[np.int64]:
        """Numbers of the rows kept."""
        return self._sample()[0].indices

    @property
    def scores_(self) -> FloatArray:
        """Importance of the rows kept."""
        return self._sample()[0].scores

    @property
    def probabilities_(self) -> FloatArray:
        """Survival probabilities of the rows kept."""
        return self._sample()[0].probabilities

    @property
    def total_bounds_(self) -> tuple[float, float]:
        """Bounds on the total sensitivity of all rows seen."""
        return parts.total_bounds_of(self._stream, self._sample()[0])

    @property
    def guarantee_(self) -> Guarantee:
        """What is proved about the sample."""
        return parts.guarantee_of(*self._sample(), self._stream.plan)

    def sketch(self) -> Any:
        r"""Return the kept rows, multiplied so that their lp norm estimates that of all rows.

        Returns
        -------
        ndarray or csr_array of shape (m, n_features) or (m, n_features + n_targets)
            ``row_weights_**(1/p) * [rows_ targets_]``: the argument TA of :func:`~algos.lp_embeddings.distortion`.
        """
        bucket, _ = self._sample()
        return weighted_rows(bucket.table, bucket.weights, self._stream.plan.p)
