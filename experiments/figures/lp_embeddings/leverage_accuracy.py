"""True error of leverage scores against the condition number, for every path and for the automatic choice."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent
from .. import Description

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Accuracy of leverage scores"
TOPIC = "leverage_scores"
DATA: tuple[str, ...] = ()
PATHS: tuple[Literal["gram", "shifted", "svd"], ...] = ("gram", "shifted", "svd")
LARGEST_ENTRY = 500  # of the integer tables; times 2^43 still an integer of 53 bits
LOWEST, HIGHEST = 1e-16, 300.0  # ends of the error axis; names stand above 1
USELESS = 0.1  # median error beyond which scores are called wrong altogether

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rows, columns : int
        Shape of the tables.
    tables : int
        Integer tables, each made nearly dependent to every degree.
    multiples : tuple of float
        The largest multiple of the first column that is added to another.
    seed : int
    """

    rows: int = 1000
    columns: int = 10
    tables: int = 9
    multiples: tuple[float, ...] = (0.0, *(float(round(10 ** (k / 2))) for k in range(2, 25)))
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(rows=20_000, columns=20, tables=25)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return the largest relative error of each path, of the automatic choice and of numpy's QR, by multiple and table.

    NaN where a path raised. ``cond`` is the condition number that the bounds speak of.
    """
    from joblib import Parallel, delayed

    found = []
    with (
        (progress or Silent()).step("tables", parameters.tables) as step,
        Parallel(jobs, prefer="threads", return_as="generator") as pool,
    ):
        for errors in pool(delayed(_errors_of_table)(parameters, table) for table in range(parameters.tables)):
            found.append(errors)
            step.advance()
    stacked = np.moveaxis(np.array(found), 0, -1)  # measure, multiple, table
    names = ("cond", *PATHS, "numpy_qr", "auto", "auto_path")
    return {
        "shape": np.array([parameters.rows, parameters.columns]),
        "multiples": np.array(parameters.multiples),
        "numpy_version": np.array(np.__version__),
        **dict(zip(names, stacked, strict=True)),
    }


def _errors_of_table(parameters: Parameters, table: int) -> FloatArray:
    """Return condition, errors and path chosen (its place in `PATHS`) for every multiple, from one integer table."""
    from algos.lp_embeddings import leverage_scores

    rng = np.random.default_rng([parameters.seed, table])
    U = rng.integers(-LARGEST_ENTRY, LARGEST_ENTRY + 1, (parameters.rows, parameters.columns)).astype(np.float64)
    truth = exact_scores(U)
    result = np.full((7, len(parameters.multiples)), np.nan)
    for place, multiple in enumerate(parameters.multiples):
        A, T = nearly_dependent(U, multiple)
        result[0, place] = condition(U, T)
        for row, path in enumerate(PATHS, start=1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # the Gram path says that it may be wrong; here its error is wanted
                try:
                    result[row, place] = _error(leverage_scores(A, method=path), truth)
                except np.linalg.LinAlgError:
                    continue
        Q = np.linalg.qr(A).Q
        result[4, place] = _error(np.einsum("ij,ij->i", Q, Q), truth)
        chosen = leverage_scores(A, return_info=True)
        result[5:, place] = _error(chosen.scores, truth), PATHS.index(chosen.method)
    return result


def nearly_dependent(U: FloatArray, multiple: float) -> tuple[FloatArray, FloatArray]:
    """Return ``U @ T`` and T, which adds multiples of the first column, from 1 (rounded) up to the largest, to the others.

    Entries stay integers below 2**53, so nothing is rounded: the column space, hence every leverage score, is exactly that of U.

    Examples
    --------
    >>> nearly_dependent(np.array([[1.0, 0.0, 0.0], [1.0, 2.0, 3.0]]), 100.0)[0].tolist()
    [[1.0, 1.0, 100.0], [1.0, 3.0, 103.0]]
    """
    T = np.eye(U.shape[1])
    if multiple:
        T[0, 1:] = np.round(np.geomspace(1.0, multiple, U.shape[1] - 1))
    A = U.copy()
    A[:, 1:] += T[0, 1:] * U[:, :1]
    return A, T


def exact_scores(U: FloatArray) -> FloatArray:
    """Return the leverage scores of a table of integers by rational arithmetic, each rounded once.

    Examples
    --------
    >>> exact_scores(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])).tolist()
    [1.0, 0.2, 0.8]
    """
    rows = np.array([[int(entry) for entry in row] for row in U], dtype=object)
    inverse = _inverse((rows.T @ rows).tolist())
    denominator = math.lcm(*(entry.denominator for row in inverse for entry in row))
    numerators = np.array([[int(entry * denominator) for entry in row] for row in inverse], dtype=object)
    return np.array([share / denominator for share in ((rows @ numerators) * rows).sum(axis=1)], dtype=np.float64)


def _inverse(matrix: list[list[int]]) -> list[list[Fraction]]:
    """Return the inverse of a positive definite integer matrix by Gauss-Jordan elimination; no pivot can vanish."""
    size = len(matrix)
    work = [[Fraction(entry) for entry in row] + [Fraction(i == j) for j in range(size)] for i, row in enumerate(matrix)]
    for j in range(size):
        work[j] = [entry / work[j][j] for entry in work[j]]
        for i in range(size):
            if i != j:
                factor = work[i][j]
                work[i] = [a - factor * b for a, b in zip(work[i], work[j], strict=True)]
    return [row[size:] for row in work]


def condition(U: FloatArray, T: FloatArray) -> float:
    """Return the product of the 1-norms of the triangular factor of ``U @ T``, columns scaled to unit length, and of its inverse.

    Both come from the factor of U, which is well-conditioned, and from T, whose inverse has no rounding: no digit is lost.
    """
    factor = np.linalg.qr(U, mode="r")
    R = factor @ T
    lengths = np.linalg.norm(R, axis=0)
    inverse = (2.0 * np.eye(T.shape[0]) - T) @ np.linalg.inv(factor)  # (I + N)^-1 = I - N, since N^2 = 0
    return float(np.linalg.norm(R / lengths, 1) * np.linalg.norm(lengths[:, None] * inverse, 1))


def _error(scores: FloatArray, truth: FloatArray) -> float:
    return float(np.max(np.abs(scores / truth - 1.0)))


def switch() -> float:
    """Return the condition number at which the automatic choice leaves the Gram path at its default tolerance."""
    from algos.lp_embeddings.bounds import UNIT_ROUNDOFF

    return math.sqrt(1e-6 / UNIT_ROUNDOFF)


def describe(arrays: Arrays) -> Description:
    """Return the caption's sentences."""
    from algos.lp_embeddings.bounds import leverage_error

    cond, gram, auto = arrays["cond"], arrays["gram"], arrays["auto"]
    rows, columns = (int(size) for size in arrays["shape"])
    slack = auto / np.vectorize(lambda each: leverage_error(cond=each))(cond)
    ill = cond > 10.0
    at = int(np.flatnonzero(np.isfinite(gram).all(axis=1))[-1])
    raised = np.isnan(gram).sum(axis=1)
    middle = np.median(cond, axis=1)
    return Description(
        question="How wrong are leverage scores of nearly dependent columns, and does the automatic choice keep its promise?",
        answer=(
            f"At condition {_scientific(middle[at])} the Gram path still returns scores, with a median error of "
            f"{100 * np.median(gram[at]):.2g} %, where the automatic choice errs by {np.median(auto[at]):.1g}; over all conditions above "
            f"10 its error is at most {slack[ill].max():.2f} of the bound, and {auto.max():.0e} in the worst case."
        ),
        data=(
            "Generated: tables of integers, multiples of the first column added to the others without any rounding, so that the scores "
            "are known from rational arithmetic. Up to a condition of some thousands the Gram matrix has no rounding either, which "
            "flatters its path there."
        ),
        sizes=(
            f"{cond.shape[1]} tables of {rows:,} x {columns}; the largest relative error over the rows, lines are medians, bands the "
            f"5-95 % range. The Gram line ends where Cholesky fails for some table; single marks beyond are tables where it passed "
            f"(it fails for {int(raised[-1])} of {cond.shape[1]} at the largest condition). Condition: of the columns scaled to unit "
            f"length, as in the bound; u = 2^-53, the rounding unit.{_rank_lost(arrays)}"
        ),
        alt=(
            "Error against condition number in log-log axes. Left: the Gram path rises with slope two to errors near one and ends near "
            "condition 1e8; the shifted path, the singular value path and numpy's QR rise with slope one. Right: the automatic choice "
            "follows the Gram path up to condition 1e5, then the shifted path, below the dashed bound throughout."
        ),
        numbers={
            "condition_of_answer": float(middle[at]),
            "median_gram_error": float(np.median(gram[at])),
            "median_automatic_error": float(np.median(auto[at])),
            "largest_share_of_bound": float(slack[ill].max()),
            "largest_automatic_error": float(auto.max()),
            "gram_raised_at_largest_condition": int(raised[-1]),
        },
    )


