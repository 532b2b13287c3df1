"""LinUCB whose widths know that the linear model is wrong, with updates in one pass over the actions."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike
from algos.common.validation import check_option, check_range, is_sparse
from algos.misspecified_bandits._learner import BanditLearner
from algos.misspecified_bandits._linucb_kernels import (
    DET,
    DUE,
    GRAIN,
    LANES,
    N_RUNNING,
    PULLS,
    START_AGAIN,
    play_dense,
    pull_dense,
    pull_sparse,
    tiles_of,
)
from algos.misspecified_bandits.bounds import confidence_radius

__all__ = ["MisspecifiedLinUCB"]

FloatArray = npt.NDArray[np.float64]

_BLOCK = 2**14  # rows whose product with the factor is formed at once by a refresh


class MisspecifiedLinUCB(BanditLearner):
    r"""Pull the action with the largest optimistic reward under a ridge regression whose error is known.

    With :math:`V=\lambda I+\sum\phi\phi^\top` over all t pulls and the ridge estimate :math:`\hat\theta` the next action has the largest

    .. math:: \langle\hat\theta,\phi\rangle+\beta_t\|\phi\|_{V^{-1}}+\varepsilon\,m_t(\phi),\qquad
              \beta_t=\sigma\sqrt{2\ln(1/\delta)+\ln(\det V/\lambda^d)}+\sqrt\lambda\,R,

    where :math:`m_t=\sqrt t\,\|\phi\|_{V^{-1}}` (``misspec="cauchy"``), :math:`m_t=\sum_b|\phi^\top V^{-1}\phi_b|` over all pulls
    (``"exact"``), or 0 (``"none"``: LinUCB as usual). A pull costs O(K d) and one reading of the actions: predictions and widths of all of
    them are updated, not recomputed, and compared in the same pass.

    With ``sigma=0`` the search is for the best action: each is queried at most once. With noise it never ends by itself.

    Parameters
    ----------
    s : int, default=2
        Model that `certificate` assumes; the search itself uses all columns.
    eps : float, optional
        Misspecification: expected rewards are within eps of a linear model. Required unless ``misspec="none"``.
    R : float, default=1.0
        Largest Euclidean length of the model.
    sigma : float, default=0.0
        Noise level of the rewards; 0 means exact.
    delta : float, default=0.05
        Probability that the confidence set ever misses the model. For regret over T rounds the usual choice is 1/T.
    budget : int, optional
        Most pulls.
    random_state : None, int, Generator or RandomState, default=None
        Unused: nothing is random. Present for the common interface.
    misspec : {"cauchy", "exact", "none"}, default="cauchy"
        How errors of the model widen the confidence set. ``"exact"`` is the narrowest valid width; it costs O(K m) time per pull and memory
        for m different actions pulled.
    ridge : float, default=1.0
        :math:`\lambda`. The default suits actions of length at most 1.
    refresh : int, default=5000
        Recompute everything after so many pulls, and earlier where widths have shrunk so much that digits are lost.

    Attributes
    ----------
    n_actions_, n_features_in_ : int
    coef_ : ndarray of shape (n_features,)
        Ridge estimate.
    predictions_, widths_ : ndarrays of shape (n_actions,)
        :math:`\langle\hat\theta,\phi\rangle` and :math:`\|\phi\|_{V^{-1}}`.
    log_det_ : float
        :math:`\ln(\det V/\lambda^d)`.
    radius_ : float
        :math:`\beta_t`.
    bound_, guarantee_ :
        At any time, with eps: the largest optimistic reward of another action minus the pessimistic one of the recommended action.
    done_, n_queries_, n_distinct_, history_ :
        State of the search.

    Raises
    ------
    ValueError
        At `fit`: no eps where it is needed, or a parameter outside its range.

    Notes
    -----
    Recommended is the best observed action if rewards are exact, else the one with the largest prediction. A batch of n questions holds the
    n actions with the largest indices that are not out.

    Sparse actions stay sparse. Dense ones are copied once into the order in which they are read; float32 actions stay float32, which
    halves what is read, while all sums are float64.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.misspecified_bandits import LinearBanditEnv, MisspecifiedLinUCB, run
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((500, 5))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> theta = np.array([0.6, -0.6, 0.0, 0.0, 0.0])
    >>> mean = X @ theta + rng.uniform(-0.02, 0.02, 500)
    >>> env = LinearBanditEnv(X, mean, sigma=0.1, theta=theta, random_state=1)
    >>> trace = run(env, MisspecifiedLinUCB(eps=0.02, sigma=0.1), budget=1000, look_every=1000)
    >>> trace.final < 0.1, env.regret() < 150
    (True, True)
    """

    _takes_single_pulls = True
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
        misspec: str = "cauchy",
        ridge: float = 1.0,
        refresh: int = 5000,
    ) -> None:
        self.s = s
        self.eps = eps
        self.R = R
        self.sigma = sigma
        self.delta = delta
        self.budget = budget
        self.random_state = random_state
        self.misspec = misspec
        self.ridge = ridge
        self.refresh = refresh

    # --- what is known ------------------------------------------------------------------------------------------------------------

    @property
    def coef_(self) -> FloatArray:
        """Ridge estimate."""
        self._check_bound()
        return self._factor()[1]

    @property
    def predictions_(self) -> FloatArray:
        """Predicted rewards of all actions."""
        self._check_bound()
        return self._f.reshape(-1)[: self.n_actions_].copy()

    @property
    def widths_(self) -> FloatArray:
        """Lengths of all actions in the norm of the inverse of V."""
        self._check_bound()
        return np.sqrt(self._h.reshape(-1)[: self.n_actions_])

    @property
    def log_det_(self) -> float:
        """Logarithm of det(V) over its value before the first pull."""
        self._check_bound()
        return float(self._running[DET])

    @property
    def radius_(self) -> float:
        """Radius of the confidence set, without misspecification."""
        self._check_bound()
        return confidence_radius(sigma=self.sigma, log_det=self.log_det_, ridge=self.ridge, R=self.R, delta=self.delta)

    # --- the search ---------------------------------------------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_option(self.misspec, ("cauchy", "exact", "none"), name="misspec")
        check_range(self.ridge, name="ridge", low=0.0, high=math.inf, low_open=True, high_open=True)
        check_range(self.refresh, name="refresh", low=1, integer=True)
        check_range(self.R, name="R", low=0.0, high=math.inf, low_open=True, high_open=True)
        if self.eps is None and self.misspec != "none":
            raise ValueError(f"eps=None with misspec={self.misspec!r}: the width needs it; give eps, or misspec='none' for plain LinUCB")

    def _start(self) -> None:
        self._prepare_actions()
        d, shape = self._X.shape[1], (-(-self.n_actions_ // LANES), LANES)
        eps = float(self.eps or 0.0)
        cauchy, exact = (eps if self.misspec == kind else 0.0 for kind in ("cauchy", "exact"))
        self._constants = np.array([self.sigma, math.log(1.0 / self.delta), math.sqrt(self.ridge) * self.R, cauchy, exact, self.refresh])
        self._running = np.zeros(N_RUNNING)
        self._root = np.eye(d) / math.sqrt(self.ridge)
        self._f, self._h, self._shut, self._index = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.empty(shape)
        self._shut.reshape(-1)[self.n_actions_ :] = -np.inf
        self._places: dict[int, int] = {}  # action -> its place among those whose products with all actions are kept
        self._pulled, self._counts, self._cross = np.empty((0, d)), np.empty(0), np.empty((shape[0], 0, LANES))
        self._best = (-math.inf, 0)
        self._set_widths(self._root)
        self._rank()

    def _prepare_actions(self) -> None:
        if is_sparse(self._X):
            self._table: tuple[Any, ...] = (self._X.data, self._X.indices.astype(np.int64), self._X.indptr.astype(np.int64))
        else:
            self._table = (tiles_of(self._X),)
        self._pull: Any = pull_sparse if is_sparse(self._X) else pull_dense
        self._play_rounds: Any = play_dense

    def _absorb(self, action: int, value: float) -> None:
        if self.sigma == 0:
            if self._log.count(action) > 1:
                return
            self._shut[action // LANES, action % LANES] = -np.inf
            self._best = max(self._best, (value, -action))
        if self.misspec == "exact":
            self._note_pull(action)
        self._next = self._pull(*self._table, action, value, *self._state())
        if self._running[DUE]:
            self._recompute()

    def _state(self) -> tuple[FloatArray, ...]:
        factors = (self._root, self._running, self._constants)
        return (*factors, self._f, self._h, self._shut, self._index, self._reference, self._cross, self._pulled, self._counts)

    def _can_play(self, n: int) -> bool:
        if is_sparse(self._X) or self.misspec == "exact" or self._log.n_out:
            return False
        return self.sigma > 0 or n <= self.n_actions_ - self._log.n_distinct

    def _play(self, mean: FloatArray, noise: FloatArray) -> None:
        done, once = 0, self.sigma == 0
        asked, rewards = np.empty(noise.size, dtype=np.int64), np.empty(noise.size)
        while done < noise.size:
            rest = slice(done, None)
            rounds = (self._next, mean, noise[rest], once, asked[rest], rewards[rest])
            played, self._next = self._play_rounds(*self._table, *rounds, *self._state())
            for action, value in zip(asked[done : done + played].tolist(), rewards[done : done + played].tolist(), strict=True):
                self._log.record(action, value)
                if once:
                    self._best = max(self._best, (value, -action))
            done += played
            if self._running[DUE]:
                self._recompute()

    def _propose(self, n: int) -> list[int]:
        if n == 1 and self._open(self._next):
            return [self._next]
        index = self._index.reshape(-1)[: self.n_actions_].copy()
        for action in self._log.waiting():
            index[action] = -np.inf
        if n == 1:
            best = int(np.argmax(index))
            return [best] if index[best] > -np.inf else []
        order = np.argsort(-index, kind="stable")[:n]
        return [int(action) for action in order[index[order] > -np.inf]]

    def _open(self, action: int) -> bool:
        return self._log.out(action) == 0 and (self.sigma > 0 or self._log.count(action) == 0)

    def _finished(self) -> bool:
        return self.sigma == 0 and self._log.n_distinct == self.n_actions_

    def _choose(self) -> int:
        if self.sigma == 0:
            return -self._best[1]
        return int(np.argmax(self._f.reshape(-1)[: self.n_actions_]))

    # --- exact state --------------------------------------------------------------------------------------------------------------

    def _features(self, action: int) -> FloatArray:
        row = self._X[[action]].toarray()[0] if is_sparse(self._X) else self._X[action]
        return row.astype(np.float64, copy=False)  # type: ignore[no-any-return]

    def _note_pull(self, action: int) -> None:
        """Count a pull, and give a new action a place with its products before the pull."""
        if action in self._places:
            self._counts[self._places[action]] += 1.0
            return
        m, phi = len(self._places), self._features(action)
        self._places[action] = m
        self._pulled = np.concatenate([self._pulled, phi[None, :]])
        self._counts = np.append(self._counts, 1.0)
        if m == self._cross.shape[1]:
            wider = np.empty((self._cross.shape[0], max(8, 2 * m), LANES))
            wider[:, :m] = self._cross
            self._cross = wider
        products = np.zeros(self._f.size)
        products[: self.n_actions_] = self._X @ (self._root @ (self._root.T @ phi))
        self._cross[:, m] = products.reshape(self._f.shape)

    def _factor(self) -> tuple[FloatArray, FloatArray]:
        """Return W with V^-1 = W W' and the ridge estimate, both from the answers alone.

        V itself is never formed: of a small ridge beside many pulls nothing would be left in its digits.
        """
        actions, means, counts = self._summary()
        weights = np.sqrt(counts)
        rows = self._X[actions].toarray() if is_sparse(self._X) else self._X[actions]
        d = self._X.shape[1]
        stacked = np.concatenate([rows * weights[:, None], math.sqrt(self.ridge) * np.eye(d)])
        q, r = np.linalg.qr(stacked)
        root = np.linalg.solve(r, np.eye(d))
        return root, root @ (q[: actions.size].T @ (weights * means))

    def _summary(self) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
        actions = self._log.answered
        means = np.array([self._log.mean(a) for a in actions], dtype=np.float64)
        counts = np.array([1.0 if self.sigma == 0 else self._log.count(a) for a in actions], dtype=np.float64)
        return np.array(actions, dtype=np.int64), means, counts

    def _recompute(self) -> None:
        self._root, coef = self._factor()
        self._root = np.ascontiguousarray(self._root)
        self._f.reshape(-1)[: self.n_actions_] = self._X @ coef
        self._set_widths(self._root)
        if self._places:
            inverse = self._root @ (self._root.T @ self._pulled.T)
            for m in range(len(self._places)):
                products = np.zeros(self._f.size)
                products[: self.n_actions_] = self._X @ inverse[:, m]
                self._cross[:, m] = products.reshape(self._f.shape)
        self._rank()

    def _set_widths(self, root: FloatArray) -> None:
        """Compute the squared widths, and remember them: what they shrink by from here on says how many digits are lost."""
        flat = self._h.reshape(-1)
        for first in range(0, self.n_actions_, _BLOCK):
            product = np.asarray(self._X[first : first + _BLOCK] @ root)
            flat[first : min(first + _BLOCK, self.n_actions_)] = np.einsum("ij,ij->i", product, product)
        self._reference = flat.copy()
        self._running[START_AGAIN] = 0.0
        # a pull's effect on the predictions is a small vector computed from factors as large as the largest width
        self._running[GRAIN] = float(np.finfo(np.float64).eps * flat.max())
        self._running[DET] = -2.0 * float(np.sum(np.log(np.abs(np.diag(root))))) - root.shape[0] * math.log(self.ridge)

    def _rank(self) -> None:
        """Compute all indices and the next action as a pull does."""
        self._index[:] = self._f + self._excess(self._misspecified_width()) + self._shut
        self._next = int(np.argmax(self._index.reshape(-1)[: self.n_actions_]))

    def _excess(self, misspecified: FloatArray | float) -> FloatArray:
        return np.sqrt(self._h) * self.radius_ + misspecified

    def _misspecified_width(self) -> FloatArray | float:
        if self.misspec == "exact":
            m = len(self._places)
            total = np.zeros(self._f.shape)
            for b in range(m):
                total += self._counts[b] * np.abs(self._cross[:, b])
            return self._constants[4] * total  # type: ignore[no-any-return]
        return self._constants[3] * math.sqrt(self._running[PULLS]) * np.sqrt(self._h)  # type: ignore[no-any-return]

    # --- the promise --------------------------------------------------------------------------------------------------------------

    def _promise(self) -> Guarantee:
        if self.eps is None:
            return Guarantee("none", reason="eps=None: how wrong the linear model is must be known for a promise")
        error = self._misspecified_width() if self.misspec != "none" else self.eps * math.sqrt(self._running[PULLS]) * np.sqrt(self._h)
        excess = (self._excess(error) + self.eps).reshape(-1)[: self.n_actions_]
        low, high = self.predictions_ - excess, self.predictions_ + excess
        if self.sigma == 0:
            actions, means, _ = self._summary()
            low[actions] = high[actions] = means
        chosen = self._choose()
        others = np.delete(high, chosen)
        value = max(0.0, float(others.max()) - float(low[chosen])) if others.size else 0.0
        premises = (f"expected rewards are within {self.eps:g} of a linear model of length at most {self.R:g}",)
        if self.sigma == 0:
            return Guarantee("worst case", value, premises)
        noise = f"noise is {self.sigma:g}-subgaussian given the past"
        return Guarantee(f"with probability {1 - self.delta:g}", value, (*premises, noise))
