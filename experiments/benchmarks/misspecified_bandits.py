"""Learners for misspecified bandits against numpy loops of the same rule, library routines, and the cost of reading the actions.

Fairness: every method of a case gets the same arrays. Times are those of one thread, in turn, the first call (with compilation) apart.
"""

from ._mb_linucb import linucb, linucb_stream

PARTS = {
    "linucb": linucb,
    "linucb_stream": linucb_stream,
}