def _rank_lost(arrays: Arrays) -> str:
    """Return from which condition on the svd path takes the columns for dependent, as it does below its cutoff; empty if it never does."""
    lost = np.flatnonzero(np.median(arrays["svd"], axis=1) > USELESS)
    if not lost.size:
        return ""
    return f" From condition {_scientific(float(np.median(arrays['cond'][lost[0]])))} on the svd path takes the columns for dependent."


def _scientific(value: float) -> str:
    return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")


def draw(arrays: Arrays) -> "Figure":
    """Return the figure: named paths and numpy's QR on the left, the automatic choice with its bound on the right."""
    from .. import style

    figure = style.new_figure(size=style.TWO_PANELS)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _draw_paths(left, arrays)
    _draw_choice(right, arrays)
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlim=(1.0, 1e13), ylim=(LOWEST, HIGHEST), xlabel="condition number κ")
        axes.set_xticks(10.0 ** np.arange(0, 13, 3))
        axes.set_yticks(10.0 ** np.arange(-15, 1, 3))
        axes.minorticks_off()
    left.set_ylabel("largest relative error of a score")
    return figure


def _draw_paths(axes: "Axes", arrays: Arrays) -> None:
    """Draw the error of each named path and of numpy's QR."""
    from .. import style

    middle = np.median(arrays["cond"], axis=1)
    marks = (
        ("numpy_qr", style.PEERS[0], "s", f"■ numpy {arrays['numpy_version']} QR"),
        ("gram", style.OURS_THIRD, "^", "▲ Gram, without check"),
        ("svd", style.OURS, "D", "◆ svd"),
        ("shifted", style.OURS_TWO, "o", "● shifted"),
    )
    for place, (name, color, marker, text) in enumerate(marks):
        kept = np.isfinite(arrays[name]).all(axis=1)
        style.median_band(axes, middle[kept], arrays[name][kept], color=color, marker=marker, markersize=3.5)
        axes.text(0.03, 0.95 - 0.065 * place, text, color=color, transform=axes.transAxes, va="center")
    some = np.isnan(arrays["gram"]).any(axis=1)
    axes.plot(
        arrays["cond"][some].ravel(), arrays["gram"][some].ravel(), color=style.OURS_THIRD, marker="^", markersize=3, linestyle="none"
    )
    if some.any():
        style.end_label(axes, middle[some][0], 25.0, "where Cholesky passed", color=style.OURS_THIRD, dx=-6)
    axes.set_title("Each path, taken whatever the condition")


