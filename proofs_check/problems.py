"""The problems that a claim is tried on, and what a trial returns: instances, outcomes, families, subjects.

These classes are re-exported by :mod:`proofs_check.model`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np

# fmt: off
__all__ = [
    "ClaimDefinitionError", "DatasetRef", "Family", "Instance", "InstanceKey", "Interval", "MissingDataError", "Num", "Outcome",
    "ReadOnly", "Role", "SearchSpace", "Subject", "as_outcome", "grid_instance",
]
# fmt: on

Num = float | int | Fraction
Role = Literal["typical", "adversarial", "enumeration", "real"]


class ClaimDefinitionError(ValueError):
    """A claim, or a piece of one, is defined in a way that could not be trusted."""


class MissingDataError(LookupError):
    """A data set that a claim needs is not installed; the message names the extra that brings it."""


def require(condition: bool, what: str, remedy: str) -> None:
    if not condition:
        raise ClaimDefinitionError(f"{what}; {remedy}")


def one_of(value: str, options: tuple[str, ...], name: str) -> None:
    require(value in options, f"{name}={value!r} is not one of {', '.join(map(repr, options))}", f"choose one of these for {name}")


class ReadOnly(dict[str, Any]):
    """A dictionary that cannot be changed after it was made (and, unlike ``MappingProxyType``, can be sent to a worker process)."""

    def _refuse(self, *args: object, **kwargs: object) -> Any:
        raise TypeError("this mapping is read-only; build a new one")

    __setitem__ = __delitem__ = update = setdefault = pop = popitem = clear = __ior__ = _refuse

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return (ReadOnly, (dict(self),))


def freeze_arrays(values: Mapping[str, Any]) -> ReadOnly:
    """Copy a mapping and replace its arrays by read-only views, so that no trial can change what the next one sees."""
    frozen: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        frozen[key] = value
    return ReadOnly(frozen)


@dataclass(frozen=True, slots=True)
class InstanceKey:
    """Which problem: family name and position in its grid."""

    family: str
    index: int


@dataclass(frozen=True, slots=True)
class Instance:
    """One concrete problem. ``params`` is all that the bound may see; ``data`` is for the algorithm; ``env`` is an interactive environment.

    ``inst.n`` is short for ``inst.params["n"]`` or ``inst.data["n"]``; arrays are read-only views.

    Examples
    --------
    >>> inst = Instance({"n": 3}, {"x": np.ones(3)})
    >>> inst.n, float(inst.x.sum())
    (3, 3.0)
    """

    params: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=ReadOnly)
    env: Any = None
    key: InstanceKey | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", freeze_arrays(self.params))
        object.__setattr__(self, "data", freeze_arrays(self.data))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("params", "data"):
            raise AttributeError(name)
        if name in self.params:
            return self.params[name]
        if name in self.data:
            return self.data[name]
        hint = " (the level is shared by all trials; define the claim with delta_in_algorithm=True)" if name == "delta" else ""
        raise AttributeError(f"the instance has no {name!r}; params: {sorted(self.params)}, data: {sorted(self.data)}{hint}")


@dataclass(frozen=True, slots=True)
class Interval:
    """A certified bracket ``[lo, hi]`` of a quantity that cannot be computed; wrong with probability at most ``miss``."""

    lo: Num
    hi: Num
    certificate: str
    miss: float = 0.0

    def __post_init__(self) -> None:
        require(bool(self.certificate.strip()), "an interval has no certificate", "say what proves the bracket")
        require(0 <= self.miss < 1, f"miss={self.miss!r} of a bracket", "a probability in [0, 1); 0 for a bracket that is certain")
        if not self.lo <= self.hi:
            raise ValueError(f"inverted or undefined interval [{self.lo}, {self.hi}] from {self.certificate!r}: lo must not exceed hi")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial measured. ``reference`` is the other side of an identity where it comes from an independent computation."""

    value: Any
    reference: Any = None
    claimed: Interval | None = None
    accepted: bool | None = None
    cond: float = 1.0
    ops: int = 0
    aux: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


# -------------------------------------------------------------------------------------------------------------- where it is tried


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A data set named by an import path, so that the harness imports nobody.

    ``DatasetRef("flights", "experiments.data:load", extra="data")`` calls ``experiments.data.load("flights")``.
    """

    name: str
    loader: str
    extra: str = ""
    sha256: str = ""
    rows: int = 0
    licence: str = ""

    def __post_init__(self) -> None:
        require(
            self.loader.count(":") == 1,
            f"loader {self.loader!r} is not of the form 'package.module:function'",
            "name the loader by import path",
        )


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """How an adversary moves: ``decode(vector, params) -> Instance`` from ``dimension(params)`` real numbers, smallest sizes first.

    ``decode`` raises ValueError for a vector that is no admissible instance.  ``start`` lists known bad vectors, ``step`` is the scale of
    a random one.  ``shapes(params)`` lists the arrays whose entries, one after the other, form the vector: shrinking then removes rows
    and columns rather than windows of numbers.
    """

    dimension: Callable[[Mapping[str, Any]], int]
    decode: Callable[[np.ndarray, Mapping[str, Any]], Instance]
    start: tuple[tuple[float, ...], ...] = ()
    step: float = 1.0
    shapes: Callable[[Mapping[str, Any]], tuple[tuple[int, ...], ...]] | None = None


def grid_instance(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Build an instance that is nothing but its grid point (the default of families written as lists of dictionaries)."""
    return Instance(point)


@dataclass(frozen=True, slots=True)
class Family:
    """A parametrised generator: ``build(rng, point) -> Instance`` for every point of ``grid``.

    ``draw="trial"`` builds a fresh instance for every trial (the default of deterministic kinds), ``"part"`` one instance for all trials
    of a part.  With ``dataset`` the loaded object is ``point["dataset"]``.
    """

    name: str
    build: Callable[[np.random.Generator, Mapping[str, Any]], Instance] = grid_instance
    grid: tuple[Mapping[str, Any], ...] = (ReadOnly(),)
    role: Role = "typical"
    weight: float = 1.0
    draw: Literal["trial", "part"] | None = None
    search: SearchSpace | None = None
    dataset: DatasetRef | None = None

    def __post_init__(self) -> None:
        one_of(self.role, get_args(Role), "role")
        require(bool(re.fullmatch(r"[\w.+-]+", self.name)), f"family name {self.name!r} is not one word", "use letters, digits, _ . + -")
        require(self.weight > 0, f"family {self.name!r} has weight {self.weight}", "weights are positive")
        require(len(self.grid) > 0, f"family {self.name!r} has an empty grid", "list at least one point (an empty mapping will do)")
        object.__setattr__(self, "grid", tuple(freeze_arrays(point) for point in self.grid))


@dataclass(frozen=True, slots=True)
class Subject:
    """An implementation under test; a cheater has ``expected="refuted"`` and stands outside the claim's own verdict."""

    name: str
    impl: Mapping[str, Any]
    expected: Literal["pass", "refuted"] = "pass"

    def __post_init__(self) -> None:
        one_of(self.expected, ("pass", "refuted"), "expected")
        object.__setattr__(self, "impl", ReadOnly(self.impl))


def as_outcome(value: Any) -> Outcome:
    """Wrap what ``measure`` returned: numbers, arrays and intervals become an :class:`Outcome`."""
    return value if isinstance(value, Outcome) else Outcome(value)
