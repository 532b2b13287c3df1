"""Cheap instances of every learner: what the contract of sequential learners runs over. A new learner adds a line here."""

from algos.misspecified_bandits import (
    ExactVersionSpace,
    ExhaustiveSearch,
    GOptLeastSquares,
    HullEnumeration,
    MisspecifiedLinUCB,
    OptimisticElimination,
    RandomSearch,
    SparseCoverEnumeration,
    SparseRecoveryBandit,
)

LEARNERS = [
    ExhaustiveSearch(eps=0.1),
    ExhaustiveSearch(sigma=0.3, eps=0.5),
    RandomSearch(eps=0.1, random_state=0),
    RandomSearch(sigma=0.3, eps=0.5, budget=60, random_state=1),
    ExactVersionSpace(eps=0.15),
    ExactVersionSpace(s=3, sigma=0.1, eps=0.3, target=0.0),
    OptimisticElimination(eps=0.15),
    OptimisticElimination(sigma=0.1, eps=0.3, eta=0.3),
    HullEnumeration(s=2, eps=0.1),
    HullEnumeration(s=3, sigma=0.3, eps=0.5, n_jobs=2),
    SparseCoverEnumeration(s=2, eps=0.1),
    MisspecifiedLinUCB(eps=0.15),
    MisspecifiedLinUCB(sigma=0.3, eps=0.15, misspec="exact"),
    MisspecifiedLinUCB(sigma=0.3, misspec="none"),
    SparseCoverEnumeration(s=1, sigma=0.3, eps=0.5, net="ball", eta=0.3),
    GOptLeastSquares(eps=0.1, check_best=True, random_state=0),
    GOptLeastSquares(sigma=0.3, eps=0.5, tol=1.0, random_state=1),
    GOptLeastSquares(criterion="lebesgue", random_state=2),
    SparseRecoveryBandit(s=1, eps=0.1, random_state=0),
    SparseRecoveryBandit(s=2, eps=0.1, factor=2.0, method="htp", random_state=1),
    SparseRecoveryBandit(s=1, sigma=0.3, eps=0.5, method="lasso", random_state=2),
    SparseRecoveryBandit(s=2, method="chebyshev", check_best=False, random_state=3),
]
