"""Cheap instances of every learner: what the contract of sequential learners runs over. A new learner adds a line here."""

from algos.misspecified_bandits import ExhaustiveSearch, RandomSearch

LEARNERS = [
    ExhaustiveSearch(eps=0.1),
    ExhaustiveSearch(sigma=0.3, eps=0.5),
    RandomSearch(eps=0.1, random_state=0),
    RandomSearch(sigma=0.3, eps=0.5, budget=60, random_state=1),
]
