"""What accuracy a tester-learner can certify when every assumption is met: simulated on the target itself."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from algos.common.randomness import child
from algos.common.validation import check_option, check_range
from algos.testable_halfspaces._fit_steps import certify_chosen, choose, learn, split
from algos.testable_halfspaces._target_map import Transform, chosen_rows
from algos.testable_halfspaces.band_statistics import MAX_QUARTIC_DIM
from algos.testable_halfspaces.calibration import each_replicate, null_rank
from algos.testable_halfspaces.certificates import HalfspaceCertificate, massart_certificate
from algos.testable_halfspaces.instances import make_halfspace
from algos.testable_halfspaces.ramp_learner import Candidate
from algos.testable_halfspaces.results import InfeasibleEps

__all__ = ["best_massart_certificate", "check_feasible", "minimal_eps"]

FloatArray = npt.NDArray[np.float64]


def best_massart_certificate(
    candidates: Iterable[Candidate], X: Any, y: npt.ArrayLike, eta: float, delta: float = 0.05, **options: Any
) -> HalfspaceCertificate:
    """Certify every candidate on rows that were not used to learn it, and return the certificate with the smallest excess error.

    Parameters
    ----------
    candidates : iterable of Candidate
        Halfspaces with their band widths, such as a `RampPath`; delta is divided among them.
    X : array-like of shape (n, d), or any source of rows
        Rows that the candidates do not depend on.
    y : array-like of shape (n,)
        Labels -1 and +1.
    eta : float
        Bound on the flip probability.
    delta : float, default=0.05
        Probability that the statement is false.
    **options
        Passed to `massart_certificate`.

    Returns
    -------
    HalfspaceCertificate
        Among equals (all vacuous), the one with the fewest mistakes.

    Raises
    ------
    ValueError
        No candidates; and as for `massart_certificate`.

    Examples
    --------
    >>> from algos.testable_halfspaces.achievable import best_massart_certificate
    >>> from algos.testable_halfspaces.instances import make_halfspace
    >>> from algos.testable_halfspaces.ramp_learner import ramp_path
    >>> X, y, w = make_halfspace(20_000, 2, noise="rcn", rate=0.1, random_state=0)
    >>> path = ramp_path(X[:10_000], y[:10_000], sigmas=[0.5, 0.25], random_state=0)
    >>> best_massart_certificate(path, X[10_000:], y[10_000:], eta=0.1).eps_hat < 0.1
    True
    """
    known = list(candidates)
    if not known:
        raise ValueError("candidates is empty; give at least one halfspace with its width")
    made = [massart_certificate(X, y, c.w, c.sigma, eta, delta, n_candidates=len(known), **options) for c in known]
    return min(made, key=lambda certificate: (certificate.eps_hat, certificate.mistakes))


def minimal_eps(
    n: int,
    d: int,
    eta: float,
    *,
    delta: float = 0.05,
    level: float = 0.05,
    learn_fraction: float = 0.5,
    fit_intercept: bool = False,
    target_transform: Transform = None,
    n_calibration: int = 39,
    key: int = 0,
    n_jobs: int | None = None,
) -> float:
    r"""Return the excess error that n Gaussian rows with label noise let the learner certify, but for a share `level` of the tables.

    Tables with standard Gaussian rows are learned and certified as `TestableHalfspace` does it with a user's, once with random flips of
    probability eta and once with flips only where a second halfspace at 0.8 rad disagrees. The excess of each kind of noise is ranked, and
    the larger of the two order statistics of rank :math:`\lceil(1-\alpha)(m+1)\rceil` is returned.

    Parameters
    ----------
    n, d : int
        Shape of the table.
    eta : float
        Flip probability, in [0, 1/2).
    delta : float, default=0.05
        Probability that a certificate is false.
    level : float, default=0.05
        Share :math:`\alpha` of such tables on which the certified excess may be larger. It holds for these two kinds of noise only.
    learn_fraction : float, default=0.5
        Share of the rows that learn; the others certify.
    fit_intercept : bool, default=False
        Whether halfspaces have an intercept; that of the tables is 0.
    target_transform : {None, "whiten", "standardize"}, default=None
        Map of the rows, fitted on those that learn.
    n_calibration : int, default=39
        Tables of each kind, at least ``1 / level - 1``.
    key : int, default=0
        Seed.
    n_jobs : int, optional
        Threads; the result does not depend on their number.

    Returns
    -------
    float
        At most 1; 1 means that no certificate can be expected.

    Raises
    ------
    ValueError
        Arguments out of range, too few tables for the level.

    Notes
    -----
    Time: twice ``n_calibration`` fits with their certificates. The last 32 results of a process are remembered.

    Examples
    --------
    >>> from algos.testable_halfspaces.achievable import minimal_eps
    >>> minimal_eps(200, 8, 0.3, n_calibration=3, level=0.25)  # far too few rows
    1.0
    """
    rows = check_range(n, name="n", low=8, integer=True)
    columns = check_range(d, name="d", low=1, integer=True)
    rate = check_range(eta, name="eta", low=0.0, high=0.5, high_open=True)
    false = check_range(delta, name="delta", low=0.0, high=1.0, low_open=True, high_open=True)
    alpha = check_range(level, name="level", low=0.0, high=1.0, low_open=True, high_open=True)
    share = check_range(learn_fraction, name="learn_fraction", low=0.0, high=1.0, low_open=True, high_open=True)
    count = check_range(n_calibration, name="n_calibration", low=1, integer=True)
    seed = check_range(key, name="key", low=0, integer=True)
    check_option(target_transform, (None, "whiten", "standardize"), name="target_transform")
    rank = null_rank(count, alpha)
    task = _Task(rows, columns, rate, false, share, bool(fit_intercept), target_transform)
    known = _remembered.get((task, rank, count, seed))
    if known is None:

        def one(j: int) -> list[float]:
            return [_certified(task, noise, child(seed, "eps", noise, j)) for noise in ("rcn", "massart")]

        excess = np.array(each_replicate(one, count, n_jobs))
        known = float(np.max(np.sort(excess, axis=0)[rank - 1]))
        _remembered[(task, rank, count, seed)] = known
        while len(_remembered) > _KEPT:
            del _remembered[next(iter(_remembered))]
    return known


@dataclass(frozen=True)
class _Task:
    """Shape of a simulated table, and how it is learned and certified."""

    n: int
    d: int
    eta: float
    delta: float
    learn_fraction: float
    lift: bool
    transform: Transform


_KEPT = 32
_remembered: dict[tuple[_Task, int, int, int], float] = {}


def _certified(task: _Task, noise: Literal["rcn", "massart"], rng: np.random.Generator) -> float:
    X, y, _ = make_halfspace(task.n, task.d, noise=noise, rate=task.eta, random_state=rng)
    certifies = split(task.n, task.learn_fraction, rng)
    quartic = task.d + task.lift <= MAX_QUARTIC_DIM
    learned = learn(X, y, ~certifies, transform=task.transform, lift=task.lift, rng=rng)
    options: dict[str, Any] = {"eta": task.eta, "delta": task.delta, "quartic": quartic}
    chosen = choose(learned, "massart", n_certify=int(np.count_nonzero(certifies)), **options)
    rows = chosen_rows(X, certifies, learned.map.columns)
    return certify_chosen(rows, y[certifies], learned.map, chosen, "massart", **options).certificate.eps_hat


def check_feasible(eps: float, smallest: float, *, n: int, what: str) -> float:
    """Return the accuracy asked for, or raise if it is out of reach.

    Parameters
    ----------
    eps : float
        Excess error that a user wants certified.
    smallest : float
        The least that can be expected, such as what `minimal_eps` found.
    n : int
        Rows, for the message.
    what : str
        What reaches no less, for the message.

    Returns
    -------
    float

    Raises
    ------
    InfeasibleEps
        ``eps < smallest``.

    Examples
    --------
    >>> from algos.testable_halfspaces.achievable import check_feasible
    >>> check_feasible(0.2, 0.1, n=1000, what="Gaussian rows")
    0.2
    """
    wanted = check_range(eps, name="eps", low=0.0, low_open=True)
    if wanted < smallest or math.isnan(smallest):
        raise InfeasibleEps(
            f"eps={eps} cannot be certified: {n} {what} give {smallest:.3g}. "
            f"Ask for eps >= {smallest:.3g}, give more rows, or force=True to fit nevertheless"
        )
    return float(wanted)
