"""Long trainings show how they go on: one line in a terminal, plain lines elsewhere, nothing under -q."""

from __future__ import annotations

import os
import re
import sys

import pytest

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