def _draw_choice(axes: "Axes", arrays: Arrays) -> None:
    """Draw the automatic choice coloured by the path that it took, the bound, and where it changes paths."""
    from algos.lp_embeddings.bounds import gram_leverage_error, shifted_leverage_error

    from .. import style

    cond, auto, path = (arrays[name].ravel() for name in ("cond", "auto", "auto_path"))
    for place, (color, marker) in enumerate(((style.OURS_THIRD, "^"), (style.OURS_TWO, "o"), (style.OURS, "D"))):
        axes.plot(cond[path == place], auto[path == place], color=color, marker=marker, markersize=3, linestyle="none")
    below, above = np.geomspace(1.0, switch(), 40), np.geomspace(switch(), 1e13, 40)
    gram = np.array([gram_leverage_error(cond=each) for each in below])
    shifted = np.array([shifted_leverage_error(cond=each) for each in above])
    axes.plot(below, gram, color=style.BOUND, linestyle="--")
    axes.plot(above, shifted, color=style.BOUND, linestyle="--")
    axes.axvline(switch(), color=style.EXACT, linewidth=0.6)
    style.end_label(axes, below[28], gram[28], "16 u κ²", color=style.BOUND, dx=-6, dy=4, ha="right")
    style.end_label(axes, above[18], shifted[18], "1e−12 + 4 u κ", color=style.BOUND, dx=-6, dy=6, ha="right")
    axes.text(0.6 * switch(), 25.0, "Gram", color=style.OURS_THIRD, ha="right")
    axes.text(1.7 * switch(), 25.0, "shifted", color=style.OURS_TWO)
    axes.set_title("Automatic choice: every table, and the bound")
