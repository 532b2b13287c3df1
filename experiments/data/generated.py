"""Generated data sets: the families of `algos.lp_embeddings.instances` at one fixed size each."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..provenance import versions
from . import Dataset, Provenance, checksum, frozen

if TYPE_CHECKING:
    from algos.lp_embeddings.instances import MatrixInstance

__all__ = ["DESCRIPTIONS", "generate"]

ROWS, COLUMNS = 5000, 10  # of the random families: tall enough that sampling pays, small enough for an exact solver

DESCRIPTIONS = {
    "two_basis": "unit vectors on a scaled Hadamard matrix, 32 x 16: equal sensitivities with an extreme sum",
    "sign_cube": "sign vectors up to a common sign, 128 x 8: equal sensitivities in closed form",
    "mixture": "flat block beside spread coordinates: where sensitivity sampling loses rank",
    "coherent": "Gaussian rows plus 20 rows that must be kept, 2,000 x 25",
    "gaussian": "Gaussian entries, 5,000 x 10",
    "heavy_tailed": "entries with t(1.2) tails, 5,000 x 10",
    "spiked": "30 x identity above Gaussian rows, 5,000 x 10",
    "legendre": "Legendre polynomials at random nodes, 5,000 x 10",
    "vandermonde": "powers of equispaced nodes, 5,000 x 10",
    "row_scales": "Gaussian rows scaled from 1 down to 1e-6, 5,000 x 10",
    "block_diagonal": "two diagonal blocks whose scales differ by 1e4, 5,000 x 10",
    "one_hot": "one-hot levels beside numbers, 5,000 x 10",
}


def generate(name: str, *, seed: int = 0) -> Dataset:
    """Return the family `name`; ``y`` is None, families are matrices.

    Parameters
    ----------
    name : str
        A key of `DESCRIPTIONS`.
    seed : int, default=0
        Seed; the closed-form families do not depend on it.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> generate("sign_cube").provenance.source
    'algos.lp_embeddings.instances.sign_cube(d=8)'
    """
    instance, call = _build(name, seed)
    X = frozen(instance.A)
    provenance = Provenance(
        name=name,
        package="epsdelta",
        version=versions()["epsdelta"],
        licence="BSD-3-Clause",
        sha256=checksum(X, None),
        rows=X.shape[0],
        columns=X.shape[1],
        source=f"algos.lp_embeddings.instances.{call}",
        note=DESCRIPTIONS[name],
    )
    return Dataset(X, None, tuple(f"x{column}" for column in range(X.shape[1])), provenance)


def _build(name: str, seed: int) -> "tuple[MatrixInstance, str]":
    """Return the instance and the call that made it, as text."""
    from algos.lp_embeddings import instances

    special: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "two_basis": (instances.two_basis, {"d": 16}),
        "sign_cube": (instances.sign_cube, {"d": 8}),
        "mixture": (instances.mixture_hard_instance, {}),
        "coherent": (instances.coherent, {"random_state": seed}),
    }
    if name in special:
        function, options = special[name]
        return function(**options), f"{function.__name__}({', '.join(f'{key}={value}' for key, value in options.items())})"
    made = instances.random_families(ROWS, COLUMNS, names=[name], random_state=seed)
    return made[name], f"random_families({ROWS}, {COLUMNS}, names=['{name}'], random_state={seed})"
