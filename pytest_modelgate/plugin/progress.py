"""Long trainings in the terminal: one line that updates, plain lines where none can, nothing under `-q`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports.numbers import number

if TYPE_CHECKING:
    from pytest import Config

    from pytest_modelgate.evidence.history import History

AFTER = 2.0
"""So many seconds a training takes before it is shown."""
EVERY = 30.0
"""So many seconds lie between two plain lines."""
OFTEN = 0.1
"""So many seconds lie between two updates of one line."""


def session_progress(config: Config) -> Progress | None:
    """Shows how a training goes on; None under `-q`, and in an xdist worker, which has no terminal."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or config.option.verbose < 0 or hasattr(config, "workerinput"):
        return None
    return Progress(reporter, config.pluginmanager.getplugin("capturemanager"))


class Progress:
    """The line of the training that runs now: `progress(history, done, total)` after each epoch."""

    def __init__(self, reporter: Any, capture: Any) -> None:
        self._reporter = reporter
        self._capture = capture
        self._history: History | None = None
        self._started = self._shown = 0.0
        self._width = 0
        self._path: object = None

    def __call__(self, history: History, done: int, total: int | None) -> None:
        now = time.monotonic()
        if history is not self._history:
            self._history, self._started, self._shown, self._width = history, now, -EVERY, 0
        if total is not None and done >= total:
            self.close()
        elif now - self._started >= AFTER:
            self._show(history, done, total, now)

    def tell(self, text: str) -> None:
        """Show a sentence on a line of its own."""
        self._write("")
        self._write(text + "\n")

    def _show(self, history: History, done: int, total: int | None, now: float) -> None:
        updates = self._reporter.isatty
        if now - self._shown < (OFTEN if updates else EVERY):
            return
        self._shown = now
        text = _text(history, done, total, now - self._started)
        if not self._width:
            self._write("")
        if updates:
            text = text[: self._reporter._tw.fullwidth - 1]
            self._write("\r" + text.ljust(self._width))
        else:
            self._write(text + "\n")
        self._width = len(text)

    def close(self) -> None:
        """The training is over, however it ended: pytest's own line goes on."""
        text = "\r" + " " * self._width + "\r" if self._width and self._reporter.isatty else ""
        if isinstance(self._path, Path):  # the file whose dots were written; a verbose line is written anew by itself
            text += os.path.relpath(self._path, self._reporter.startpath) + " "
            self._reporter.currentfspath = self._path
        if text:
            self._write(text)
        self._history, self._width, self._path = None, 0, None

    def _write(self, text: str) -> None:
        """Past the capturing of the test that runs; an empty text ends pytest's own line."""
        with self._capture.global_and_fixture_disabled():
            if not text:
                self._path = self._reporter.currentfspath or self._path
                self._reporter.ensure_newline()
            self._reporter._tw.write(text, flush=True)


def _text(history: History, done: int, total: int | None, seconds: float) -> str:
    """How far a training is: "DigitNet, seed 3: epoch 4 of 20, train_loss 0.412, val_loss 0.398 (12 s)"."""
    seed = "" if history.seed is None else f", seed {history.seed}"
    of = "" if total is None else f" of {total}"
    values = [f"{name} {number(history[name][-1], 1.0)}" for name in history.names[:3]]
    left = "" if total is None or done < 1 else f", about {seconds / done * (total - done):.0f} s left"
    parts = [f"{history.model or 'training'}{seed}: epoch {done}{of}", *values]
    return f"{', '.join(parts)} ({seconds:.0f} s{left})"
