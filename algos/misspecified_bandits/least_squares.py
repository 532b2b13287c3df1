r"""Least squares on a design when the linear model is wrong: how far predictions and the recommended action can be off, exactly.

A linear prediction :math:`\hat f(a)=\sum_bw_{ab}y_b` from the rewards of the design's actions b is right for every linear model if
:math:`\sum_bw_{ab}\varphi_b=\varphi_a`. Everything here is about its weights W.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from algos.common.linear_programs import l1_minimize
from algos.common.validation import canonical_array, check_option, check_range
from algos.misspecified_bandits._design_kernels import farthest_pair
from algos.misspecified_bandits.optimal_design import Design

__all__ = ["LsWorstCase", "lebesgue_function", "ls_worst_case", "prediction_weights"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CRITERIA = ("least_squares", "lebesgue")

_BLOCK = 2**13  # actions whose weights are formed at once
_OUTSIDE = 1e-8  # relative to the largest feature: rows further from their combination are outside the span of the design


def prediction_weights(X: Any, design: Design | npt.ArrayLike, *, criterion: str = "least_squares") -> FloatArray:
    r"""Return W with :math:`\hat f(a)=\sum_bw_{ab}y_b`, for every action a and the actions b that the design queries.

    Parameters
    ----------
    X : array-like of shape (n_actions, n_features)
        Features.
    design : Design or array-like of shape (n_actions,)
        The design, or its weights, of which only ratios matter.
    criterion : {"least_squares", "lebesgue"}, default="least_squares"
        Least squares with the design's weights, :math:`w_{ab}=p_b\varphi_a^\top V^{-1}\varphi_b`; or, for every action, the weights of
        least :math:`\sum_b|w_{ab}|` among all with :math:`\sum_bw_{ab}\varphi_b=\varphi_a`: the smallest error that any linear prediction
        from the same queries can guarantee, at the price of a linear program per action.

    Returns
    -------
    ndarray of shape (n_actions, m)
        Columns belong to the actions of positive weight, in increasing order.

    Raises
    ------
    TypeError, ValueError
        Not a table of finite numbers, weights that are negative, not finite, all 0 or of another number, an unknown criterion, or a design
        that does not span the actions: nothing then bounds the error.

    Notes
    -----
    Time O(n d m) for least squares; a linear program takes some milliseconds.

    Examples
    --------
    >>> from algos.misspecified_bandits import prediction_weights
    >>> prediction_weights([[1.0, 0.0], [0.0, 1.0], [0.6, 0.6]], [1.0, 1.0, 0.0]).round(9).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.6, 0.6]]
    """
    check_option(criterion, CRITERIA, name="criterion")
    table, support, p = _checked(X, design)
    if criterion == "lebesgue":
        return _least_absolute(table, support)
    return table @ fit_matrix(table[support], p)


def lebesgue_function(X: Any, design: Design | npt.ArrayLike, *, criterion: str = "least_squares") -> FloatArray:
    r"""Return :math:`\Lambda(a)=\sum_b|w_{ab}|`: the largest error of the prediction for a, in units of the misspecification.

    It is attained by :math:`\nu_b=\varepsilon\operatorname{sign}w_{ab}`. For least squares
    :math:`\Lambda(a)^2\le\varphi_a^\top V^{-1}\varphi_a\le g`.

    Parameters
    ----------
    X : array-like of shape (n_actions, n_features)
        Features.
    design : Design or array-like of shape (n_actions,)
        The design, or its weights.
    criterion : {"least_squares", "lebesgue"}, default="least_squares"
        As for :func:`prediction_weights`; with ``"lebesgue"`` no linear unbiased prediction has a smaller value. By duality it is then the
        largest :math:`\langle u,\varphi_a\rangle` over all u with :math:`|\langle u,\varphi_b\rangle|\le1` on the design.

    Returns
    -------
    ndarray of shape (n_actions,)

    Raises
    ------
    TypeError, ValueError
        As for :func:`prediction_weights`.

    Examples
    --------
    >>> from algos.misspecified_bandits import lebesgue_function
    >>> lebesgue_function([[1.0, 0.0], [0.0, 1.0], [0.6, -0.6]], [1.0, 1.0, 0.0]).round(9).tolist()
    [1.0, 1.0, 1.2]
    """
    if criterion != "least_squares":
        return cast(FloatArray, np.abs(prediction_weights(X, design, criterion=criterion)).sum(axis=1))
    table, support, p = _checked(X, design)
    fit = fit_matrix(table[support], p)
    values = np.empty(len(table))
    for first in range(0, len(table), _BLOCK):  # W as a whole would be larger than the table
        values[first : first + _BLOCK] = np.abs(table[first : first + _BLOCK] @ fit).sum(axis=1)
    return values


@dataclass(frozen=True, eq=False)
class LsWorstCase:
    """The worst that can happen to least squares on a design; unpacks into its fields in this order.

    Attributes
    ----------
    value : float
        Largest suboptimality of an action with the largest prediction.
    a, c : int
        The best action, and the one recommended in its place.
    theta : ndarray of shape (n_features,)
        Linear part that, with `nu`, makes every prediction 0: all actions tie, and c may be recommended.
    nu : ndarray of shape (n_actions,)
        Errors of size at most eps.
    """

    value: float
    a: int
    c: int
    theta: FloatArray
    nu: FloatArray

    def __iter__(self) -> Iterator[Any]:
        return iter((self.value, self.a, self.c, self.theta, self.nu))


def ls_worst_case(X: Any, design: Design | npt.ArrayLike, eps: float) -> LsWorstCase:
    r"""Return the largest suboptimality of the recommendation by least squares, and rewards that attain it.

    It is, over all :math:`\theta` and all errors within :math:`\varepsilon`, with ties decided against the learner,

    .. math:: \varepsilon\max_{a\ne c}\Bigl[\sum_{b\in C}|1_{b=a}-1_{b=c}-(w_{ab}-w_{cb})|+1_{a\notin C}+1_{c\notin C}\Bigr]

    for the queried actions C; never more than :math:`2\varepsilon(1+\max_a\Lambda(a))`.

    Parameters
    ----------
    X : array-like of shape (n_actions, n_features)
        Features.
    design : Design or array-like of shape (n_actions,)
        The design, or its weights.
    eps : float
        Misspecification, not negative.

    Returns
    -------
    LsWorstCase

    Raises
    ------
    TypeError, ValueError
        As for :func:`prediction_weights`, or a negative eps.

    Notes
    -----
    Time O(n² m) in the worst case: pairs whose bounds cannot beat the best so far are passed over, which spares some or nearly all of them,
    depending on the features.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import ls_worst_case
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.6]])
    >>> value, a, c, theta, nu = ls_worst_case(X, [1.0, 1.0, 0.0], 0.125)
    >>> rewards = X @ theta + nu
    >>> round(value, 12), a, c, rewards.tolist()
    (0.275, 0, 2, [0.0, 0.0, -0.275])
    """
    check_range(eps, name="eps", low=0.0, high=math.inf, high_open=True)
    table, support, p = _checked(X, design)
    fit = fit_matrix(table[support], p)
    W = table @ fit
    a, c, distance = largest_difference(W, support)
    nu = np.zeros(len(table))
    if a != c:
        nu[a], nu[c] = eps, -eps
    nu[support] = eps * np.sign(_residual(W, support, a) - _residual(W, support, c))
    theta = -(fit @ nu[support]) / _column_sizes(X)
    return LsWorstCase(eps * distance, a, c, theta, nu)


def largest_difference(W: FloatArray, support: IntArray) -> tuple[int, int, float]:
    """Return the pair of actions with the largest suboptimality in units of eps, and that number; 0 for a single action.

    With the weights of another unbiased linear prediction than least squares the number is a bound that need not be attained.
    """
    if len(W) == 1:
        return 0, 0, 0.0
    D = -W
    D[support, np.arange(support.size)] += 1.0
    outside = np.ones(len(W))
    outside[support] = 0.0
    reach = np.abs(D).sum(axis=1) + outside
    order = np.argsort(-reach, kind="stable")
    i, j, value = farthest_pair(D[order], outside[order], reach[order])
    return int(min(order[i], order[j])), int(max(order[i], order[j])), float(value)


def _residual(W: FloatArray, support: IntArray, action: int) -> FloatArray:
    return cast(FloatArray, (support == action) - W[action])


def _checked(X: Any, design: Design | npt.ArrayLike) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return the features divided by the largest entries of their columns, the support, and the weights on it, the largest being 1."""
    table = np.asarray(canonical_array(X), dtype=np.float64)
    weights = np.asarray(design.weights if isinstance(design, Design) else design, dtype=np.float64)
    if weights.shape != (len(table),) or not np.all((weights >= 0.0) & np.isfinite(weights)) or not np.any(weights):
        raise ValueError(
            f"weights of shape {weights.shape} must be {len(table)} finite numbers, one per action, none negative and not all 0; "
            "give the design that was made for this table"
        )
    support = np.flatnonzero(weights).astype(np.int64)
    table, p = table / _column_sizes(table), weights[support] / weights.max()
    span = _span(table[support])
    projector = span @ span.T
    missed = max(float(np.max(np.abs(rows @ projector - rows))) for rows in np.array_split(table, -(-len(table) // _BLOCK)))
    if missed > _OUTSIDE:
        raise ValueError("the design does not span the actions, and nothing bounds the error outside its span; give weight to more actions")
    return table, support, p


def _column_sizes(X: Any) -> FloatArray:
    sizes = np.max(np.abs(np.asarray(X, dtype=np.float64)), axis=0)
    return np.where(sizes > 0.0, sizes, 1.0)


def fit_matrix(core: FloatArray, p: FloatArray) -> FloatArray:
    """Return the matrix that turns rewards of the design into coefficients, the shortest ones where columns are dependent."""
    roots = np.sqrt(p)
    return cast(FloatArray, np.linalg.pinv(roots[:, None] * core, rcond=_cutoff(core)) * roots)


def _span(rows: FloatArray) -> FloatArray:
    """Return orthonormal columns that span the rows."""
    values, right = np.linalg.svd(rows, full_matrices=False)[1:]
    return cast(FloatArray, right[values > _cutoff(rows) * values[0]].T)


def _cutoff(table: FloatArray) -> float:
    return float(max(table.shape) * np.finfo(np.float64).eps)


def _least_absolute(table: FloatArray, support: IntArray) -> FloatArray:
    # columns are reduced to independent combinations first: a dependent one is an equation that rounding can contradict
    core = table[support]
    kept = _span(core)
    W = np.zeros((len(table), support.size))
    if kept.size:
        columns, rows = (core @ kept).T, table @ kept
        for a in range(len(table)):
            W[a] = l1_minimize(columns, rows[a]).nu
    return W
