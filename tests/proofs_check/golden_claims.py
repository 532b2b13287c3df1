"""Claims that are wrong on purpose, beside the right ones: the stored counterexamples in ``golden`` must tell them apart for ever.

Measurements and bounds use only what IEEE 754 and Python define to the last bit (sums by ``math.fsum``, products, quotients, square roots,
rationals, raw bits of a generator), so that a file measures the same on every machine and with every version of numpy.

``python tests/proofs_check/golden_claims.py`` puts the wrong claims on trial and writes files for those that have none; a file that exists
is never replaced.
"""

import math
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from proofs_check import Catalogue, Family, FloatBudget, Instance, Mutant, SearchSpace, run

GOLDEN = Path(__file__).with_name("golden")

wrong, right = Catalogue("tests/golden"), Catalogue("tests/golden")


def both(kind, claim_id, mutant, *, bound=None, impl=None, **options):
    """Declare a claim twice: as it is, and with the mistake built in."""

    def register(measure):
        for cat, broken in ((right, False), (wrong, True)):
            found = dict(impl or {"f": len})
            formula = bound
            if broken and mutant.where == "impl":
                found = {name: mutant.make[name](f) if name in mutant.make else f for name, f in found.items()}
            elif broken:
                formula = mutant.make(bound)
            declared = {} if formula is None else {"bound": formula}
            getattr(cat, kind)(claim_id, mutants=[mutant], impl=found, source="folklore", plain="a statement.", **declared, **options)(
                measure
            )
        return measure

    return register


def length(x):
    return math.sqrt(math.fsum(v * v for v in x.tolist()))


def gaussian(rng, point):
    x = rng.standard_normal(point["n"])
    return Instance({"n": point["n"], "length": length(x)}, {"x": x})


@both(
    "inequality",
    "GO-01",
    Mutant("half", "bound", lambda f: lambda *, n, length: math.sqrt(n / 2) * length, why="half of the dimension"),
    bound=lambda *, n, length: math.sqrt(n) * length,
    budget=FloatBudget(k=8, scale=lambda inst, out: inst.n * inst.length, why="two roots, a product, two sums that are rounded once"),
    families=[Family("gauss", gaussian, grid=({"n": 3},))],
)
def sum_of_sizes(inst, rng, impl):
    return math.fsum(abs(v) for v in inst.x.tolist())


@both(
    "identity",
    "GO-02",
    Mutant("one_less", "impl", {"total": lambda f: lambda n: f(n - 1)}, why="counts to n - 1"),
    impl={"total": lambda n: sum(range(n + 1))},
    bound=lambda *, n: Fraction(n * (n + 1), 2),
    budget=FloatBudget(k=1, scale=5e-324, why="rationals: nothing rounds"),
    families=[Family("numbers", grid=({"n": 7},))],
)
def triangular_number(inst, rng, impl):
    return Fraction(impl.total(inst.n))


@both(
    "tail",
    "GO-03",
    Mutant("third", "bound", lambda f: lambda *, n, delta: f(n=n, delta=delta) / 3.0, why="a third of the radius"),
    bound=lambda *, n, delta: 0.5 / math.sqrt(n * delta),
    levels=(0.2,),
    impl={"ones": int.bit_count},
    families={"coins": [{"n": 64}]},
)
def mean_of_raw_coins(inst, rng, impl):
    return abs(impl.ones(rng.bit_generator.random_raw() >> (64 - inst.n)) / inst.n - 0.5)


def vector(x, point):
    squares = math.fsum(v * v for v in x.tolist())
    if not 0.1 < squares < 100.0:
        raise ValueError("too small or too large")
    return Instance({"d": point["d"], "squares": squares}, {"x": x})


@both(
    "inequality",
    "GO-04",
    Mutant("nearly", "bound", lambda f: lambda *, d, squares: 0.995 * d * squares, why="too small by what only a search sees"),
    bound=lambda *, d, squares: d * squares,
    budget=FloatBudget(k=8, scale=lambda inst, out: inst.d * inst.squares, why="a sum, two products"),
    families=[
        Family(
            "vectors",
            lambda rng, p: vector(np.array([1.0, -1.0, 0.5]), p),
            grid=({"d": 3},),
            search=SearchSpace(lambda p: p["d"], vector, shapes=lambda p: ((p["d"],),)),
        )
    ],
)
def square_of_a_sum(inst, rng, impl):
    total = math.fsum(inst.x.tolist())
    return total * total


def sparse(rng, point):
    from scipy.sparse import random_array

    A = random_array((4, 5), density=0.6, rng=rng, format="csr")
    return Instance({"largest": float(A.data.max())}, {"A": A})


@both(
    "inequality",
    "GO-05",
    Mutant("one_entry", "bound", lambda f: lambda *, largest: largest, why="a row has one entry"),
    bound=lambda *, largest: 5.0 * largest,
    families=[Family("sparse", sparse)],
)
def sums_of_sparse_rows(inst, rng, impl):
    """One value per row."""
    return np.array([math.fsum(row) for row in inst.A.toarray().tolist()])


@both(
    "inequality",
    "GO-06",
    Mutant("old_step", "impl", {"step": lambda f: lambda x, t: f(x, t - 1) if t > 1 else x}, why="a step behind"),
    impl={"step": lambda x, t: x / t},
    bound=lambda *, steps: 1.0 / np.array([math.factorial(int(t)) for t in steps.tolist()], dtype=np.float64),
    budget=FloatBudget(k=12, scale=lambda inst, out: 1.0 / np.cumprod(inst.steps), why="a quotient a step"),
    families=[Family("steps", grid=({"steps": np.arange(1.0, 6.0)},))],
)
def shrinking_iterates(inst, rng, impl):
    x, path = 1.0, []
    for t in inst.steps.tolist():
        x = impl.step(x, int(t))
        path.append(x)
    return np.array(path)


def write():
    """Write the files that are missing."""
    GOLDEN.mkdir(exist_ok=True)
    for claim_id in wrong:
        if not (GOLDEN / f"{claim_id}.json").exists():
            with tempfile.TemporaryDirectory() as folder:
                verdict = run(claim_id, catalogue=wrong, mutants="none", out=folder).verdicts[0]
                assert verdict.status == "REFUTED", verdict.reason
                text = Path(verdict.counterexamples[0].path).read_text(encoding="utf-8")
                (GOLDEN / f"{claim_id}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
