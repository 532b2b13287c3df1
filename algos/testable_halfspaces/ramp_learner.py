r"""Halfspaces learned by descending a smooth, bounded ramp loss on the unit sphere.

With margins :math:`t_i = \langle w, x_i\rangle` of a unit vector w, the ramp loss :math:`L_\sigma(w) = \frac1n\sum_i l_\sigma(-y_i t_i)`
counts a row fully when it is wrong by more than :math:`\sigma/2` and not at all when it is right by as much. Unlike the logistic and the
hinge loss it does not grow with the distance, so far-off wrong rows do not pull w away. It is not convex: `ramp_path` starts from several
directions and walks from wide bands to narrow ones.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_option, check_range
from algos.testable_halfspaces._arguments import checked_sigma, unit_direction
from algos.testable_halfspaces._descent import Status, descend, normalised
from algos.testable_halfspaces._labelled_rows import LabelledRows

__all__ = ["SIGMAS", "Candidate", "RampLoss", "RampPath", "default_sigmas", "ramp_loss", "ramp_path"]

FloatArray = npt.NDArray[np.float64]
Start = Literal["chow", "logistic", "random"]

SIGMAS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08, 0.05, 0.03)
"""Band widths of the default path, in units of the margins' standard deviation."""

_EXPLORED_ROWS = 50_000  # rows on which all starts are tried; only the best of them goes on with all rows
_FEWEST_IN_BAND = 50


@dataclass(frozen=True, eq=False)
class RampLoss:
    """Ramp loss at a direction; iterating gives value and gradient.

    Attributes
    ----------
    value : float
        Mean loss, between 0 and 1.
    gradient : ndarray of shape (d,)
        Gradient with respect to w where w was given; orthogonal to w, since the loss does not depend on the length of w.
    """

    value: float
    gradient: FloatArray
    _data: tuple[LabelledRows, FloatArray, float, float] = field(repr=False)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.value, self.gradient))

    def hessian_product(self, u: npt.ArrayLike) -> FloatArray:
        r"""Return the Hessian on the tangent space of the sphere, times a vector.

        :math:`H u = \frac1n\sum_i\left[-y_i\psi'(t_i)\langle x_i, u\rangle (x_i - t_i w) + y_i\psi(t_i) t_i u\right]` with u projected
        on the tangent space and w scaled to unit length; divided by the squared length of w.

        Parameters
        ----------
        u : array-like of shape (d,)
            Vector; its part along w is dropped.

        Returns
        -------
        ndarray of shape (d,)
            Orthogonal to w.
        """
        rows, w, sigma, length = self._data
        vector = np.asarray(u, dtype=np.float64)
        if vector.shape != w.shape:
            raise ValueError(f"u has shape {vector.shape}, w has {w.size} entries; give one number per column")
        tangent = np.ascontiguousarray(vector - (vector @ w) * w)
        return rows.curvature(w, tangent, sigma) / length**2


def ramp_loss(X: Any, y: npt.ArrayLike, w: npt.ArrayLike, sigma: float) -> RampLoss:
    r"""Return the ramp loss of a halfspace, its gradient, and a handle on its Hessian.

    :math:`L_\sigma(w) = \frac1n\sum_i l_\sigma(-y_i\langle w, x_i\rangle/\|w\|)` with the ramp of ``bounds.ramp``, and
    :math:`\nabla L_\sigma(w) = -\frac1{n\|w\|}\sum_i \psi_\sigma(t_i)\,y_i\,(x_i - t_i w/\|w\|)`.

    Parameters
    ----------
    X : array-like of shape (n, d), or RowSource
        Rows; float32 is read as it is and summed in float64.
    y : array-like of shape (n,)
        Labels -1 and +1.
    w : array-like of shape (d,)
        Normal vector, of any positive length.
    sigma : float
        Width of the band, positive: the loss rises from 0 to 1 while the margin moves by sigma.

    Returns
    -------
    RampLoss
        Unpacks into value and gradient; ``hessian_product(u)`` is one more pass.

    Raises
    ------
    ValueError
        Labels other than -1 and +1, sizes that do not match, sigma not positive, NaN or infinite entries.
    TypeError
        Sparse X.

    Notes
    -----
    One pass over X for value and gradient together, O(n d). Sums run over blocks of fixed size in a fixed order, so that the result is
    the same to the last bit for a table in memory and for one that is read from a file.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces.ramp_learner import ramp_loss
    >>> X, y = np.array([[1.0, 0.0], [-1.0, 0.5], [0.1, 1.0]]), np.array([1, -1, -1])
    >>> value, gradient = ramp_loss(X, y, [1.0, 0.0], sigma=0.5)
    >>> round(value, 4), round(float(gradient[1]), 3)
    (0.2665, 0.972)
    """
    width = checked_sigma(sigma)
    rows = LabelledRows(X, y)
    unit = unit_direction(w, rows.d)
    length = float(np.linalg.norm(np.asarray(w, dtype=np.float64)))
    value, gradient = rows.loss(unit, width)
    return RampLoss(value, gradient / length, (rows, unit, width, length))


