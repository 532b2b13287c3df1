"""The command line: words, files and exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import proofs_check
from proofs_check.cli import main
from proofs_check.records import load_records
from proofs_check.results import load_results

HERE = Path(__file__).parent


@pytest.fixture
def place(tmp_path, monkeypatch, synthetic):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return main(["run", *arguments])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--catalogue", "synthetic_claims:good"), 0),
        (("BD-01", "--catalogue", "synthetic_claims:bad"), 1),
        (("BD-03", "--catalogue", "synthetic_claims:bad"), 1),  # a surviving mutant
        (("BR-04", "--catalogue", "synthetic_claims:broken"), 3),
        (("BR-06", "--catalogue", "synthetic_claims:broken"), 3),
        (("BR-06", "--catalogue", "synthetic_claims:broken", "--allow-missing"), 3),
        (("BR-07", "--mutants", "none", "--catalogue", "synthetic_claims:broken"), 3),
        (("QQ-01", "--catalogue", "synthetic_claims:good"), 2),
        (("--catalogue", "synthetic_claims:nothing"), 2),
        (("--catalogue", "no_such_module"), 2),
        (("--resume", "--catalogue", "synthetic_claims:good"), 2),
        (("--jobs", "0", "--catalogue", "synthetic_claims:good"), 2),
    ],
)
def test_exit_codes(place, capsys, arguments, code):
    assert run(*arguments) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert (code == 2) == bool(captured.err)
    assert "\x1b" not in captured.out  # not a terminal: no escape codes


@pytest.mark.parametrize("arguments", [("--tier", "tiny"), ("--backend", "dask"), ("--unknown",)])
def test_wrong_usage_is_explained(place, capsys, arguments):
    with pytest.raises(SystemExit) as error:
        run(*arguments)
    assert error.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_refutation_names_the_claim_the_numbers_and_the_replay(place, capsys):
    run("BD-02", "--catalogue", "synthetic_claims:bad")
    out = capsys.readouterr().out
    assert "BD-02" in out
    assert "REFUTED" in out
    name = out.split("replay ")[1].split()[0]
    assert main(["replay", name, "--catalogue", "synthetic_claims:bad"]) == 1
    assert "still violated" in capsys.readouterr().out
    assert main(["replay", "ffff", "--catalogue", "synthetic_claims:bad"]) == 2


def test_list_and_show(place, capsys):
    assert main(["list", "--catalogue", "synthetic_claims:good", "--kind", "inequality"]) == 0
    out = capsys.readouterr().out
    assert "GD-02" in out
    assert "GD-01" not in out
    assert "2 claims" in out
    assert main(["show", "GD-01", "--catalogue", "synthetic_claims:good"]) == 0
    assert "last verdict: none" in capsys.readouterr().out
    run("GD-01", "--catalogue", "synthetic_claims:good")
    capsys.readouterr()
    main(["show", "GD-01", "--catalogue", "synthetic_claims:good"])
    out = capsys.readouterr().out
    assert "2n became 8n" in out
    assert "VERIFIED" in out
    assert "coins(n=80,p=0.5)@0.05" in out
    assert main(["show", "GD-77", "--catalogue", "synthetic_claims:good"]) == 2


def test_list_of_the_package_is_the_committed_file(place, capsys):
    assert main(["list", "--json"]) == 0
    assert [claim["id"] for claim in json.loads(capsys.readouterr().out)] == [claim["id"] for claim in _committed()]


def _committed():
    return json.loads((Path(proofs_check.__file__).parent / "catalogue.json").read_text())["claims"]


def test_list_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "joblib", "algos", "rich"}
    code = f"import sys; from proofs_check.cli import main; main(['list']); print(sorted({heavy!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().splitlines()[-1] == "[]"


def test_json_lines(place, capsys):
    run("GD-03", "--catalogue", "synthetic_claims:good", "--json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["run", "claim", "mutant"]
    assert (lines[0]["exit_code"], lines[1]["status"], lines[2]["status"]) == (0, "VERIFIED", "killed")


def test_results_come_back(place, capsys):
    run("--catalogue", "synthetic_claims:bad")
    direct = proofs_check.run(catalogue="synthetic_claims:bad", out=None)
    stored = load_results(place / "build" / "runs" / "0001")
    assert stored.counts == direct.counts
    for a, b in zip(stored.verdicts, direct.verdicts, strict=True):
        assert (a.status, a.reason, a.slack, a.n) == (b.status, b.reason, b.slack, b.n)
        assert [(e.part, e.ln_R, e.interval) for e in a.parts] == [(e.part, e.ln_R, e.interval) for e in b.parts]
    assert stored.exit_code == 1


def test_foreign_results_are_refused(place, capsys):
    Path("results.jsonl").write_text('{"type":"run","schema":1}\n[]\n')
    assert main(["report", "results.jsonl"]) == 2
    assert "results.jsonl:2" in capsys.readouterr().err
    assert main(["report"]) == 2
    assert "no finished run" in capsys.readouterr().err


def test_compare_tells_what_moved(place, capsys):
    run("GD-01", "--catalogue", "synthetic_claims:good")
    run("GD-01", "--catalogue", "synthetic_claims:good", "--mutants", "none")
    capsys.readouterr()
    main(["compare", "build/runs/0001", "build/runs/0001"])
    assert capsys.readouterr().out.startswith("1 claims in both runs, 0 differences")
    main(["compare", "build/runs/0001", "build/runs/0002"])
    assert "GD-01: mutant half killed -> not run" in capsys.readouterr().out


SLOW = """
import os, time
from proofs_check import Catalogue, Mutant
cat = Catalogue("slow")
@cat.tail("ZZ-01", bound=lambda *, delta: 1 - delta, levels=(.05,), impl={"f": float}, families={"one": [{"n": 1}]},
          mutants=[Mutant("m", "impl", {"f": lambda f: f}, why="w")], source="folklore", plain="p")
def slow(inst, rng, impl):
    time.sleep(float(os.environ.get("PAUSE", 0)))
    return rng.random() / 4
"""


def test_ctrl_c_exits_with_130_keeps_what_is_finished_and_goes_on_to_the_same_digits(place, monkeypatch):
    """The real thing: another process, a real signal, readable records, and a resumed run beside one that nobody interrupted."""
    (place / "slow_claims.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(place))
    options = ["--catalogue", "slow_claims:cat", "--mutants", "none"]
    command = [sys.executable, "-m", "proofs_check", "run", *options]
    environment = os.environ | {"PYTHONPATH": str(HERE), "PAUSE": "0.003"}
    process = subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    records = place / "build" / "runs" / "0001" / "records.jsonl"
    deadline = time.monotonic() + 60
    while not (records.is_file() and records.read_bytes().count(b"\n") > 1) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "--resume" in out
    kept = load_records(records.parent)
    assert kept.records
    assert kept.notes == ()
    interrupted = load_results(records.parent)
    assert interrupted.interrupted
    assert interrupted.verdicts[0].status == "INCONCLUSIVE"
    try:
        assert run(*options, "--resume") == 0
        assert run(*options) == 0
    finally:
        sys.modules.pop("slow_claims", None)
    resumed, whole = (load_results(place / "build" / "runs" / name).verdicts for name in ("0001", "0002"))
    assert [replace(v, seconds=0.0, provenance={}) for v in resumed] == [replace(v, seconds=0.0, provenance={}) for v in whole]
    assert whole[0].status == "VERIFIED"
    assert whole[0].n > kept.records[next(iter(kept.records))].n  # it was really interrupted
