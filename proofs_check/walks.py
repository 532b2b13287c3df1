"""The exact law of a decision: failures counted against two boundaries, by dynamic programming over (trials, failures)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from proofs_check import evalues

__all__ = ["Walk", "as_decided", "walk"]

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Walk:
    """Exact probabilities of a walk between two boundaries.

    Attributes
    ----------
    looks : ndarray of int64
        Numbers of trials at which the rules looked.
    refuted, verified : ndarray of float64
        Probability of having been decided by each look.
    undecided : float
        Probability of no decision at the end.
    """

    looks: NDArray[np.int64]
    refuted: Float
    verified: Float
    undecided: float

    def median(self, which: Literal["refuted", "verified"]) -> int | None:
        """Return the first look by which half of all runs are decided this way (None if fewer ever are)."""
        curve = self.refuted if which == "refuted" else self.verified
        index = int(np.searchsorted(curve, 0.5))
        return int(self.looks[index]) if index < len(curve) else None


def walk(p: float, boundary: evalues.Boundary, *, refute: bool = True, accept: bool = True) -> Walk:
    """Compute the exact law of the decision when every trial fails with probability ``p``.

    Parameters
    ----------
    p : float
        Failure probability.
    boundary : Boundary
        Counts at which a part is refuted or accepted; looks are equally spaced.
    refute, accept : bool
        Whether each boundary stops the walk; one of them alone gives the error that Ville's inequality bounds.

    Returns
    -------
    Walk

    Notes
    -----
    Time ``O(horizon * largest count)``, all of it in numpy.

    Examples
    --------
    >>> exact = walk(0.1, evalues.boundary(0.1, 0.2, 2000, step=1), accept=False)
    >>> bool(0 < exact.refuted[-1] <= 1e-6)
    True
    """
    looks = boundary.looks
    step = int(looks[0])
    law = np.zeros(min(int(boundary.k_refute.max()), int(looks[-1])) + step + 2)
    law[0] = 1.0
    refuted, verified = np.zeros(len(looks)), np.zeros(len(looks))
    for j in range(len(looks)):
        for _ in range(step):
            law[1:] = law[1:] * (1.0 - p) + law[:-1] * p
            law[0] *= 1.0 - p
        if refute:
            refuted[j] = law[boundary.k_refute[j] :].sum()
            law[boundary.k_refute[j] :] = 0.0
        if accept and boundary.k_accept[j] >= 0:
            verified[j] = law[: boundary.k_accept[j] + 1].sum()
            law[: boundary.k_accept[j] + 1] = 0.0
    return Walk(looks, np.cumsum(refuted), np.cumsum(verified), float(law.sum()))


def as_decided(boundary: evalues.Boundary, p0: float) -> evalues.Boundary:
    """Lower the accepting counts to those at which the rules really accept: where R speaks for the claim as well.

    Parameters
    ----------
    boundary : Boundary
        Counts at which A alone reaches its threshold.
    p0 : float
        Failure probability that the claim allows.

    Returns
    -------
    Boundary

    Examples
    --------
    >>> table = evalues.boundary(0.1, 0.2, 640)
    >>> int(table.k_accept[-1]), int(as_decided(table, 0.1).k_accept[-1])
    (86, 84)
    """
    looks = boundary.looks
    harmless = evalues.first_count(looks, lambda k: evalues.log_refute(k, looks, p0) > 0.0) - 1
    return evalues.Boundary(looks, boundary.k_refute, np.minimum(boundary.k_accept, harmless))