@dataclass(frozen=True, eq=False)
class Candidate:
    """A halfspace and the band in which it was found.

    Attributes
    ----------
    w : ndarray of shape (d,)
        Unit vector.
    sigma : float
        Width of the ramp whose stationary point w is.
    loss : float
        Ramp loss over the learning rows.
    gradient_norm : float
        Length of the gradient over all learning rows.
    n_iter : int
        Descent steps (row updates for ``solver="psgd"``).
    n_mistakes : int
        Learning rows that w gets wrong.
    status : {"converged", "max_iter", "stalled", "stalled_empty_band"}
        ``stalled``: no step lowers the loss, though the gradient is above the tolerance. ``stalled_empty_band``: no row lies in
        the band, so the gradient is exactly 0 and says nothing.
    start : str
        Start from which the best descent came.
    """

    w: FloatArray
    sigma: float
    loss: float
    gradient_norm: float
    n_iter: int
    n_mistakes: int
    status: Status
    start: str


@dataclass(frozen=True, eq=False)
class RampPath:
    """Candidates of a path, one for each band width, from wide to narrow.

    Attributes
    ----------
    candidates : tuple of Candidate
    n_rows : int
        Learning rows.
    """

    candidates: tuple[Candidate, ...]
    n_rows: int

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def best(self) -> Candidate:
        """Candidate with the fewest learning mistakes; the narrower band among equals."""
        return min(reversed(self.candidates), key=lambda candidate: candidate.n_mistakes)


def default_sigmas(X: Any, y: npt.ArrayLike) -> tuple[float, ...]:
    """Return the band widths of the default path: `SIGMAS` in units of the margins' spread along the mean of y x.

    Widths whose band holds fewer than ``max(50, 2 d)`` rows are left out, except the widest.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows.
    y : array-like of shape (n,)
        Labels -1 and +1.

    Returns
    -------
    tuple of float
        Falling.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((2000, 2))
    >>> len(default_sigmas(X, np.where(X[:, 0] >= 0, 1, -1)))
    8
    """
    rows = LabelledRows(X, y)
    return _default_sigmas(rows, _flipped(rows, _chow_start(rows)))


def _default_sigmas(rows: LabelledRows, w: FloatArray) -> tuple[float, ...]:
    scale = rows.margin_scale(w)
    if not scale > 0.0:
        scale = float(np.sqrt(sum(float(np.sum((X @ w) ** 2)) for X, _ in rows.blocks()) / rows.n)) or 1.0
    widths = [scale * sigma for sigma in SIGMAS]
    counts = rows.in_band(w, [width / 2 for width in widths])
    fewest = max(_FEWEST_IN_BAND, 2 * rows.d)
    return tuple(width for k, (width, count) in enumerate(zip(widths, counts, strict=True)) if k == 0 or count >= fewest)


def ramp_path(
    X: Any,
    y: npt.ArrayLike,
    *,
    sigmas: Sequence[float] | None = None,
    starts: Sequence[Start] = ("chow", "logistic", "random"),
    n_restarts: int = 2,
    solver: Literal["rgd", "psgd"] = "rgd",
    tol: float = 1e-5,
    max_iter: int = 200,
    random_state: RandomStateLike = None,
) -> RampPath:
    r"""Learn halfspaces by descending the ramp loss from wide bands to narrow ones.

    Every start goes down the whole list of widths, each descent beginning where the one before ended. At each width the start with the
    least loss is kept. One candidate per width is returned, not only the last: under noise that depends on x the stationary point moves
    with the width, and a certificate needs the point that is stationary in *its* band.

    Parameters
    ----------
    X : array-like of shape (n, d), or RowSource
        Learning rows.
    y : array-like of shape (n,)
        Labels -1 and +1.
    sigmas : sequence of float, optional
        Band widths, by default those of `default_sigmas`.
    starts : sequence of {"chow", "logistic", "random"}
        Where descents begin: the mean of y x; the direction of a logistic regression; ``n_restarts`` random directions. Each is
        turned round if it gets more than half of the rows wrong.
    n_restarts : int, default=2
        Number of random starts.
    solver : {"rgd", "psgd"}, default="rgd"
        Gradient descent over all rows with a line search; or single-row steps in random order, one pass over the rows per width, as
        analysed in the theory.
    tol : float, default=1e-5
        A descent ends when the gradient is at most this long.
    max_iter : int, default=200
        Gradient steps per descent.
    random_state : None, int, Generator or RandomState
        Random starts, the rows on which starts are compared, and the order of single-row steps.

    Returns
    -------
    RampPath

    Raises
    ------
    ValueError
        Labels other than -1 and +1, sizes that do not match, options out of range, no start.

    Warns
    -----
    ConvergenceWarning
        A descent was ended by ``max_iter``.

    Notes
    -----
    The loss does not depend on the length of w, and its gradient is orthogonal to w; so a step :math:`w - h g` is never shorter than w
    and normalising it keeps the descent: the loss never rises. More than 50,000 rows: starts are compared on so many of
    them, and the best one for each width continues on all. Time O(n d) per step.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.testable_halfspaces.ramp_learner import ramp_path
    >>> X = np.random.default_rng(0).standard_normal((2000, 3))
    >>> y = np.where(X @ [0.6, 0.8, 0.0] >= 0, 1, -1)
    >>> path = ramp_path(X, y, random_state=0)
    >>> bool(path.best.w @ [0.6, 0.8, 0.0] > 0.999)
    True
    """
    check_option(solver, ("rgd", "psgd"), name="solver")
    tolerance = check_range(tol, name="tol", low=0.0)
    limit = check_range(max_iter, name="max_iter", low=1, integer=True)
    check_range(n_restarts, name="n_restarts", low=0, integer=True)
    rows, rng = LabelledRows(X, y), as_generator(random_state)
    explored = rows.sample(_EXPLORED_ROWS, rng) if rows.n > _EXPLORED_ROWS else rows
    begins = _starts(explored, starts, n_restarts, rng)
    widths = _checked_widths(sigmas) if sigmas is not None else _default_sigmas(rows, _flipped(explored, _chow_start(explored)))
    if solver == "psgd":
        from algos.testable_halfspaces._single_row_descent import descend_rows

        return RampPath(tuple(descend_rows(rows, begins, widths, rng)), rows.n)
    return RampPath(tuple(_descend_path(rows, explored, begins, widths, tolerance, limit)), rows.n)


