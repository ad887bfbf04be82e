"""The one point where judgements leave the library: a pytest session, a notebook or nobody may listen.

Outside a session the record is dropped. The listener is one for the whole process, so threads reach it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_modelgate.evidence.audit import DataAudit
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.evidence.history import History
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.metrics.metric import Metric

    Evidence = Evaluation | History | DataAudit
    Again = Callable[..., Verdict]


class Recorder(Protocol):
    """Who listens, and what a gate that does not say gets as its confidence and `if_unsure`."""

    @property
    def confidence(self) -> float:
        """How sure, from 0.5 to below 1."""

    @property
    def if_unsure(self) -> str:
        """The colour of `INCONCLUSIVE`: "estimate", "fail" or "warn"."""

    def verdict(self, verdict: Verdict, *evidence: Evidence, again: Again | None = None) -> str | None:
        """Called once for each judgement, before a red one is raised; may give a warning for the caller.

        `evidence` is what it rests on, that of other seeds after the first; `again(*evidence)` settles the same gate on
        other evidence.
        """

    def evaluation(self, evaluation: Evaluation) -> None:
        """Called once for each evaluation made by a fixture."""

    def history(self, history: History) -> None:
        """Called once for each finished training made by a fixture."""


@runtime_checkable
class Pinned(Protocol):
    """A recorded baseline that knows which test is asking: what the fixture `modelgate_baseline` gives."""

    def before(self, about: str, metric: Metric, evaluation: Evaluation, slice: str | None = None) -> Evaluation | None:
        """The evaluation that was recorded for the running test; None where this run records `evaluation` instead.

        `about` is the question, such as "recall[fraud]", and `slice` the slice that `evaluation` is of.

        Raises:
            EvidenceError: nothing was recorded, or it measured something else.
        """


class _Nobody:
    confidence = 0.95
    if_unsure = "estimate"

    def verdict(self, verdict: Verdict, *evidence: Evidence, again: Again | None = None) -> str | None:
        return None

    def evaluation(self, evaluation: Evaluation) -> None: ...

    def history(self, history: History) -> None: ...


_listeners: list[Recorder] = [_Nobody()]


def listener() -> Recorder:
    """The recorder that was installed last."""
    return _listeners[-1]


def install(recorder: Recorder) -> None:
    """Let `recorder` listen until `remove` is called with it."""
    _listeners.append(recorder)


def remove(recorder: Recorder) -> None:
    """Take `recorder` away; whoever listened before listens again."""
    _listeners.remove(recorder)
