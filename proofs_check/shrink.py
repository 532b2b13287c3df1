"""Make a counterexample small enough to be understood: smaller sizes, coarser numbers, zeros.

A step counts only if the *original* predicate still finds a violation, so that no step can lose it.  Deletions alone rarely survive, since
the violation was tuned to the size it was found at; every deletion is therefore followed by a new search from where it landed.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from proofs_check._optimizers import Climber, climb_from

__all__ = ["Shapes", "ShrinkStep", "Shrunk", "shrink"]

Vector: TypeAlias = NDArray[np.float64]
Point: TypeAlias = Mapping[str, Any]
Shapes: TypeAlias = Callable[[Point], Sequence[tuple[int, ...]]]

_REOPTIMISE = 1500  # evaluations after a deletion; measured: enough for 4x4 rank 2 to reach 2x2 rank 1 in five of six runs
_BEST_DELETIONS = 3
_COARSEST = 64  # denominators that are tried in rounding


@dataclass(frozen=True, slots=True)
class ShrinkStep:
    """One step that was tried: what it did, the slack before and after, whether the violation survived it."""

    kind: str
    before: str
    after: str
    slack: float
    evaluations: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest violation reached, and how; ``params`` and ``vector`` are the input where no step survived."""

    params: Mapping[str, Any]
    vector: tuple[float, ...]
    slack: float
    steps: tuple[ShrinkStep, ...]
    evaluations: int

    @property
    def improved(self) -> bool:
        """Whether any step survived."""
        return any(step.kept for step in self.steps)

    def describe(self) -> str:
        """One line for a reader."""
        kept = [step for step in self.steps if step.kept]
        if not kept:
            return f"no smaller violation in {len(self.steps)} attempts"
        return f"{kept[0].before} to {kept[-1].after} in {len(kept)} steps of {len(self.steps)}, slack {self.slack:.6g}"


def shrink(
    slack: Callable[[Point, Vector], float],
    violates: Callable[[Point, Vector], bool],
    dimension: Callable[[Point], int],
    params: Point,
    vector: Sequence[float],
    rng: np.random.Generator,
    *,
    shapes: Shapes | None = None,
    reoptimise: int = _REOPTIMISE,
    evaluations: int = 60_000,
) -> Shrunk:
    """Shrink a violation.

    In this order, until nothing helps: every integer parameter is lowered by one (the three best deletions of coordinates, each
    followed by a search); then coordinates are rounded to multiples of 1/q, coarsest first, and set to zero one by one.

    Parameters
    ----------
    slack : callable
        ``slack(params, vector)``, ``-inf`` where it is not an instance; guides the search.
    violates : callable
        ``violates(params, vector)``: the original predicate; the only thing that can commit a step.
    dimension : callable
        Length of the vector for given parameters.
    params, vector
        A violation.
    rng : numpy.random.Generator
        All randomness.
    shapes : callable, optional
        ``shapes(params)``: the arrays whose entries, one after the other, form the vector.  Then a deletion removes a row or a column;
        without it, a window of coordinates.
    reoptimise : int, default=1500
        Evaluations after each deletion.
    evaluations : int, default=60000
        Limit on evaluations of ``slack`` in all.

    Returns
    -------
    Shrunk

    Raises
    ------
    ValueError
        The given instance does not violate the claim.

    Examples
    --------
    >>> def closeness(params, x):  # above 1 when the largest entry lies within .5 of 1.4
    ...     return 1.5 - abs(float(x.max()) - 1.4)
    >>> rng = np.random.default_rng(0)
    >>> found = shrink(closeness, lambda p, x: closeness(p, x) > 1, lambda p: p["n"], {"n": 4}, [.1, -.7, 1.37, .2], rng)
    >>> found.params, found.vector
    ({'n': 1}, (1.0,))
    """
    return _Shrinker(slack, violates, dimension, rng, shapes, reoptimise, evaluations).run(dict(params), np.array(vector, dtype=np.float64))


