"""The inner loops of the halfspace learner and its testers, each beside the memory or BLAS operation that bounds it from below."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._lp_leverage import _case, ratio
from ._table import Row, Target
from ._timing import interleave

if TYPE_CHECKING:
    from . import Settings

FloatArray = NDArray[np.float64]

MARGINS, TWIN, FUSED = "floor: X @ w", "numpy, two passes", "epsdelta ramp_loss"
SIGMAS = (1.0, 0.1)  # widest and a narrow band of the path: 38 and 4 per cent of Gaussian rows have a slope
PER_PRODUCT, TWIN_PER_OURS = 2.5, 4.0

READ = "floor: read the rows once (sum)"
SUMMED = "epsdelta, a sweep after it"
DIRECTIONS, READS = 16, 3.0

SORT, SWEEP = "numpy.sort of as many floats", "epsdelta exact_halfspace_error"
PER_SORT = 1.5

SYRK, GRAM = "floor: syrk of ready-made features", "epsdelta quartic_gram"
PER_SYRK = 1.5


def labelled(rows: int, columns: int, seed: int, flips: float = 0.2) -> tuple[FloatArray, FloatArray]:
    """Return Gaussian rows with the labels of a random halfspace, each flipped with a fixed probability.

    Examples
    --------
    >>> X, y = labelled(1000, 3, 0)
    >>> X.shape, sorted(set(y.tolist()))
    ((1000, 3), [-1.0, 1.0])
    """
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((rows, columns)), rng.standard_normal(columns)
    return X, np.where((X @ w >= 0.0) ^ (rng.random(rows) < flips), 1.0, -1.0)


def _rounds(settings: "Settings") -> int:
    """Return how often to time loops of a few milliseconds."""
    return settings.repeats if settings.quick else 3 * settings.repeats


def numpy_loss(X: FloatArray, y: FloatArray, w: FloatArray, sigma: float) -> tuple[float, FloatArray]:
    """Return the ramp loss at a unit vector and its gradient as one writes them in numpy: margins, elementwise formulas, one product.

    Examples
    --------
    >>> loss, gradient = numpy_loss(np.array([[0.0, 1.0]]), np.array([1.0]), np.array([1.0, 0.0]), 1.0)
    >>> loss, gradient.tolist()
    (0.5, [-0.0, -1.5])
    """
    t = X @ w
    a = np.abs(t) / sigma
    r = np.clip(3.0 * a - 0.5, 0.0, 1.0)
    height = 1.5 * np.minimum(a, 1.0 / 6.0) + 0.5 * r * (1.0 - r * r * (1.0 - 0.5 * r))
    slope = 1.5 / sigma * y * (1.0 - r * r * (3.0 - 2.0 * r))
    gradient = -(slope @ X - (slope @ t) * w) / len(t)
    return 0.5 - float(np.mean(np.copysign(height, t * y))), gradient


def loss(settings: "Settings") -> Iterator[Row | Target]:
    """Compute loss and gradient together: units are one product of the rows with a vector, which reads them once."""
    from algos.testable_halfspaces._labelled_rows import LabelledRows

    sizes = [(20_000, 20), (5_000, 50)] if settings.quick else [(1_000_000, 20), (100_000, 50)]
    for rows, columns in sizes:
        X, y = labelled(rows, columns, settings.seed)
        w = np.eye(columns)[0]
        table = LabelledRows(X, y)  # checked once, as the learner does
        for sigma in SIGMAS:
            methods: dict[str, Callable[[], Any]] = {
                MARGINS: partial(np.matmul, X, w),
                FUSED: partial(table.loss, w, sigma),
                TWIN: partial(numpy_loss, X, y, w, sigma),
            }
            times = interleave(methods, _rounds(settings))
            case = f"{_case(rows, columns)}, sigma={sigma:g}"
            ours, twin = times[FUSED].result, times[TWIN].result
            gap = max(abs(ours[0] - twin[0]), float(np.abs(ours[1] - twin[1]).max()))
            for method, timing in times.items():
                yield Row("loss", case, method, **timing.fields(), quality={"difference from numpy": gap} if method == FUSED else {})
            if settings.quick:
                continue
            yield Target("loss", f"loss and gradient {case}: time / X @ w", PER_PRODUCT, ratio(times[FUSED], times[MARGINS]))
            yield Target("loss", f"loss and gradient {case}: time / numpy", 1.0 / TWIN_PER_OURS, ratio(times[FUSED], times[TWIN]))


def search(settings: "Settings") -> Iterator[Row | Target]:
    """Time a sweep of the fourth-moment search, moments and gradients of 16 directions, in units of reading the rows from memory.

    Up to 60 columns the search sums all fourth moments up in one pass and then reads no rows; a sweep over rows is for more columns.
    """
    from algos.common.blocks import RowSource
    from algos.testable_halfspaces._moments import batch_moments, moments_of
    from algos.testable_halfspaces.moment_tests import MAX_QUARTIC_DIM

    sizes = [(20_000, 20)] if settings.quick else [(1_000_000, 20), (100_000, 50), (200_000, 100)]
    for rows, columns in sizes:
        rng = np.random.default_rng(settings.seed)
        X, V = rng.standard_normal((rows, columns)), rng.standard_normal((DIRECTIONS, columns))
        V /= np.linalg.norm(V, axis=1)[:, None]
        methods: dict[str, Callable[[], Any]] = {
            READ: partial(np.sum, X),
            "floor: its two products, 1024 rows at a time": partial(two_products, X, V),
            "numpy, whole table": partial(numpy_sweep, X, V),
            "epsdelta batch_moments": partial(batch_moments, RowSource(X), V, 4),
        }
        if columns <= MAX_QUARTIC_DIM:
            tensors = moments_of(RowSource(X), tensors=True).tensors
            assert tensors is not None
            methods["epsdelta, one pass for all sweeps"] = partial(moments_of, RowSource(X), tensors=True)
            methods[SUMMED] = partial(tensors.power, V, 4)
        times = interleave(methods, _rounds(settings))
        for method, timing in times.items():
            yield Row("search", f"{_case(rows, columns)}, {DIRECTIONS} directions", method, **timing.fields())
        if not settings.quick:
            case = f"fourth moments {_case(rows, columns)}, a sweep of {DIRECTIONS}"
            if SUMMED in times:
                yield Target("search", f"{case} after the pass: time / reading X", READS, ratio(times[SUMMED], times[READ]))
            taken = ratio(times["epsdelta batch_moments"], times[READ])
            yield Target("search", f"{case} over the rows: time / reading X", READS, taken, "its two products alone take more")


def two_products(X: FloatArray, V: FloatArray) -> FloatArray:
    """Return what a sweep cannot avoid multiplying: margins of all directions and one combination of rows for each."""
    total, columns = np.zeros(V.shape), np.ascontiguousarray(V.T)
    for start in range(0, len(X), 1024):
        rows = X[start : start + 1024]
        total += (rows @ columns).T @ rows
    return total


def numpy_sweep(X: FloatArray, V: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return fourth moments of all directions with their gradients over four, without blocks.

    Examples
    --------
    >>> values, gradients = numpy_sweep(np.array([[2.0, 0.0], [0.0, 1.0]]), np.eye(2))
    >>> values.tolist(), gradients.tolist()
    ([8.0, 0.5], [[8.0, 0.0], [0.0, 0.5]])
    """
    along = X @ V.T
    gradients = (along * along * along).T @ X / len(X)
    return np.einsum("ij,ij->i", gradients, V), gradients


