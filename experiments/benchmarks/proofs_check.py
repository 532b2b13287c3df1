"""The harness itself: what a trial costs beyond the measurement, and what importing and listing cost.

The bare loop is what anybody would write instead: the same measurement in a ``for`` statement, with one generator keyed by its number for
every 64 trials, since without that no single result could be repeated.  The engine adds the bound, the comparison, the evidence, the
records, and the checks that a trial is deterministic and returns.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

import proofs_check
from proofs_check.model import TIERS, Budget, Instance
from proofs_check.seeds import StreamKey, generator

from ._table import Row, Target
from ._timing import interleave

if TYPE_CHECKING:
    from . import Settings

BLOCK = 64
TRIALS = {"quick": 64 * 100, "full": 64 * 2000}
OVERHEAD, IMPORTS, LISTING = 6.0, 1.2, 0.5
NEEDED = "numpy, scipy.special, scipy.optimize, joblib"


def nothing(inst: Any, rng: np.random.Generator, impl: Any) -> float:
    """Do nothing."""
    return 0.0


def coins(inst: Any, rng: np.random.Generator, impl: Any) -> float:
    """Deviation of the mean of 80 coins: the trial of the user guide."""
    return float(abs(impl.mean(rng.random(inst.n) < 0.5) - 0.5))


def _claim(measure: Callable[..., Any], trials: int) -> proofs_check.Catalogue:
    """Return a claim that no number of trials decides, so that all of them run: its acceptance would need evidence of 1e290."""
    cat = proofs_check.Catalogue("benchmark/engine")
    budget = Budget(trials, BLOCK)
    cat.tail(
        "BENCH-01",
        bound=_one,
        levels=(0.001,),
        alpha_A=1e-290,
        budgets=dict.fromkeys(TIERS, budget),
        families={"one": [{"n": 80}]},
        impl={"mean": np.mean},
        mutants=[proofs_check.Mutant("none", "impl", {"mean": lambda f: f}, why="never run here")],
        source="folklore",
        plain="a trial exceeds one",
    )(measure)
    return cat


def _one() -> float:
    return 1.0


def engine(settings: "Settings") -> Iterator[Row | Target]:
    """Time the engine beside a bare loop."""
    trials = TRIALS[settings.tier]
    for name, measure in (("nothing", nothing), ("mean of 80 coins", coins)):
        case = f"{name}, {trials:,} trials"
        with tempfile.TemporaryDirectory() as folder:
            methods = _methods(measure, trials, folder)
            with settings.progress.step(case, 1) as step:
                times = interleave(methods, settings.repeats)
                step.advance()
        for method, timing in times.items():
            yield Row("engine", case, method, **timing.fields(), quality={"us a trial": timing.cpu / trials * 1e6})
        ratio = times["engine"].cpu / times["bare loop"].cpu
        yield Target("engine", f"engine / bare loop with a generator for every {BLOCK} trials, {name}", OVERHEAD, ratio)


def _methods(measure: Callable[..., Any], trials: int, folder: str) -> dict[str, Callable[[], Any]]:
    cat = _claim(measure, trials)
    inst, impl = Instance({"n": 80}), SimpleNamespace(mean=np.mean)

    def bare() -> None:
        for block in range(trials // BLOCK):
            rng = generator(StreamKey("BENCH-01", "one", 0, 1, block))
            for _ in range(BLOCK):
                measure(inst, rng, impl)

    def without_generators() -> None:
        rng = np.random.default_rng(0)
        for _ in range(trials):
            measure(inst, rng, impl)

    def run(out: str | None) -> Any:
        return proofs_check.run(catalogue=cat, mutants="none", out=out)

    return {
        "engine": lambda: run(None),
        "engine, records on disk": lambda: run(folder),
        "bare loop": bare,
        "bare loop, one generator": without_generators,
    }


def start(settings: "Settings") -> Iterator[Row | Target]:
    """Time importing the harness beside what it cannot do without, and listing the claims; fresh processes in turn."""
    codes = {
        "import proofs_check, engine": "import proofs_check.engine, proofs_check.rules, joblib",
        f"import {NEEDED}": f"import {NEEDED}",
        "proofs_check list": "import os, sys; sys.stdout = open(os.devnull, 'w'); from proofs_check.cli import main; main(['list'])",
    }
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(max(settings.repeats, 3) + 1):
        for name, code in codes.items():
            seconds[name].append(_processor_seconds(code))
    medians = {name: statistics.median(runs[1:]) for name, runs in seconds.items()}
    for name, runs in seconds.items():
        yield Row(
            "start",
            "a fresh process",
            name,
            medians[name],
            min(runs[1:]),
            max(runs[1:]),
            medians[name],
            len(runs) - 1,
            note="processor time",
        )
    harness, needed, listing = medians.values()
    yield Target("start", f"import the harness / import {NEEDED}", IMPORTS, harness / needed)
    yield Target("start", "list all claims, seconds", LISTING, listing)


def _processor_seconds(code: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, time; print(time.process_time(), file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stderr.split()[-1])


PARTS = {"engine": engine, "start": start}
