"""Query an optimal design once, fit by least squares, recommend the largest prediction: what can be done without sparsity."""

import numpy as np
import numpy.typing as npt

from algos.common.designs import round_allocation
from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike
from algos.common.validation import check_option, check_range
from algos.misspecified_bandits._learner import BanditLearner
from algos.misspecified_bandits.bounds.designs import design_pulls, ls_suboptimality
from algos.misspecified_bandits.least_squares import CRITERIA, largest_difference, lebesgue_function, prediction_weights
from algos.misspecified_bandits.optimal_design import g_optimal_design

__all__ = ["GOptLeastSquares"]

FloatArray = npt.NDArray[np.float64]

_EXACT_WORK = 2 * 10**9  # pairs of actions times queries up to which the exact worst case is computed: a few seconds at most


class GOptLeastSquares(BanditLearner):
    r"""Query the actions of a G-optimal design, fit a linear model to all features, and recommend the largest prediction.

    About :math:`4d\ln\ln d` to :math:`d^2/2` queries, for any number of actions, give an action within
    :math:`2\varepsilon(1+\sqrt d)` of the best one: the price of not knowing that the model is sparse. What is promised is the exact worst
    case of the design at hand, which is smaller.

    Parameters
    ----------
    s : int, default=2
        Sparsity that `certificate` assumes; the search has none.
    eps : float, optional
        Misspecification. The search does not use it; `bound_`, and the number of pulls against noise, do.
    R : float, default=1.0
        Size of the coefficients, for `certificate` only.
    sigma : float, default=0.0
        Noise level of the rewards; 0 means exact. Otherwise the pulls are in proportion to the design's weights, and so many that noise
        moves no prediction by more than eps (sigma, without eps).
    delta : float, default=0.05
        Probability that noise moves some prediction by more.
    budget : int, optional
        Most pulls. Until the whole design has its answers, the best observed action is recommended, and nothing is promised.
    random_state : None, int, Generator or RandomState, default=None
        Draws the start of the design.
    tol : float, default=1e-2
        The design's largest variance is at most (1 + tol) times the rank; 1 saves queries for a bound at most 1.4 times as large.
    criterion : {"least_squares", "lebesgue"}, default="least_squares"
        How rewards are combined into predictions; ``"lebesgue"`` has the smallest errors that the design's actions allow, and takes a
        linear program per action at `fit`.
    check_best : bool, default=False
        Whether to query the largest prediction, too, and recommend the best observed action, which is never worse. Only without noise.

    Attributes
    ----------
    design_ : Design
    planned_ : ndarray of int64
        Actions of the design.
    pulls_ : ndarray of int64
        Pulls of each of them.
    n_actions_, n_features_in_ : int
    done_, n_queries_, n_distinct_, history_, guarantee_, bound_ :
        State of the search. The bound is :func:`ls_worst_case` (for ``"lebesgue"`` the same expression, which need not be attained), or
        :math:`2\varepsilon(1+\max_a\Lambda(a))` where the pairs of actions are too many.

    Raises
    ------
    ValueError
        At `fit`: a parameter outside its range, or ``check_best`` with noise.

    Notes
    -----
    Time that of the design, and O(K d) for the recommendation. The first look at the bound takes up to two billion additions.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import GOptLeastSquares
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((500, 4))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> rewards = X @ [0.5, -0.3, 0.2, 0.6] + rng.uniform(-0.05, 0.05, 500)
    >>> learner = GOptLeastSquares(eps=0.05, tol=1.0, random_state=0).fit(X)
    >>> actions = learner.ask(100)
    >>> best = learner.tell(actions, rewards[actions]).recommend()
    >>> learner.n_queries_, round(learner.bound_, 2), bool(rewards.max() - rewards[best] <= 0.01)
    (4, 0.32, True)
    """

    _takes_single_pulls = True

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
        tol: float = 1e-2,
        criterion: str = "least_squares",
        check_best: bool = False,
    ) -> None:
        self.s = s
        self.eps = eps
        self.R = R
        self.sigma = sigma
        self.delta = delta
        self.budget = budget
        self.random_state = random_state
        self.tol = tol
        self.criterion = criterion
        self.check_best = check_best

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_range(self.tol, name="tol", low=0.0, low_open=True)
        check_option(self.criterion, CRITERIA, name="criterion")
        if self.check_best and self.sigma > 0:
            raise ValueError(
                f"check_best=True with sigma={self.sigma:g}: one noisy reward does not tell which action is better; leave it False"
            )

    def _start(self) -> None:
        self.design_ = g_optimal_design(self._X, tol=self.tol, random_state=self._rng("design"))
        self.planned_ = self.design_.support
        self._W: FloatArray | None = None
        if self.criterion == "lebesgue":
            self._W = prediction_weights(self._X, self.design_, criterion="lebesgue")
        self.pulls_ = self._pulls()
        self._place = {action: k for k, action in enumerate(self.planned_.tolist())}
        self._sums, self._counts = np.zeros(self.planned_.size), np.zeros(self.planned_.size, dtype=np.int64)
        self._best_fitted = -1
        self._unit = -1.0

    def _pulls(self) -> npt.NDArray[np.int64]:
        if self.sigma == 0:
            return np.ones(self.planned_.size, dtype=np.int64)
        p, variance = self.design_.weights[self.planned_], self.design_.g
        if self._W is not None:
            variance = float(np.max((self._W**2 / p).sum(axis=1)))
        n = design_pulls(sigma=self.sigma, variance=variance, n_actions=self.n_actions_, delta=self.delta, error=self._noise_level())
        return round_allocation(p, n)

    def _absorb(self, action: int, value: float) -> None:
        k = self._place.get(action, -1)
        if k < 0 or self._counts[k] == self.pulls_[k]:  # more pulls than planned would depend on who asked for them
            return
        self._sums[k] += value
        self._counts[k] += 1
        if np.array_equal(self._counts, self.pulls_):
            self._best_fitted = int(np.argmax(self._predictions()))

    def _predictions(self) -> FloatArray:
        means = self._sums / self.pulls_
        unit = float(np.max(np.abs(means))) or 1.0
        if self._W is not None:
            return self._W @ (means / unit)
        core = np.asarray(self._X[self.planned_], dtype=np.float64)
        roots = np.sqrt(self.design_.weights[self.planned_])
        sizes = np.max(np.abs(core), axis=0)
        sizes[sizes == 0.0] = 1.0
        coef = np.linalg.lstsq(core / sizes * roots[:, None], means / unit * roots, rcond=None)[0]
        return np.asarray(self._X @ (coef / sizes), dtype=np.float64)

    def _propose(self, n: int) -> list[int]:
        pulls: list[int] = []
        for k, action in enumerate(self.planned_.tolist()):
            owed = int(self.pulls_[k]) - self._log.count(action) - self._log.out(action)
            pulls += [action] * min(max(owed, 0), n - len(pulls))
        if not pulls and self._wants_best() and not self._log.out(self._best_fitted):
            return [self._best_fitted]
        return pulls

    def _wants_best(self) -> bool:
        return self.check_best and self._best_fitted >= 0 and not self._log.count(self._best_fitted)

    def _finished(self) -> bool:
        return self._best_fitted >= 0 and not self._wants_best()

    def _choose(self) -> int:
        if self._best_fitted >= 0 and not self.check_best:
            return self._best_fitted
        return super()._choose()

    def _promise(self) -> Guarantee:
        if not self._finished():
            return Guarantee("none", reason=f"{np.count_nonzero(self._counts < self.pulls_)} actions of the design have too few answers")
        if self.eps is None:
            return Guarantee("none", reason="eps, the misspecification, was not given")
        if self._unit < 0.0:
            self._unit = self._worst_in_units()
        bound = self.eps * self._unit
        premises = (f"rewards are within eps={self.eps:g} of a linear model of all features",)
        if self.sigma == 0:
            return Guarantee("worst case", bound, (*premises, "rewards are exact"))
        noise = f"noise is {self.sigma:g}-subgaussian and independent"
        return Guarantee(f"with probability {1 - self.delta:g}", bound + 2.0 * self._noise_level(), (*premises, noise))

    def _worst_in_units(self) -> float:
        """Return the largest suboptimality without noise, over eps."""
        if self.n_actions_**2 * self.planned_.size <= _EXACT_WORK:
            W = prediction_weights(self._X, self.design_) if self._W is None else self._W
            return largest_difference(W, self.planned_)[2]
        values = lebesgue_function(self._X, self.design_) if self._W is None else np.abs(self._W).sum(axis=1)
        return ls_suboptimality(eps=1.0, g=float(values.max()) ** 2)
