"""What the gates of a run share: made once in a process, and evaluations once in all xdist workers."""

from __future__ import annotations

__tracebackhide__ = True

import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_modelgate import recording
from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.evidence.history import History
from pytest_modelgate.evidence.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path
    from types import TracebackType

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Made:
    value: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception
    trace: TracebackType | None


class Store:
    """Values by their keys, each made when it is first asked for.

    Args:
        folder: where the processes of the run leave evaluations for each other; None where each makes its own.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder if folder is not None and folder.is_dir() else None
        self._known: dict[Hashable, _Made | _Failed] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key; an error of `make` is raised each time, and `make` not called again."""
        if key not in self._known:
            try:
                self._known[key] = _Made(make())
            except Exception as error:
                self._known[key] = _Failed(error, error.__traceback__)
        known = self._known[key]
        if isinstance(known, _Failed):
            raise known.error.with_traceback(known.trace)
        value: T = known.value
        return value

    def evaluation(
        self,
        key: Hashable,
        make: Callable[[], Evaluation],
        history: Callable[[], History | None] = lambda: None,
    ) -> Evaluation:
        """The evaluation of a key, made by one process of the run while the others wait for it.

        Args:
            key: text, numbers and tuples of them: alike in every process.
            make: evaluates.
            history: of the training of the model that `make` evaluated. The others record it as theirs, so that the
                report does not tell which process trained.
        """
        return self.once(key, make if self._folder is None else lambda: self._across(key, make, history))

    def _across(
        self, key: Hashable, make: Callable[[], Evaluation], history: Callable[[], History | None]
    ) -> Evaluation:
        from hashlib import blake2b

        from filelock import FileLock

        assert self._folder is not None
        name = blake2b(repr(key).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        file, beside = self._folder / f"{name}.json", self._folder / f"{name}.history.json"
        with FileLock(self._folder / f"{name}.lock"):
            if not file.exists():
                made = make()
                trained = history()
                if trained is not None:
                    told = {"origin": None if trained.origin is None else dict(trained.origin)}
                    beside.write_text(json.dumps(told | {"history": trained.summary()}), encoding="utf-8")
                part = file.with_suffix(".part")
                part.write_text(dumps(made), encoding="utf-8")
                os.replace(part, file)
                return made
        if beside.exists():
            document = json.loads(beside.read_text(encoding="utf-8"))
            trained = History.from_summary(document["history"])
            trained.origin = document["origin"]
            recording.listener().history(trained)
        return loads(file.read_text(encoding="utf-8"))


def dumps(evaluation: Evaluation) -> str:
    """An evaluation as JSON text, with what its origin says of the model."""
    origin = evaluation.origin
    training = None if origin.training is None else dict(origin.training)
    told = {"model": origin.model, "steps": origin.steps, "training": training, "tuned": origin.tuned}
    return json.dumps({"origin": told, "evaluation": evaluation.to_json()}, ensure_ascii=False)


def loads(text: str) -> Evaluation:
    """What `dumps` was called on, but for how it was derived."""
    document = json.loads(text)
    told = document["origin"]
    origin = Origin(model=told["model"], steps=tuple(told["steps"]), training=told["training"], tuned=told["tuned"])
    return replace(Evaluation.from_json(document["evaluation"]), origin=origin)
