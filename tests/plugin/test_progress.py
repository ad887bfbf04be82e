"""Long trainings show how they go on: one line in a terminal, plain lines elsewhere, nothing under -q."""

from __future__ import annotations

import os
import re
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from pytest_modelgate import History
from pytest_modelgate.plugin import progress

TESTS = """
import pytest
import torch

X = torch.randn(64, 3)


def fit(model, run):
    for epoch in range(1, 4):
        run.history.log(epoch=epoch, train_loss=1 / epoch)
        run.progress(epoch, 4)


def test_it(train_model):
    print("from the test")
    train_model(lambda: torch.nn.Linear(3, 2), X, fit=fit, device="cpu", cache=None)


def test_built_in(train_model):
    train_model(
        lambda: torch.nn.Linear(3, 2), (X, (X[:, 0] > 0).long()), loss="cross_entropy", optimizer=torch.optim.Adam,
        epochs=3, device="cpu", cache=None,
    )
"""
AT_ONCE = """
from pytest_modelgate.plugin import progress

progress.AFTER, progress.EVERY, progress.OFTEN = 0.0, 0.0, 0.0
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(AT_ONCE)
    pytester.makepyfile(TESTS)
    return pytester


def test_plain_lines_where_there_is_no_terminal(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess()
    assert result.ret == 0
    lines = [line for line in result.outlines if line.startswith("Linear")]
    assert [line.partition(" (")[0] for line in lines] == [
        "Linear, seed 0: epoch 1 of 4, train_loss 1.000",
        "Linear, seed 0: epoch 2 of 4, train_loss 0.500",
        "Linear, seed 0: epoch 3 of 4, train_loss 0.333",
        *(line.partition(" (")[0] for line in lines[3:]),
    ]
    assert ["epoch 1 of 3" in lines[3], "epoch 2 of 3" in lines[4], len(lines)] == [True, True, 5]
    assert "from the test" not in result.stdout.str()


@pytest.mark.parametrize("option", ["-q", "-n1"])
def test_silence(project: pytest.Pytester, option: str) -> None:
    result = project.runpytest_subprocess(option)
    assert result.ret == 0
    assert "epoch" not in result.stdout.str()


def test_short_trainings_are_not_shown(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    assert "epoch" not in pytester.runpytest_inprocess().stdout.str()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_one_line_in_a_terminal(project: pytest.Pytester) -> None:
    import pty

    output = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        output.extend(data)
        return b""  # nothing of it is printed here

    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(project.path)
        os.execvp(sys.executable, [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"])
    try:
        while True:
            read(descriptor)
    except OSError:  # the other end is closed
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = output.decode()
    shown = text[text.index("Linear") - 1 :]
    assert shown.startswith("\rLinear, seed 0: epoch 1 of 4")
    assert "\rLinear, seed 0: epoch 2 of 4, train_loss 0.500" in shown
    first = shown[: shown.index("epoch 3 of 4")]
    assert "\n" not in first, "one line, which updates"
    assert "2 passed" in text
    assert re.search(r"\r +\rtest_one_line_in_a_terminal\.py \.", text), "then pytest's own line goes on"


def test_a_training_that_fails_ends_its_line(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import torch

        def fit(model, run):
            run.history.log(train_loss=1.0)
            run.progress(1)
            raise ValueError("broken")

        def test_it(train_model):
            train_model(lambda: torch.nn.Linear(3, 2), None, fit=fit, device="cpu", cache=None)
        """
    )
    result = project.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    (shown,) = [number for number, line in enumerate(result.outlines) if line.startswith("Linear")]
    assert result.outlines[shown + 1].startswith("test_a_training_that_fails_ends_its_line.py F")


class Terminal:
    """Stands for pytest's reporter and its capturing, 60 columns wide, after the dots of a file."""

    def __init__(self, *, isatty: bool) -> None:
        self.isatty, self.fullwidth, self.startpath = isatty, 60, Path("/here")
        self.currentfspath: Path | None = Path("/here/test_it.py")
        self._tw, self.global_and_fixture_disabled = self, nullcontext
        self.written: list[str] = []

    def write(self, text: str, flush: bool) -> None:
        self.written += [text] if text else []

    def ensure_newline(self) -> None:
        if self.currentfspath is not None:
            self.write("\n", flush=True)
        self.currentfspath = None


def shown(monkeypatch: pytest.MonkeyPatch, isatty: bool, *seconds: float) -> list[str]:
    """What is written of a training of 100 epochs that end at these seconds."""
    history = History(model="Net", seed=3)
    terminal = Terminal(isatty=isatty)
    line = progress.Progress(terminal, terminal)
    for epoch, second in enumerate((0.0, *seconds)):
        monkeypatch.setattr(progress.time, "monotonic", lambda second=second: 1000 + second)
        history.log(epoch=epoch, train_loss=1 / (1 + epoch))
        line(history, epoch, 100)
    line.close()
    return terminal.written


def test_a_plain_line_each_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    written = shown(monkeypatch, False, 1.9, 2.1, 31.9, 32.2, 60.0, 62.3)
    assert written == [
        "\n",
        "Net, seed 3: epoch 2 of 100, train_loss 0.333 (2 s, about 103 s left)\n",
        "Net, seed 3: epoch 4 of 100, train_loss 0.200 (32 s, about 773 s left)\n",
        "Net, seed 3: epoch 6 of 100, train_loss 0.143 (62 s, about 976 s left)\n",
        "test_it.py ",
    ]


def test_one_line_ten_times_a_second_that_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    written = shown(monkeypatch, True, 3.0, 3.05, 3.2)
    assert written == [
        "\n",
        "\rNet, seed 3: epoch 1 of 100, train_loss 0.500 (3 s, about 2",
        "\rNet, seed 3: epoch 3 of 100, train_loss 0.250 (3 s, about 1",
        "\r" + " " * 59 + "\r" + "test_it.py ",
    ]


def test_pytests_own_line_goes_on_after_a_sentence() -> None:
    terminal = Terminal(isatty=False)
    line = progress.Progress(terminal, terminal)
    line.tell("waiting for another process that trains Net")
    line.tell("still waiting")
    line.close()
    line.close()
    assert terminal.written == ["\n", "waiting for another process that trains Net\n", "still waiting\n", "test_it.py "]
    assert terminal.currentfspath == Path("/here/test_it.py")


def test_a_shorter_line_leaves_nothing_of_a_longer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(isatty=True)
    line = progress.Progress(terminal, terminal)
    history = History(model="N")
    for second, loss in ((0.0, 1.0), (3.0, 12345.0), (6.0, 0.5)):
        monkeypatch.setattr(progress.time, "monotonic", lambda second=second: 1000 + second)
        history.log(train_loss=loss)
        line(history, len(history), None)
    longer, shorter = terminal.written[1:]
    assert shorter.rstrip() == "\rN: epoch 3, train_loss 0.500 (6 s)"
    assert len(shorter) == len(longer)


def test_before_the_first_epoch_no_time_is_left_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run.progress(0, 10)` while data are read."""
    terminal = Terminal(isatty=False)
    line = progress.Progress(terminal, terminal)
    history = History()
    for second in (0.0, 3.0):
        monkeypatch.setattr(progress.time, "monotonic", lambda second=second: 1000 + second)
        line(history, 0, 10)
    assert terminal.written == ["\n", "training: epoch 0 of 10 (3 s)\n"]
