"""Small claims with known answers; a module of its own, so that worker processes and subprocesses can import it."""

import random
import time

import numpy as np

from proofs_check import Catalogue, DatasetRef, EquivalentProof, Family, FloatBudget, Instance, Mutant, Outcome

good = Catalogue("synthetic/good")
bad = Catalogue("synthetic/bad")
broken = Catalogue("synthetic/broken")


def radius(*, n, delta):
    """Hoeffding's radius."""
    return np.sqrt(np.log(2 / delta) / (2 * n))


def gaussian(rng, point):
    return Instance({"n": point["n"]}, {"x": rng.standard_normal(point["n"])})


def level_bound(*, delta):
    """Exact 1 - delta quantile of a uniform variable."""
    return 1.0 - delta


def harmless(f):
    return f


ANY = [Mutant("zero", "impl", {"f": lambda f: lambda *a: 1e9}, why="returns nonsense")]
COMMON = {"source": "folklore", "plain": "a synthetic statement", "families": {"one": [{"n": 4}]}}


# ------------------------------------------------------------------------------------------------------------------------------ true


@good.tail(
    "GD-01",
    bound=radius,
    levels=(0.5, 0.2, 0.05),
    impl={"mean": np.mean},
    families={"coins": [{"n": n, "p": p} for n in (20, 80) for p in (0.1, 0.5)]},
    mutants=[Mutant("half", "bound", lambda f: lambda **k: f(**k) / 2, why="2n became 8n")],
    source="folklore",
    plain="the mean of n coins is within radius of p",
)
def deviation(inst, rng, impl):
    return abs(impl.mean(rng.random(inst.n) < inst.p) - inst.p)


@good.inequality(
    "GD-02",
    bound=lambda *, n: np.sqrt(n),
    budget=FloatBudget(k=lambda i, o: 2 * i.n + 2, scale=lambda i, o: o.reference, why="two sums, a root, a division"),
    impl={"f": lambda x: np.abs(x).sum()},
    families=[
        Family("gauss", gaussian, grid=({"n": 3}, {"n": 30})),
        Family("signs", lambda r, p: Instance(p, {"x": r.choice([-1.0, 1.0], p["n"])}), grid=({"n": 16},), role="adversarial"),
    ],
    tight=0.99,
    mutants=[Mutant("squared", "impl", {"f": lambda f: lambda x: f(x) ** 2}, why="no root", part="signs*")],
    source="folklore",
    plain="l1 <= sqrt(n) l2",
)
def norm_ratio(inst, rng, impl):
    return impl.f(inst.x) / np.sqrt(inst.x @ inst.x)


@good.inequality(
    "GD-03",
    bound=lambda *, n: n * (n + 1) // 2,
    impl={"f": sum},
    families=[Family("all", grid=tuple({"n": n} for n in range(12)), role="enumeration")],
    mutants=[Mutant("off_by_one", "impl", {"f": lambda f: lambda x: f(x) + 1}, why="counts from one")],
    source="folklore",
    plain="0 + ... + n is at most n (n + 1) / 2, for n < 12",
)
def triangular(inst, rng, impl):
    return impl.f(range(inst.n + 1))


# ----------------------------------------------------------------------------------------------------------------------------- false


@bad.tail("BD-01", bound=level_bound, levels=(0.2, 0.05), impl={"f": lambda u: u**0.25}, mutants=ANY, **COMMON)
def too_often(inst, rng, impl):
    return impl.f(rng.random())


@bad.inequality(
    "BD-02",
    bound=lambda *, n: 1.0,
    impl={"f": np.max},
    mutants=ANY,
    **{**COMMON, "families": [Family("gauss", gaussian, grid=({"n": 50},))]},
)
def maximum_of_gaussians(inst, rng, impl):
    return impl.f(inst.x)


@bad.inequality(
    "BD-03",
    bound=lambda *, n: 10.0 * n,
    impl={"f": float},
    mutants=[Mutant("unnoticed", "impl", {"f": lambda f: lambda x: f(x) * 2}, why="far below the bound")],
    **COMMON,
)
def loose(inst, rng, impl):
    """True, but too loose for its mutant to be noticed."""
    return impl.f(inst.n)


# ---------------------------------------------------------------------------------------------------------------------------- broken


def _broken(claim_id, fn, **options):
    return broken.tail(claim_id, bound=level_bound, levels=(0.5,), impl={"f": float}, mutants=ANY, **{**COMMON, "trials": 64, **options})(
        fn
    )


@lambda fn: _broken("BR-01", fn)
def reads_the_clock(inst, rng, impl):
    return time.perf_counter_ns() % 1000 / 2000


@lambda fn: _broken("BR-02", fn)
def reads_numpys_global_state(inst, rng, impl):
    return np.random.random() / 2  # noqa: NPY002


@lambda fn: _broken("BR-03", fn)
def reads_pythons_global_state(inst, rng, impl):
    return random.random() / 2


@lambda fn: _broken("BR-04", fn)
def raises(inst, rng, impl):
    raise ZeroDivisionError("no data")


@lambda fn: _broken("BR-05", fn)
def not_a_number(inst, rng, impl):
    return float("nan")


@broken.inequality(
    "BR-06",
    bound=lambda *, n: n,
    impl={"f": float},
    mutants=ANY,
    source="folklore",
    plain="needs data that nobody has",
    families=[Family("table", dataset=DatasetRef("table", "no_such_package_here:load", extra="data"), grid=({"n": 4},))],
)
def needs_data(inst, rng, impl):
    return 0.0


@lambda fn: _broken("BR-07", fn, requires=lambda inst, out: out.aux["ok"])
def misses_its_premise(inst, rng, impl):
    u = rng.random()
    return Outcome(u / 4, aux={"ok": u < 0.5})


# --------------------------------------------------------------------------------------------------------------------------- mutants

mutants = Catalogue("synthetic/mutants")


@mutants.inequality(
    "MU-01",
    bound=lambda *, n: n,
    impl={"f": float},
    companions=("MU-02",),
    mutants=[
        Mutant("harmless", "impl", {"f": harmless}, why="changes nothing", equivalent=EquivalentProof("the identity map")),
        Mutant("crash", "impl", {"f": lambda f: lambda x: 1 // 0}, why="divides by zero", may_raise=True),
        Mutant("crash_unexpected", "impl", {"f": lambda f: lambda x: 1 // 0}, why="divides by zero"),
        Mutant("too_small", "impl", {"f": lambda f: lambda x: f(x) - 1}, why="off by one, downwards"),
        Mutant("world", "env", lambda inst: Instance({"n": inst.n + 1}), why="the world has one more"),
        Mutant("slow", "impl", {"f": lambda f: lambda x: f(x) + 1}, why="not in quick", quick=False),
    ],
    **COMMON,
)
def at_most_n(inst, rng, impl):
    return impl.f(inst.n)


@mutants.inequality(
    "MU-02",
    bound=lambda *, n: n,
    sense=">=",
    impl={"f": float},
    mutants=[Mutant("less", "bound", lambda f: lambda *, n: f(n=n) + 1, why="asks for more")],
    **COMMON,
)
def at_least_n(inst, rng, impl):
    return impl.f(inst.n)
