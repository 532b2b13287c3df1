"""Progress says how far it is, with control sequences on a terminal only."""

import io

import pytest

from experiments import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work(target: progress.Progress) -> None:
    with target.step("rows", 3) as step:
        for _ in range(3):
            step.advance()
    target.line("done [3]")


def test_elsewhere_lines_hold_no_escape_byte() -> None:
    stream = io.StringIO()
    work(progress.progress_for(stream))
    assert stream.getvalue() == "done [3]\n"


def test_heartbeat_tells_done_total_elapsed_and_remaining(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 5.0, 12.0, 13.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    stream = io.StringIO()
    work(progress.progress_for(stream))
    # 2 of 3 after 12 s: 6 s apiece, so 6 s to go; the last part prints no heartbeat.
    assert stream.getvalue() == "  2/3 rows, 12 s elapsed, about 6 s to go\ndone [3]\n"


def test_terminal_gets_a_bar_and_the_line_verbatim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    work(progress.progress_for(stream))
    assert "3/3" in stream.getvalue()
    assert "done [3]" in stream.getvalue()
    assert "\x1b" in stream.getvalue()


def test_silent_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    work(progress.Silent())
    assert capsys.readouterr() == ("", "")