def _checked_widths(sigmas: Sequence[float]) -> tuple[float, ...]:
    widths = sorted((checked_sigma(sigma, name="sigmas") for sigma in sigmas), reverse=True)
    if not widths:
        raise ValueError("sigmas is empty; give at least one width")
    return tuple(widths)


def _starts(rows: LabelledRows, kinds: Sequence[Start], n_restarts: int, rng: np.random.Generator) -> list[tuple[str, FloatArray]]:
    found: list[tuple[str, FloatArray]] = []
    for kind in kinds:
        check_option(kind, ("chow", "logistic", "random"), name="starts")
        if kind == "chow":
            found.append((kind, _chow_start(rows)))
        elif kind == "logistic":
            found.append((kind, _logistic_start(rows)))
        else:
            found += [(kind, normalised(rng.standard_normal(rows.d))) for _ in range(n_restarts)]
    if not found:
        raise ValueError(f"starts={tuple(kinds)!r} with n_restarts={n_restarts} gives no start; name at least one")
    return [(kind, _flipped(rows, w)) for kind, w in found]


def _chow_start(rows: LabelledRows) -> FloatArray:
    return normalised(rows.chow())


def _logistic_start(rows: LabelledRows) -> FloatArray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    X, y = (np.concatenate(parts) for parts in zip(*rows.blocks(), strict=True))
    if np.all(y == y[0]):
        return _chow_start(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a start need not be a solution
        return normalised(LogisticRegression(fit_intercept=False, max_iter=100).fit(X, y).coef_[0].astype(np.float64))


def _flipped(rows: LabelledRows, w: FloatArray) -> FloatArray:
    return -w if 2 * rows.mistakes(w) > rows.n else w


def _descend_path(
    rows: LabelledRows, explored: LabelledRows, starts: list[tuple[str, FloatArray]], widths: Sequence[float], tol: float, max_iter: int
) -> Iterator[Candidate]:
    reached = [w for _, w in starts]
    unfinished = []
    for sigma in widths:
        tried = [descend(explored, w, sigma, tol, max_iter) for w in reached]
        reached = [descent.w for descent in tried]
        best = min(range(len(tried)), key=lambda k: tried[k].loss)
        chosen = tried[best] if explored is rows else descend(rows, tried[best].w, sigma, tol, max_iter, tried[best].step)
        reached[best] = chosen.w
        if chosen.status == "max_iter":
            unfinished.append(sigma)
        mistakes = rows.mistakes(chosen.w)
        yield Candidate(chosen.w, sigma, chosen.loss, chosen.gradient_norm, chosen.n_iter, mistakes, chosen.status, starts[best][0])
    if unfinished:
        from sklearn.exceptions import ConvergenceWarning

        widths_text = ", ".join(f"{sigma:.3g}" for sigma in unfinished)
        warnings.warn(
            f"the descent at sigma = {widths_text} stopped after max_iter={max_iter} steps with a gradient above tol={tol:g}; "
            "raise max_iter or tol",
            ConvergenceWarning,
            stacklevel=3,
        )