def sweep(settings: "Settings") -> Iterator[Row | Target]:
    """Find the exact optimum in the plane: units are one sort of as many floats."""
    from algos.testable_halfspaces.exact_oracles import exact_halfspace_error

    rows = 20_000 if settings.quick else 1_000_000
    X, y = labelled(rows, 2, settings.seed)
    angles = np.arctan2(X[:, 1], X[:, 0])
    methods: dict[str, Callable[[], Any]] = {SORT: partial(np.sort, angles), SWEEP: partial(exact_halfspace_error, X, y)}
    times = interleave(methods, _rounds(settings))
    for method, timing in times.items():
        quality = {"share of mistakes": timing.result.error} if method == SWEEP else {}
        yield Row("sweep", _case(rows, 2), method, **timing.fields(), quality=quality)
    if not settings.quick:
        yield Target("sweep", f"exact optimum {_case(rows, 2)}: time / np.sort", PER_SORT, ratio(times[SWEEP], times[SORT]))


def gram(settings: "Settings") -> Iterator[Row | Target]:
    """Build quartic Gram matrices: units are one symmetric product of quadratic features that somebody has already written down."""
    from algos.testable_halfspaces._quartic_kernels import svec_rows
    from algos.testable_halfspaces.quartic_forms import feature_count, quartic_gram

    sizes = [(5_000, 9)] if settings.quick else [(500_000, 9), (100_000, 19), (10_000, 49)]
    for rows, columns in sizes:
        Z, _ = labelled(rows, columns, settings.seed)
        weights = np.random.default_rng(settings.seed).random(rows)
        features = np.empty((rows, feature_count(columns)))
        svec_rows(Z, np.sqrt(weights), features)
        methods: dict[str, Callable[[], Any]] = {SYRK: partial(_own_product, features), GRAM: partial(quartic_gram, Z, weights)}
        times = interleave(methods, _rounds(settings))
        case = f"{_case(rows, columns)}, {features.shape[1]} features"
        for method, timing in times.items():
            yield Row("gram", case, method, **timing.fields())
        if not settings.quick:
            yield Target("gram", f"quartic Gram {case}: time / syrk", PER_SYRK, ratio(times[GRAM], times[SYRK]))


def _own_product(features: FloatArray) -> FloatArray:
    return features.T @ features
