"""How often each set of data was judged: who looks at one test set often enough fits it without training on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytest import Config

    from pytest_modelgate.evidence.evaluation import Evaluation

KEY = "modelgate/evaluations"
SAID = "modelgate/said"
MANY = 100
"""From so many evaluations on it is said."""
KEPT = 1000
"""Of so many sets of data the count is kept: those judged last. Generated data are new ones in every run."""
PATIENCE = 10.0
"""So many seconds another process may hold the lock of the count; then this session is not counted."""


class Looks:
    """The evaluations of this session by their data, on top of those that pytest's cache folder counts.

    An evaluation counts once a session, however many gates judge it, in however many processes. Without a cache, or
    where its folder cannot be written, nothing is counted. Callers hold a lock: threads may judge.
    """

    def __init__(self, config: Config) -> None:
        self._cache = getattr(config, "cache", None)
        worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self._session = None if worker is None else str(worker.get("testrunuid"))
        self._before: dict[str, int] | None = None
        self.judged: set[tuple[str, str]] = set()
        self._now: dict[str, int] = {}
        self._last: Evaluation | None = None
        self._said: set[str] = set()

    def judge(self, evaluation: Evaluation) -> str | None:
        """Count an evaluation that a gate judges; the first time in a session that it is one of many, says so."""
        if evaluation is self._last or evaluation.fingerprint is None or self._cache is None:
            return None
        self._last = evaluation
        data = f"{evaluation.fingerprint:016x}"
        judged = data, _content(evaluation)
        if judged in self.judged:
            return None
        self.judged.add(judged)
        self._now[data] = self._now.get(data, 0) + 1
        if data in self._said:
            return None
        if self._before is None:
            self._before = self._read()
        count = self._before.get(data, 0) + self._now[data]
        if count < MANY:
            return None
        self._said.add(data)
        return _warning(evaluation, count) if self._first_to_say(data) else None

    def keep(self, others: Iterable[tuple[str, str]] = ()) -> None:
        """Add this session's evaluations, and those of other processes, to the count in the cache folder."""
        judged = self.judged | set(others)
        if not judged or self._cache is None:
            return
        import contextlib

        with contextlib.suppress(OSError), self._lock():
            counts = self._read()
            for data, _ in judged:
                counts[data] = counts.get(data, 0) + 1
            # This session's last, the most judged at the very end: what is dropped is old, or was seen once.
            now = {data for data, _ in judged}
            last = sorted(now, key=lambda data: (counts[data], data))
            kept = [data for data in counts if data not in now] + last
            self._cache.set(KEY, {data: counts[data] for data in kept[-KEPT:]})

    def _first_to_say(self, data: str) -> bool:
        """Whether no other worker of this session has said it."""
        if self._session is None or self._cache is None:
            return True
        try:
            with self._lock():
                found = self._cache.get(SAID, None)
                said = found.get(self._session) if isinstance(found, dict) else None
                said = said if isinstance(said, list) else []
                if data in said:
                    return False
                self._cache.set(SAID, {self._session: [*said, data]})
        except OSError:
            pass
        return True

    def _lock(self) -> AbstractContextManager[Any]:
        """Between processes; an `OSError` where the folder cannot be written, or another holds it for long."""
        from filelock import FileLock

        folder: Path = self._cache.mkdir("modelgate")  # type: ignore[union-attr]
        return FileLock(folder / "evaluations.lock", timeout=PATIENCE)

    def _read(self) -> dict[str, int]:
        found: Any = None if self._cache is None else self._cache.get(KEY, None)
        if not isinstance(found, dict):
            return {}
        return {data: count for data, count in found.items() if type(count) is int and count > 0}


def _content(evaluation: Evaluation) -> str:
    """A name for what was found, so that one model judged in several tests or processes counts once.

    Means are rounded, since another number of threads changes their last digits.
    """
    from hashlib import blake2b

    digest = blake2b(repr((evaluation.n, evaluation.threshold)).encode(), digest_size=8)
    if evaluation.matrix is not None:
        digest.update(evaluation.matrix.counts.tobytes())
    for mean in _means(evaluation):
        digest.update(f"{mean:.6g} ".encode())
    return digest.hexdigest()


def _means(evaluation: Evaluation) -> Iterator[float]:
    if evaluation.mean_loss is not None and evaluation.mean_loss.mean is not None:
        yield evaluation.mean_loss.mean
    if evaluation.scores is not None:
        yield float(evaluation.scores.values.mean(dtype="float64"))
    rows = evaluation.samples
    if rows is not None and rows.actual is not None and rows.predicted is not None:
        yield float(abs(rows.actual - rows.predicted).mean(dtype="float64"))


def _warning(evaluation: Evaluation, count: int) -> str:
    """What so many looks at one test set may cost: the greatest of `count` errors of chance (sqrt(2 log count) s)."""
    cost = "look better than it is"
    if evaluation.matrix is not None:
        share = int(evaluation.matrix.counts.trace()) / evaluation.n
        points = 100 * math.sqrt(2 * math.log(count) * max(share * (1 - share), 1 / evaluation.n) / evaluation.n)
        cost = f"look up to {points:.1f} points of accuracy better than it is"
    return (
        f"these {evaluation.n:,} samples have been judged {count:,} times on this machine: so many looks make the best "
        f"model {cost}. Judge the final model on samples that chose nothing"
    )
