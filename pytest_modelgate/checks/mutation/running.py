"""One twin while a pass lasts: each batch goes through it, and its evidence is gathered as the sound model's is."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.evidence.origin import Origin
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.ranking import Scores
from pytest_modelgate.runtime.evaluation import make_sink

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from pytest_modelgate.checks.mutation.faults import Fault
    from pytest_modelgate.evidence.collecting import Collector
    from pytest_modelgate.runtime.losses import Loss

_SAME_SAMPLES = ("ids", "groups", "weights", "target", "actual", "loss_weights", "slices")
_MOVED = 0.01


class Running:
    """A twin that answers batch by batch, until it fails.

    Args:
        fault: what is wrong with it.
        answer: `answer(inputs, outputs, batch)` gives its outputs for a batch of inputs that it may write to, for which
            the sound model gave `outputs`.
        collector: an empty one.
        loss: as for the sound model.
        place: where the pass runs.
    """

    def __init__(
        self,
        fault: Fault,
        answer: Callable[[Callable[[], Any], torch.Tensor, int], Any] | None,
        collector: Collector,
        loss: Loss | None,
        place: torch.device,
    ) -> None:
        self.fault = fault
        self.error: str | None = None
        self._answer = answer
        self._collector = collector
        self._sink: Any = make_sink(collector, loss, place)
        self._place = place

    def step(self, inputs: Callable[[], Any], outputs: torch.Tensor, targets: torch.Tensor, batch: int) -> None:
        """One batch; `inputs()` gives a copy of its inputs."""
        if self._answer is not None:
            try:
                self._add(self._answer(inputs, outputs, batch), targets)
            except Exception as error:
                self._fail(error)

    def add(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        """One batch whose outputs are known."""
        if self.error is None:
            try:
                self._add(outputs, targets)
            except Exception as error:
                self._fail(error)

    def finish(self, found: Evaluation, sound: NDArray[Any] | None) -> tuple[Evaluation | None, float | None]:
        """The twin's evidence, and the share of its decisions (or values) that differ from the sound model's."""
        if self.error is not None:
            return None, None
        try:
            self._sink.finish()
            evaluation = self._collector.finish()
        except Exception as error:
            self._fail(error)
            return None, None
        preds = np.concatenate(self._collector.preds) if self._collector.preds else None
        changed = _moved(evaluation, found) if preds is None or sound is None else float(np.mean(preds != sound))
        self._answer = self._sink = None
        return _beside(evaluation, found), changed

    def _add(self, outputs: Any, targets: torch.Tensor) -> None:
        import torch

        if not isinstance(outputs, torch.Tensor):
            raise EvidenceError(f"the model gave {type(outputs).__name__}, not a tensor")
        self._sink.add(outputs, targets, self._place)

    def _fail(self, error: Exception) -> None:
        """What a broken model would have ended in; a lack of memory is the twins' own."""
        import torch

        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
            raise error
        self.error = said(error)
        self._answer = self._sink = None


def said(error: Exception) -> str:
    """An error in one sentence."""
    return str(error) if isinstance(error, EvidenceError) else f"{type(error).__name__}: {error}"


def _beside(evaluation: Evaluation, found: Evaluation) -> Evaluation:
    """A twin's evidence that shares with the sound model's all that is of the samples alone."""
    changes: dict[str, Any] = {"fingerprint": found.fingerprint, "origin": Origin(model=found.origin.model)}
    if found.samples is not None and evaluation.samples is not None:
        own = {name: getattr(found.samples, name) for name in _SAME_SAMPLES}
        same = {name: column for name, column in own.items() if column is not None}
        changes["samples"] = replace(evaluation.samples, **same)
    if found.scores is not None and evaluation.scores is not None:
        changes["scores"] = Scores(evaluation.scores.values, found.scores.target)
    matrix = evaluation.matrix
    if matrix is not None and matrix.num_classes < len(
        found.labels
    ):  # labels alone do not tell of a class that is lost
        more = len(found.labels) - matrix.num_classes
        changes["matrix"] = ConfusionMatrix(np.pad(matrix.counts, (0, more)), found.labels)
        changes["task"] = found.task
    return replace(evaluation, **changes)


def _moved(evaluation: Evaluation, found: Evaluation) -> float | None:
    """The share of predicted values that moved by more than 1% of their standard deviation in the sound model."""
    if evaluation.samples is None or found.samples is None:
        return None
    after, before = evaluation.samples.predicted, found.samples.predicted
    if after is None or before is None or after.shape != before.shape:
        return None
    spread = before.astype(np.float64).std(axis=0)
    return float(np.mean(np.abs(after.astype(np.float64) - before) > _MOVED * spread))
