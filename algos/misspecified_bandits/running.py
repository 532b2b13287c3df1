"""Let a learner search an environment, once or many times, and work out exactly how often it finds a needle."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from algos.common.randomness import RandomStateLike, as_generator, child
from algos.common.validation import check_range
from algos.misspecified_bandits._learner import BanditLearner
from algos.misspecified_bandits._needles import NeedleInstance
from algos.misspecified_bandits.environments import BanditEnv, LinearBanditEnv

__all__ = ["Trace", "Transcript", "run", "simulate", "transcript_success"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
StopWhen = Callable[[BanditLearner], bool]

_ROUNDS = 4096  # played at once by a compiled loop, so that an interrupt is heard within a second


@dataclass(frozen=True, eq=False)
class Trace:
    """One search: what was asked and answered, and how good the recommendation was along the way.

    Attributes
    ----------
    queries : ndarray of int64, of shape (n_pulls,)
        Actions in the order of their answers.
    rewards : ndarray of float64, of shape (n_pulls,)
    steps : ndarray of int64, of shape (n_looks,)
        Numbers of answers after which the recommendation was looked at; the last one is n_pulls.
    recommended : ndarray of int64, of shape (n_looks,)
    suboptimality : ndarray of float64, of shape (n_looks,)
        How far each recommendation is below the best action.
    stopped : {"done", "budget", "stop_when"}
        Why the search ended; "done" also where the learner's own budget is spent.
    seconds : float
        Time in the learner and the environment.
    """

    queries: IntArray = field(repr=False)
    rewards: FloatArray = field(repr=False)
    steps: IntArray = field(repr=False)
    recommended: IntArray = field(repr=False)
    suboptimality: FloatArray = field(repr=False)
    stopped: str
    seconds: float

    @property
    def n_pulls(self) -> int:
        """Number of answers."""
        return int(self.queries.size)

    @property
    def n_distinct(self) -> int:
        """Number of different actions asked."""
        return int(np.unique(self.queries).size)

    @property
    def final(self) -> float:
        """Suboptimality of the last recommendation."""
        return float(self.suboptimality[-1])

    def regret(self, mean: npt.ArrayLike) -> FloatArray:
        """Return after each pull the sum of how far the pulled actions' mean rewards are below the best one.

        Parameters
        ----------
        mean : array-like of shape (n_actions,)
            Mean rewards, such as the environment's `mean`.

        Returns
        -------
        ndarray of float64, of shape (n_pulls,)
        """
        rewards = np.asarray(mean, dtype=np.float64)
        return np.cumsum(rewards.max() - rewards[self.queries])


def run(
    env: BanditEnv,
    learner: BanditLearner,
    *,
    budget: int | None,
    batch: int = 1,
    stop_when: StopWhen | None = None,
    look_every: int = 1,
    resume: bool = False,
) -> Trace:
    """Let a learner search until it is done, the budget is spent, or a condition holds.

    Parameters
    ----------
    env : LinearBanditEnv, ResistingOracle, AdaptiveAdversary, or another object with X, pull and suboptimality
        Answers the queries.
    learner : BanditLearner
        Searches; it is changed, and has all answers afterwards.
    budget : int or None
        Most pulls, together with earlier ones if the search is resumed; None leaves it to the learner, which then must have an end.
    batch : int, default=1
        Most queries between two looks of the learner at the answers.
    stop_when : callable, optional
        Called with the learner after each batch; a true value ends the search.
    look_every : int, default=1
        Ask for the recommendation after every so many batches, and at the end.
    resume : bool, default=False
        Go on with the learner as it is, instead of binding it to ``env.X``.

    Returns
    -------
    Trace
        With `resume` the queries and rewards are all the learner has, the looks those of this call.

    Raises
    ------
    ValueError
        A number outside its range.

    Notes
    -----
    An interrupt or an error in the environment loses nothing that was answered: the learner keeps it, and the same call with
    ``resume=True`` goes on, first of all with the queries that were out.

    Examples
    --------
    >>> from algos.misspecified_bandits import RandomSearch, run
    >>> from algos.misspecified_bandits.instances import make_rs_needle
    >>> trace = run(make_rs_needle(2, 5, 1, needle=3).env(), RandomSearch(random_state=0), budget=25)
    >>> trace.n_distinct, trace.stopped, trace.final
    (25, 'done', 0.0)
    """
    most = None if budget is None else int(check_range(budget, name="budget", low=1, integer=True))
    check_range(batch, name="batch", low=1, integer=True)
    check_range(look_every, name="look_every", low=1, integer=True)
    started = time.perf_counter()
    if not resume:
        learner.fit(env.X)
    looks: list[tuple[int, int, float]] = []

    def look() -> None:
        chosen = learner.recommend()
        looks.append((learner.n_queries_, chosen, env.suboptimality(chosen)))

    n_batches, stopped = 0, "done"
    out = learner._log.waiting() if resume else []
    swift = batch == 1 and stop_when is None
    while most is None or learner.n_queries_ < most:
        if swift and not out:
            wanted = look_every - n_batches % look_every
            played = _play(env, learner, wanted if most is None else min(wanted, most - learner.n_queries_))
            n_batches += played
            if played and n_batches % look_every == 0:
                look()
            if played:
                continue
        n = batch if most is None else min(batch, most - learner.n_queries_)
        actions, out = (np.array(out[:n], dtype=np.int64), out[n:]) if out else (learner.ask(n), out)
        if not actions.size:
            break
        learner.tell(actions, env.pull(actions))
        n_batches += 1
        if n_batches % look_every == 0:
            look()
        if stop_when is not None and stop_when(learner):
            stopped = "stop_when"
            break
    else:
        stopped = "done" if learner.done_ else "budget"
    if not looks or looks[-1][0] != learner.n_queries_:
        look()
    queries, rewards = learner.history_
    steps, recommended, suboptimality = zip(*looks, strict=True)
    return Trace(
        queries,
        rewards,
        np.array(steps, dtype=np.int64),
        np.array(recommended, dtype=np.int64),
        np.array(suboptimality, dtype=np.float64),
        stopped,
        time.perf_counter() - started,
    )


def _play(env: BanditEnv, learner: BanditLearner, n: int) -> int:
    """Let a learner with a compiled loop play up to n rounds against fixed rewards, and return how many; 0 if it has none."""
    n = min(n, _ROUNDS, learner._left())
    if type(env) is not LinearBanditEnv or learner.n_actions_ != env.n_actions or n < 1 or not learner._can_play(n):
        return 0
    before = learner.n_queries_
    learner._play(env.mean, env._noise(n))
    np.add.at(env.counts, learner.history_.questions[before:], 1)
    return n


def simulate(
    make_env: Callable[[np.random.Generator], BanditEnv],
    learner: BanditLearner,
    n_trials: int,
    *,
    budget: int | None,
    batch: int = 1,
    stop_when: StopWhen | None = None,
    look_every: int = 1,
    first: int = 0,
    on_trial: Callable[[int, Trace], Any] | None = None,
    n_jobs: int | None = None,
    random_state: RandomStateLike = None,
) -> list[Trace]:
    """Run copies of a learner, each in an environment of its own.

    Parameters
    ----------
    make_env : callable
        Called with a numpy Generator for every trial; returns an environment, for instance ``lambda rng:
        make_rs_needle(3, 5, 1, random_state=rng).env()``.
    learner : BanditLearner
        Copied for each trial, with a `random_state` of its own; it is not changed.
    n_trials : int
        Trials.
    budget, batch, stop_when, look_every :
        As in `run`.
    first : int, default=0
        Number of the first trial, to go on with a simulation that was broken off.
    on_trial : callable, optional
        Called with the number and the trace of each trial, in their order, as soon as it is there: to show progress, or to keep the
        traces if the rest may be interrupted.
    n_jobs : int, optional
        Threads, as in joblib.
    random_state : None, int, Generator or RandomState, default=None
        A trial depends on this and its number alone, so that traces are the same for any `n_jobs` and `first`, but for the seconds.

    Returns
    -------
    list of Trace
        Of the trials ``first``, ..., ``n_trials - 1``.

    Raises
    ------
    ValueError
        A number outside its range.

    Examples
    --------
    >>> from algos.misspecified_bandits import RandomSearch, simulate
    >>> from algos.misspecified_bandits.instances import make_rs_needle
    >>> traces = simulate(lambda rng: make_rs_needle(2, 5, 1, random_state=rng).env(), RandomSearch(), 40, budget=5, random_state=0)
    >>> len(traces), 0 < sum(trace.final == 0.0 for trace in traces) < 20
    (40, True)
    """
    stop = int(check_range(n_trials, name="n_trials", low=1, integer=True))
    begin = int(check_range(first, name="first", low=0, high=stop, integer=True))
    key = int(as_generator(random_state).integers(2**63))

    def trial(i: int) -> Trace:
        env = make_env(child(key, "environment", i))
        one = clone(learner).set_params(random_state=int(child(key, "learner", i).integers(2**63)))
        return run(env, one, budget=budget, batch=batch, stop_when=stop_when, look_every=look_every)

    traces: list[Trace] = []
    for i, trace in enumerate(_in_order(trial, begin, stop, n_jobs), start=begin):
        traces.append(trace)
        if on_trial is not None:
            on_trial(i, trace)
    return traces


def _in_order(trial: Callable[[int], Trace], begin: int, stop: int, n_jobs: int | None) -> Iterator[Trace]:
    if n_jobs is None or n_jobs == 1:
        return map(trial, range(begin, stop))
    from joblib import Parallel, delayed

    found: Iterator[Trace] = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(delayed(trial)(i) for i in range(begin, stop))
    return found


@dataclass(frozen=True)
class Transcript:
    """What a learner does as long as it sees no needle, and what follows for its chances.

    Attributes
    ----------
    n_queries, n_distinct : int
        Pulls, and different actions among them.
    recommended : int
        Action recommended when no needle was seen.
    success : Fraction
        Chance to recommend a uniformly drawn needle, exactly.
    bound : Fraction
        (n_queries + 1) / N: what no learner surpasses with that many queries.
    """

    n_queries: int
    n_distinct: int
    recommended: int
    success: Fraction
    bound: Fraction


def transcript_success(learner: BanditLearner, instance: NeedleInstance, *, budget: int) -> Transcript:
    """Work out the chance of a learner to find a uniform needle from a single run on answers without one.

    Until the needle is hit the learner cannot tell it from the others, so that for each needle it asks the same as here. It succeeds if
    the needle is among the actions it asks for, or is the one it recommends otherwise.

    Parameters
    ----------
    learner : BanditLearner
        Copied; with a `random_state` that makes it deterministic, or the result is the chance given its coins. It must recommend the
        best action that it has seen once that is a needle; else its chance is at most the result.
    instance : NeedleInstance
        Actions; its needle does not matter.
    budget : int
        Most pulls.

    Returns
    -------
    Transcript

    Raises
    ------
    ValueError
        budget < 1.

    Examples
    --------
    >>> from algos.misspecified_bandits import RandomSearch, transcript_success
    >>> from algos.misspecified_bandits.instances import make_rs_needle
    >>> transcript_success(RandomSearch(random_state=0), make_rs_needle(3, 5, 1), budget=6).success
    Fraction(6, 25)
    """
    trial = clone(learner)
    trace = run(instance.oracle(), trial, budget=budget, look_every=2**62)
    guess = int(trace.recommended[-1])
    found = trace.n_distinct + (guess not in set(trace.queries.tolist()))
    n = instance.n_actions
    return Transcript(trace.n_pulls, trace.n_distinct, guess, Fraction(found, n), min(Fraction(1), Fraction(trace.n_pulls + 1, n)))
