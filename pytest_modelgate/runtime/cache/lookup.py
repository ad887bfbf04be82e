"""The look-up: a trained model from the store where nothing that its training depends on has changed, or a training."""

from __future__ import annotations

__tracebackhide__ = True

import functools
import threading
import time
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from pytest_modelgate.evidence.history import History
from pytest_modelgate.exceptions import ModelgateWarning
from pytest_modelgate.runtime.cache.depends import named_dependencies
from pytest_modelgate.runtime.cache.manifest import Manifest
from pytest_modelgate.runtime.cache.models import NotStorable, checked_bytes, from_bytes
from pytest_modelgate.runtime.cache.quiet import quietly
from pytest_modelgate.runtime.cache.store import Store
from pytest_modelgate.runtime.cache.values import fingerprint
from pytest_modelgate.runtime.cache.watching import Watch
from pytest_modelgate.runtime.modules import TrainedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import torch

    from pytest_modelgate.runtime.cache.remembered import Remembered
    from pytest_modelgate.runtime.cache.store import Entry
    from pytest_modelgate.runtime.cache.values import Fingerprint

_trainings: dict[threading.Thread, frozenset[threading.Thread]] = {}
"""The threads that train for a cache, and the other threads that were there when they began."""


class Cache:
    """Models that are trained once, for one run of the tests.

    Args:
        folder: where trained models are stored; made when first needed.
        root: the project's folder, below which files may be read that Python does not see; default the working folder.
        mode: "auto" takes what is stored, "refresh" only what this run stored, "off" nothing.
        limit: the most bytes to keep; the least recently used models go first.
        run: the id of this run of the tests, the same in all its processes.
        waiting: told once for each model that another process is training, in a sentence.
        say: told once for each model that is not cached, and why, in a sentence.
    """

    def __init__(
        self,
        folder: Path,
        *,
        root: Path | None = None,
        mode: Literal["auto", "off", "refresh"] = "auto",
        limit: int = 2 * 2**30,
        run: str,
        waiting: Callable[[str], None] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.mode = mode
        self.run = run
        self._root = root
        self._store = Store(folder, limit=limit, run=run)
        self._waiting = waiting
        self._say = say
        self._said: set[str] = set()
        self._live: set[str] = set()
        self._unwritable: str | None = None

    def get(
        self,
        train: Callable[[], TrainedModel],
        *,
        arguments: Mapping[str, Any],
        factory: Callable[[], torch.nn.Module],
        loss: Any,
        seed: int,
        device: torch.device,
        threads: int | None,
        depends_on: Any = (),
        loss_of: Callable[[torch.nn.Module], Any] | None = None,
    ) -> TrainedModel:
        """What `train()` gives, or the stored model of an earlier such training; `history.origin` says which.

        Args:
            train: does the training; its exceptions pass through, and nothing is stored then.
            arguments: what else decides the result: data, functions, numbers.
            factory, loss, seed, device, threads: of the training.
            depends_on: files, folders and values that stand for all that cannot be fingerprinted or observed.
            loss_of: makes a stored model's loss, where the training makes another of `loss`, as with class weights.

        Raises:
            TrainingError: `depends_on` names a file that does not exist.
        """
        asked = _Asked(arguments, factory, loss, seed, device, threads, depends_on, loss_of)
        if self.mode == "off":
            return _with_origin(train(), "trained")
        me = threading.current_thread()
        if any(me not in others for others in list(_trainings.values())):  # the outer one must see what it depends on
            return self._uncached(train, asked, "it is trained inside the training of another model")
        with quietly():  # for another thread's watch
            return self._get(train, asked)

    def _get(self, train: Callable[[], TrainedModel], asked: _Asked) -> TrainedModel:
        before = asked.fingerprint()
        if before.reasons and not asked.declared:
            return self._uncached(train, asked, _together(before.reasons))
        key = before.digest[:32]
        found = self._find(key, asked)
        if found is not None:
            return found
        reason = self._store.refused(key)
        if reason is not None:
            return self._uncached(train, asked, reason)
        with ExitStack() as stack:
            try:
                held = stack.enter_context(self._store.lock(key, functools.partial(self._wait, key, asked)))
            except (OSError, NotImplementedError) as error:
                return self._uncached(train, asked, self._cannot_write(error))
            reason = self._store.refused(key) or (None if held else "another process of this run could not store it")
            if reason is None:
                found = self._find(key, asked)
                if found is not None:
                    return found
                trained, written = self._train(train, asked, before, key)
        if reason is not None:
            return self._uncached(train, asked, reason)
        if written is not None:
            self._tidy(written)
        return trained

    def _train(
        self, train: Callable[[], TrainedModel], asked: _Asked, before: Fingerprint, key: str
    ) -> tuple[TrainedModel, Path | None]:
        """Train and store, with the key's lock held; the folder of the entry, None where it was not stored."""
        changed = self._changed(key, asked, before)
        _load_optimizers()
        started = time.perf_counter()
        me = threading.current_thread()
        _trainings[me] = frozenset(threading.enumerate()) - {me}
        try:
            with quietly(False), Watch(self._root) as watch:
                trained = train()
        finally:
            del _trainings[me]
        duration = time.perf_counter() - started
        try:
            manifest = _manifest(watch, asked, before)
            if trained.loss is not asked.loss and asked.loss_of is None:
                raise NotStorable("its loss is not the one that was given")
            weights, model = checked_bytes(trained.model, asked.factory, seed=asked.seed, device=asked.device)
        except NotStorable as error:
            return self._refused(trained, asked, key, str(error)), None
        origin = _origin("trained", key=key, changed=changed)
        record: dict[str, Any] = {
            "run": self.run,
            "trained_at": _now(),
            "duration": duration,
            "origin": origin,
            "slot": asked.slot,
            "parts": before.parts,
            "manifest": manifest.to_dict(),
            "history": trained.history.summary(),
        }
        try:
            written = self._store.write(key, record, weights)
        except OSError as error:
            return self._refused(trained, asked, key, self._cannot_write(error)), None
        self._live.add(key)
        # What later runs get is what this one gets: the stored model.
        return asked.trained(model, record["history"], origin), written

    def _changes_since(self, record: dict[str, Any]) -> list[str]:
        return Manifest.from_dict(record["manifest"], self._root).changes()

    def _find(self, key: str, asked: _Asked) -> TrainedModel | None:
        for entry in self._store.entries(key):
            mine = entry.record["run"] == self.run
            if (mine or self.mode == "auto") and not self._changes_since(entry.record):
                weights = self._store.weights(entry)
                found = None if weights is None else self._load(entry, weights, asked, mine)
                if found is not None:
                    self._live.add(key)
                    return found
        return None

    def _load(self, entry: Entry, weights: bytes, asked: _Asked, mine: bool) -> TrainedModel | None:
        try:
            model = from_bytes(weights, asked.factory, seed=asked.seed, device=asked.device)
        except NotStorable as error:
            self._store.discard(entry.path, str(error))
            return None
        self._store.touch(entry)
        record = entry.record
        # Which test or worker of this run trained it must not show: the report is the same for any order of tests.
        origin = (
            record["origin"] if mine else _origin("cached", key=entry.path.parent.name, trained_at=record["trained_at"])
        )
        return asked.trained(model, record["history"], origin)

    def _changed(self, key: str, asked: _Asked, before: Fingerprint) -> list[str]:
        """What differs from the stored model that is most like this one and that this run does not use; [] for none.

        Of the same factory, seed and device, most of whose parts are the same.
        """
        for entry in self._store.entries(key):
            if entry.record["run"] != self.run:
                return self._changes_since(entry.record)
        nearest: tuple[int, str, dict[str, str]] = (0, "", {})
        for record in self._store.records():
            parts: dict[str, str] = record["parts"]
            same = len(parts.items() & before.parts.items())
            other = record["slot"] == asked.slot and record["run"] != self.run and record["key"] not in self._live
            if other and 2 * same >= len(parts.keys() | before.parts.keys()):
                nearest = max(nearest, (same, record["trained_at"], parts), key=lambda found: found[:2])
        return _unlike(nearest[2], before.parts) if nearest[2] else []

    def _wait(self, key: str, asked: _Asked) -> bool:
        """Whether to go on waiting for the process that trains this model."""
        if self._waiting is not None and f"waiting {key}" not in self._said:
            self._said.add(f"waiting {key}")
            self._waiting(f"waiting for another process that trains {asked.name}")
        return self._store.refused(key) is None

    def _refused(self, trained: TrainedModel, asked: _Asked, key: str, reason: str) -> TrainedModel:
        try:
            self._store.refuse(key, reason)
        except OSError as error:
            self._cannot_write(error)
        return self._tell(trained, asked, reason)

    def _uncached(self, train: Callable[[], TrainedModel], asked: _Asked, reason: str) -> TrainedModel:
        with quietly(False):
            trained = train()
        return self._tell(trained, asked, reason)

    def _tell(self, trained: TrainedModel, asked: _Asked, reason: str) -> TrainedModel:
        model = type(trained.model).__name__
        sentence = (
            f"{model} ({asked.name}) is not cached: {reason}"
            if "<" in asked.name
            else f"{asked.name} is not cached: {reason}"
        )
        told = sentence in self._said or reason == self._unwritable  # of which a warning told
        if self._say is not None and not told:
            self._said.add(sentence)
            self._say(sentence)
        return _with_origin(trained, "not cached", reason)

    def _cannot_write(self, error: Exception) -> str:
        why = getattr(error, "strerror", None) or str(error)
        reason = f"the folder {self._store.folder} cannot be written ({why})"
        if self._unwritable is None:
            self._unwritable = reason
            warnings.warn(
                f"trained models are not kept: {reason}; set --modelgate-cache-dir or --modelgate-cache=off",
                ModelgateWarning,
                stacklevel=2,
            )
        return reason

    def _tidy(self, written: Path) -> None:
        try:
            self._store.tidy(keep=written)
        except OSError as error:
            self._cannot_write(error)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for."""

    arguments: Mapping[str, Any]
    factory: Any
    loss: Any
    seed: int
    device: torch.device
    threads: int | None
    depends_on: Any
    loss_of: Callable[[torch.nn.Module], Any] | None

    @property
    def declared(self) -> bool:
        """Whether `depends_on` stands for what cannot be seen."""
        return bool(named_dependencies(self.depends_on))

    @property
    def name(self) -> str:
        """The factory, by its module and name."""
        function = self.factory
        while isinstance(function, functools.partial):
            function = function.func
        name = getattr(function, "__qualname__", type(function).__qualname__)
        return f"{getattr(function, '__module__', type(function).__module__)}.{name}"

    @property
    def slot(self) -> list[Any]:
        """Models of another factory, seed or kind of device are no earlier state of this one."""
        return [self.name, self.seed, self.device.type]

    def trained(self, model: torch.nn.Module, summary: dict[str, Any], origin: dict[str, Any]) -> TrainedModel:
        """A stored model as `train_model` gives it."""
        history = History.from_summary(summary)
        history.origin = origin
        loss = self.loss if self.loss_of is None else self.loss_of(model)
        return TrainedModel(model=model, history=history, device=self.device, seed=self.seed, loss=loss)

    def fingerprint(self, remembered: Remembered | None = None) -> Fingerprint:
        return fingerprint(
            {
                **self.arguments,
                "factory": self.factory,
                "loss": self.loss,
                "seed": self.seed,
                "device": self.device.type,
                "threads": self.threads,
                **named_dependencies(self.depends_on),
            },
            remembered,
        )


@functools.cache
def _load_optimizers() -> None:
    """Let torch load what its first step of an optimizer needs, a second's work, before it is watched at it."""
    import torch

    with torch.random.fork_rng(devices=()):
        weight = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.0)
        optimizer.zero_grad()
        optimizer.step()


