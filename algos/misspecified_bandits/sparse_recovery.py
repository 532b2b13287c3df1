"""Query a few random actions, fit a sparse model to their rewards, and choose by its predictions: enough where features are isotropic."""

import math
import warnings

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Guarantee
from algos.common.linear_programs import chebyshev_fit
from algos.common.randomness import RandomStateLike
from algos.common.validation import check_option, check_range, is_sparse
from algos.misspecified_bandits._learner import PlannedLearner
from algos.misspecified_bandits._sparse_fits import (
    best_support,
    check_scales,
    hard_thresholding,
    lasso_support,
    least_squares_on,
    orthogonal_matching,
)
from algos.misspecified_bandits._supports import count_supports
from algos.misspecified_bandits.bounds.sparse_recovery import recovery_error, recovery_queries, recovery_suboptimality
from algos.misspecified_bandits.norming import isotropy, too_coherent

__all__ = ["SparseRecoveryBandit"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_METHODS = ("omp", "htp", "lasso", "chebyshev")


class SparseRecoveryBandit(PlannedLearner):
    r"""Fit a sparse model to the rewards of a few random actions, and recommend the action with the largest prediction.

    There are :math:`m=\lceil c\,s\ln(e\,d/s)\rceil` queries, however many actions there are, and the number of columns counts by its
    logarithm only. That is enough where no column is nearly a combination of a few others. Where it is not, the recommendation can be
    arbitrarily wrong, which is why the columns are diagnosed at `fit`.

    Parameters
    ----------
    s : int, default=2
        Most coefficients of the model that are not zero.
    eps : float, optional
        Misspecification: expected rewards are within eps of the model. The lasso needs it for its penalty, and the guarantee.
    R : float, default=1.0
        Largest size of a coefficient, for `certificate` only.
    sigma : float, default=0.0
        Noise level of the rewards; 0 means exact.
    delta : float, default=0.05
        Probability that a mean of repeated noisy rewards is further off than eps (sigma, if eps is 0 or unknown).
    budget : int, optional
        Most pulls.
    random_state : None, int, Generator or RandomState, default=None
        Draws the actions.
    method : {"omp", "htp", "lasso", "chebyshev"}, default="omp"
        How the columns are found: one by one (orthogonal matching pursuit), all at once again and again (hard thresholding pursuit), by the
        lasso with penalty :math:`2\epsilon\sqrt{2\ln d/m}` on columns of root mean square 1, or as those with the least maximal residual.
        The first three then fit by least squares, the last one by the maximal residual. Greedy is the default since it has no penalty to
        choose and its cost is that of a few least-squares fits.
    factor : float, default=4.0
        c. With random signs 2 was sometimes too small and 3 never; see :func:`~algos.misspecified_bandits.bounds.recovery_queries`.
    check_best : bool, default=True
        Whether to query the action with the largest prediction too, to fit again with its reward, and so on until the favourite has been
        observed, at most m times more; then the best observed action is recommended.
    max_supports : int, default=5000
        Most supports that ``"chebyshev"`` tries; beyond, it takes the columns of ``"omp"``.
    on_coherent : {"warn", "ignore"}, default="warn"
        What to do at `fit` when columns are not isotropic.

    Attributes
    ----------
    n_actions_, n_features_in_, n_repeats_ : int
    planned_ : ndarray of int64
        The random actions.
    coef_ : ndarray of shape (n_features,)
        The model fitted to all answers so far.
    support_ : ndarray of int64
        Its columns.
    coherence_ : float
        Largest product of two columns of length one, over at most 8,192 random actions. Columns count as isotropic below
        :func:`~algos.misspecified_bandits.bounds.coherence_limit`.
    query_coherence_ : float
        The same over the queried actions; larger, since they are few.
    least_eigenvalue_ : float
        Smallest eigenvalue of Gram matrices of 2 s queried columns of root mean square 1, over all supports or, if there are more than
        5,000, over 200 random ones. Near 0, the queries do not tell models apart.
    norming_ : float
        Proved bound on the ratio of a difference of two models anywhere to that on the queries; infinite if none can be proved.
    bound_, guarantee_ :
        At the end, if eps is known and `norming_` is finite.
    done_, n_queries_, n_distinct_, history_ :
        State of the search.

    Raises
    ------
    ValueError
        At `fit`: a parameter outside its range, or ``method="lasso"`` without eps.

    Warns
    -----
    UserWarning
        At `fit`: columns that are not isotropic.

    Notes
    -----
    Time O(m d s) for a fit by matching pursuit, O(K s) for the predictions, and O(min(K, 8192) d^2) for the diagnosis. Sparse actions stay
    sparse; the queried ones become dense.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import SparseRecoveryBandit
    >>> rng = np.random.default_rng(0)
    >>> X = rng.choice([-1.0, 1.0], (5000, 100))
    >>> mean = 0.7 * X[:, 3] - 0.5 * X[:, 60] + rng.uniform(-0.05, 0.05, 5000)
    >>> learner = SparseRecoveryBandit(s=2, eps=0.05, random_state=0).fit(X)
    >>> while not learner.done_:
    ...     actions = learner.ask(10)
    ...     _ = learner.tell(actions, mean[actions])
    >>> learner.support_.tolist(), learner.n_queries_ < 60, bool(mean.max() - mean[learner.recommend()] < 0.2)
    ([3, 60], True, True)
    """

    _takes_sparse = True

    def __init__(
        self,
        s: int = 2,
        eps: float | None = None,
        R: float = 1.0,
        sigma: float = 0.0,
        delta: float = 0.05,
        budget: int | None = None,
        random_state: RandomStateLike = None,
        *,
        method: str = "omp",
        factor: float = 4.0,
        check_best: bool = True,
        max_supports: int = 5000,
        on_coherent: str = "warn",
    ) -> None:
        self.s = s
        self.eps = eps
        self.R = R
        self.sigma = sigma
        self.delta = delta
        self.budget = budget
        self.random_state = random_state
        self.method = method
        self.factor = factor
        self.check_best = check_best
        self.max_supports = max_supports
        self.on_coherent = on_coherent

    @property
    def coef_(self) -> FloatArray:
        """The model fitted to all answers so far; zeros without answers."""
        self._check_bound()
        return self._model().copy()

    @property
    def support_(self) -> IntArray:
        """Columns whose coefficients are not zero."""
        return np.flatnonzero(self.coef_).astype(np.int64)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_option(self.method, _METHODS, name="method")
        check_option(self.on_coherent, ("warn", "ignore"), name="on_coherent")
        check_range(self.factor, name="factor", low=0.0, high=math.inf, low_open=True, high_open=True)
        check_range(self.max_supports, name="max_supports", low=1, integer=True)
        if self.method == "lasso" and self.eps is None:
            raise ValueError("eps=None: the penalty of method='lasso' depends on the misspecification; give eps, or choose 'omp' or 'htp'")

    def _plan(self) -> IntArray:
        m = min(recovery_queries(d=self.n_features_in_, s=self.s, factor=self.factor), self.n_actions_)
        return self._rng("actions").choice(self.n_actions_, m, replace=False).astype(np.int64)

    def _start(self) -> None:
        super()._start()
        self.planned_ = self._planned
        self._means: dict[int, float] = {}
        self._coef: FloatArray | None = None
        self._favourite = -1
        self._diagnose()

    def _diagnose(self) -> None:
        k = min(2 * self.s, self.n_features_in_)
        found = isotropy(self._X, self.planned_, k, rng=self._rng("supports"))
        self.query_coherence_, self.least_eigenvalue_, self.norming_ = found.coherence, found.least_eigenvalue, found.norming
        coherent, self.coherence_ = too_coherent(self._X, self.s, self._rng("diagnosis"))
        if coherent and self.on_coherent == "warn":
            warnings.warn(
                f"columns are not isotropic: two of them, made of length one, have a product of {self.coherence_:.3g}, so "
                f"{len(self.planned_)} random actions may not tell models of {self.s} columns apart; take another learner, drop columns, "
                "or set on_coherent='ignore'",
                stacklevel=5,
            )

    def _absorb(self, action: int, value: float) -> None:
        self._means[action] = value
        self._coef = None

    def _model(self) -> FloatArray:
        if self._coef is None:
            self._coef, self._favourite = self._fitted(), -1
        return self._coef

    def _fitted(self) -> FloatArray:
        coef = np.zeros(self.n_features_in_)
        if not self._means:
            return coef
        known = np.array(sorted(self._means), dtype=np.int64)  # the order of the answers must not matter
        rows = self._rows(known)
        values = np.array([self._means[action] for action in known.tolist()])
        unit = float(np.max(np.abs(values))) or 1.0  # squares of rewards must not overflow
        support = self._found(rows, values / unit, unit)
        check_scales(rows[:, support], values)
        if support.size and self.method == "chebyshev":
            coef[support] = chebyshev_fit(rows[:, support], values).coef
        elif support.size:
            coef[support] = least_squares_on(rows, values, support)
        return coef

    def _found(self, rows: FloatArray, values: FloatArray, unit: float) -> IntArray:
        s = min(self.s, len(values))
        if self.method == "htp":
            return hard_thresholding(rows, values, s)
        if self.method == "lasso":
            assert self.eps is not None
            penalty = 2.0 * self.eps / unit * math.sqrt(2.0 * math.log(self.n_features_in_) / len(values))
            return lasso_support(rows, values, s, penalty)
        if self.method == "chebyshev" and count_supports(self.n_features_in_, s) <= self.max_supports:
            return best_support(rows, values, s).support
        return orthogonal_matching(rows, values, s)

    def _rows(self, actions: IntArray) -> FloatArray:
        rows = self._X[actions]
        return np.asarray(rows.toarray() if is_sparse(rows) else rows, dtype=np.float64)

    def _predicted_best(self) -> int:
        coef = self._model()
        if self._favourite < 0:
            support = np.flatnonzero(coef)
            predictions = self._X[:, support] @ coef[support] if support.size else np.zeros(self.n_actions_)
            self._favourite = int(np.argmax(predictions))
        return self._favourite

    def _propose(self, n: int) -> list[int]:
        if self._next_place() < self._planned.size:
            return super()._propose(n)
        best = self._predicted_best()
        return [best] if self._checking() and self._open(best) else []

    def _checking(self) -> bool:
        """Return whether the favourite is to be queried."""
        return self.check_best and self._predicted_best() not in self._means and len(self._means) < self._most_queried()

    def _finished(self) -> bool:
        return super()._finished() and not self._checking()

    def _most_queried(self) -> int:
        return min(self.n_actions_, (2 if self.check_best else 1) * int(self._planned.size))

    def _choose(self) -> int:
        if not self._means:
            return super()._choose()
        best = self._predicted_best()
        return self._best_observed() if self.check_best and best in self._means else best

    def _best_observed(self) -> int:
        top = max(self._means.values())
        return min(action for action, mean in self._means.items() if mean == top)

    def _promise(self) -> Guarantee:
        if not super()._finished():
            left = sum(1 for action in self.planned_.tolist() if not self._known_to(action))
            return Guarantee("none", reason=f"{left} of {self.planned_.size} planned actions are not known yet")
        if self.eps is None:
            return Guarantee("none", reason="eps, the misspecification, was not given")
        if math.isinf(self.norming_):
            return Guarantee("none", reason="the queried columns are too coherent: models that agree on the queries may differ elsewhere")
        if self.sigma > 0 and len(self._means) > self._most_queried():
            return Guarantee("none", reason="more actions were told than the repeats allow for")
        noise = self._noise_level() if self.sigma > 0 else 0.0
        error = recovery_error(eps=self.eps, residual=self._residual(), norming=self.norming_, noise=noise)
        value = recovery_suboptimality(eps=self.eps, error=error)
        if self._choose() != self._predicted_best():  # chosen by the means, which may both be off
            value += 2.0 * noise
        premises = (f"expected rewards are within {self.eps:g} of a model with {self.s} coefficients",)
        if self.sigma == 0:
            return Guarantee("worst case", value, (*premises, "rewards are exact"))
        more = f"noise is {self.sigma:g}-subgaussian and independent"
        return Guarantee(f"with probability {1 - self.delta:g}", value, (*premises, more))

    def _residual(self) -> float:
        """Return the largest residual on the planned actions."""
        means = np.array([self._means[action] for action in self.planned_.tolist()])
        return float(np.max(np.abs(self._rows(self.planned_) @ self._model() - means)))