class _Shrinker:
    def __init__(
        self,
        slack: Callable[[Point, Vector], float],
        violates: Callable[[Point, Vector], bool],
        dimension: Callable[[Point], int],
        rng: np.random.Generator,
        shapes: Shapes | None,
        reoptimise: int,
        evaluations: int,
    ) -> None:
        self._slack, self._violates, self._dimension, self._rng, self._shapes = slack, violates, dimension, rng, shapes
        self._reoptimise, self._left = reoptimise, evaluations
        self._spent = 0
        self._steps: list[ShrinkStep] = []

    def run(self, point: dict[str, Any], x: Vector) -> Shrunk:
        if not self._violates(point, x):
            raise ValueError("the instance to be shrunk does not violate the claim; shrink what was confirmed")
        while True:
            smaller = self._smaller(point, x)
            if smaller is None:
                break
            point, x = smaller
        x = self._rounded(point, x)
        x = self._zeros(point, x)
        return Shrunk(point, tuple(x.tolist()), self._value(point, x), tuple(self._steps), self._spent)

    def _value(self, point: Point, x: Vector) -> float:
        self._spent += 1
        return self._slack(point, x)

    # ---------------------------------------------------------------------------------------------------------------------- sizes

    def _smaller(self, point: dict[str, Any], x: Vector) -> tuple[dict[str, Any], Vector] | None:
        """Lower one integer parameter by one, the largest first."""
        names = [name for name, value in point.items() if isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 1]
        for name in sorted(names, key=lambda name: -point[name]):
            lower = {**point, name: point[name] - 1}
            found = self._at(point, lower, x)
            if found is not None:
                return lower, found
        return None

    def _at(self, point: Point, lower: Point, x: Vector) -> Vector | None:
        """Look for a violation at smaller parameters, starting from deletions."""
        before = self._spent
        try:
            size = self._dimension(lower)
        except (ValueError, ArithmeticError):
            return None
        if self._spent >= self._left or size > x.size:
            return None
        candidates = sorted(
            ((self._value(lower, y), i, y) for i, y in enumerate(self._deletions(point, lower, x))), key=lambda c: (-c[0], c[1])
        )
        best = candidates[0][0] if candidates else -math.inf
        if best > 1.0 and self._violates(lower, candidates[0][2]):
            self._note("size", point, lower, best, before, kept=True)
            return candidates[0][2]
        for value, _, y in candidates[:_BEST_DELETIONS]:
            climber = Climber(lambda z: self._value(lower, z), self._reoptimise)
            reached, z = climb_from(climber, (value, y), 0.1 * max(float(np.abs(y).max(initial=0.0)), 1.0), self._rng)
            best = max(best, reached)
            if reached > -math.inf and self._violates(lower, z):
                self._note("size", point, lower, reached, before, kept=True)
                return z
        self._note("size", point, lower, best, before, kept=False)
        return None

    def _deletions(self, point: Point, lower: Point, x: Vector) -> Iterator[Vector]:
        """Yield the vector with one row, column or window of coordinates less."""
        if self._shapes is not None:
            yield from _row_deletions(x, [tuple(s) for s in self._shapes(point)], [tuple(s) for s in self._shapes(lower)])
            return
        size = self._dimension(lower)
        gap = x.size - size
        for start in range(0, size + 1, max(gap, 1)):
            yield np.delete(x, slice(start, start + gap))

    # -------------------------------------------------------------------------------------------------------------------- numbers

    def _rounded(self, point: Point, x: Vector) -> Vector:
        """Round all coordinates to multiples of 1/q, the coarsest q that keeps the violation; first as they are, then scaled to one."""
        before = self._spent
        largest = float(np.abs(x).max(initial=0.0))
        if largest == 0.0:
            return x
        for q in range(1, _COARSEST + 1):
            for scale in (1.0, largest):
                y = np.round(x / scale * q) / q + 0.0  # no negative zeros
                if np.array_equal(y, x):
                    return x
                if self._violates(point, y):
                    self._note(f"round to 1/{q}", point, point, self._value(point, y), before, kept=True)
                    return y
        self._note(f"round to 1/{_COARSEST}", point, point, -math.inf, before, kept=False)
        return x

    def _zeros(self, point: Point, x: Vector) -> Vector:
        """Set coordinates to zero, the smallest first."""
        before = self._spent
        kept = 0
        for i in np.argsort(np.abs(x), kind="stable"):
            y = x.copy()
            y[i] = 0.0
            if x[i] != 0.0 and self._violates(point, y):
                x, kept = y, kept + 1
        if kept:
            self._note(f"zero {kept} coordinates", point, point, self._value(point, x), before, kept=True)
        return x

    def _note(self, kind: str, before: Point, after: Point, slack: float, spent: int, *, kept: bool) -> None:
        self._steps.append(ShrinkStep(kind, _label(before), _label(after), slack, self._spent - spent, kept))


def _row_deletions(x: Vector, shapes: Sequence[tuple[int, ...]], smaller: Sequence[tuple[int, ...]]) -> Iterator[Vector]:
    """Delete the same index along every axis that is one shorter (all of them belong to the parameter that was lowered)."""
    if len(shapes) != len(smaller) or any(len(a) != len(b) for a, b in zip(shapes, smaller, strict=True)):
        raise ValueError(f"shapes {shapes} and {smaller} do not belong together; `shapes` lists the same arrays for all parameters")
    edges = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    arrays = [x[a:b].reshape(shape) for (a, b), shape in zip(pairwise(edges), shapes, strict=True)]
    shrinking = [
        (i, axis) for i, (a, b) in enumerate(zip(shapes, smaller, strict=True)) for axis in range(len(a)) if b[axis] == a[axis] - 1
    ]
    if not shrinking:
        yield x.copy()
        return
    for index in range(min(shapes[i][axis] for i, axis in shrinking)):
        kept = list(arrays)
        for i, axis in shrinking:
            kept[i] = np.delete(kept[i], index, axis=axis)
        yield np.concatenate([array.ravel() for array in kept])


def _label(point: Point) -> str:
    return ", ".join(f"{key}={value}" for key, value in point.items() if np.ndim(value) == 0)
