"""Learning, testing and certifying halfspaces against scikit-learn's linear classifiers, numpy, and reading the rows once.

Fairness: every method of a case gets the same arrays, in the order that it likes; checks of the input are inside the clock wherever the
user would pay for them. Times are those of one thread, in turn, the first call (with compilation) apart.
"""

from ._hs_kernels import gram, loss, search, sweep
from ._hs_learner import path, steps, verdict
from ._hs_memory import blocks, memory

PARTS = {
    "loss": loss,
    "path": path,
    "search": search,
    "steps": steps,
    "sweep": sweep,
    "gram": gram,
    "verdict": verdict,
    "blocks": blocks,
    "memory": memory,
}
