"""What the two enumerations over supports share: a list of actions, most useful first, and the promise once all are known."""

from algos.common.guarantees import Guarantee
from algos.common.validation import check_range
from algos.misspecified_bandits._learner import IntArray, PlannedLearner

__all__: list[str] = []  # the underscore keeps the base out of the table of learners


class _EnumerationLearner(PlannedLearner):
    """Base of learners that query a list of actions from an enumeration over supports; a subclass has ``_listed`` and ``_worst``."""

    n_jobs: int | None
    max_candidates: int

    def _listed(self) -> IntArray:
        """Return the actions of the enumeration, in the order of the queries."""
        raise NotImplementedError

    def _worst(self, error: float) -> tuple[float, tuple[str, ...]]:
        """Return the bound on the suboptimality with rewards known up to an error, and its premises."""
        raise NotImplementedError

    def _plan(self) -> IntArray:
        self.planned_ = self._listed()
        return self.planned_

    def _promise(self) -> Guarantee:
        if not self._finished():
            left = sum(1 for action in self.planned_.tolist() if not self._known_to(action))
            return Guarantee("none", reason=f"{left} of {self.planned_.size} planned actions are not known yet")
        if self.eps is None:
            return Guarantee("none", reason="eps, the misspecification, was not given")
        if self.sigma == 0:
            bound, premises = self._worst(0.0)
            return Guarantee("worst case", bound, (*premises, "rewards are exact"))
        if self.recommend() not in self.planned_:
            return Guarantee("none", reason="the recommended action was not planned, so its mean may be too far off")
        bound, premises = self._worst(self._noise_level())
        noise = f"noise is {self.sigma:g}-subgaussian and independent"
        return Guarantee(f"with probability {1 - self.delta:g}", bound, (*premises, noise))

    def _check_jobs(self) -> None:
        check_range(self.max_candidates, name="max_candidates", low=1, integer=True)
        if self.n_jobs is not None:
            check_range(self.n_jobs, name="n_jobs", integer=True)
            if self.n_jobs == 0:
                raise ValueError("n_jobs=0 is no number of threads; give a positive number, -1 for all processors, or None for one")

    def _model_premises(self) -> tuple[str, ...]:
        assert self.eps is not None  # _promise has looked
        return (f"theta has at most {self.s} entries that are not 0", f"rewards are within eps={self.eps:g} of the linear model")