def _manifest(watch: Watch, asked: _Asked, before: Fingerprint) -> Manifest:
    """What the training was seen to use.

    Raises:
        NotStorable: what it used cannot all be compared later, or was changed by the training itself.
    """
    manifest = Manifest.of(watch, before.code)
    if reasons := manifest.unstable if asked.declared else manifest.reasons:
        raise NotStorable(_together(reasons))
    after = asked.fingerprint(before.remembered)
    if after.digest != before.digest:
        raise NotStorable(
            f"the training itself changed what it depends on: {', '.join(_unlike(before.parts, after.parts))}"
        )
    return manifest


def _unlike(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The names of parts that differ, or that only one has."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _with_origin(trained: TrainedModel, state: str, reason: str | None = None) -> TrainedModel:
    trained.history.origin = _origin(state, reason=reason)
    return trained


def _origin(
    state: str,
    *,
    key: str | None = None,
    trained_at: str | None = None,
    changed: Iterable[str] = (),
    reason: str | None = None,
) -> dict[str, Any]:
    short = None if key is None else key[:12]
    return {"state": state, "key": short, "trained_at": trained_at, "changed": list(changed), "reason": reason}


def _together(reasons: Iterable[str]) -> str:
    first, *others = list(reasons)
    return first if not others else f"{first} (and {len(others)} other reason{'s' * (len(others) > 1)})"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
