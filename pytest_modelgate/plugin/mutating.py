"""`--modelgate-mutate`: the gates of the run, settled again on faulted twins of its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.mutation.settling import settle_on_twins
from pytest_modelgate.checks.mutation.twins import Mutator
from pytest_modelgate.runtime import observing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.recording import Again, Evidence


class Mutation:
    """Lets every evaluation of this process have twins, and keeps how to settle its gates on them."""

    def __init__(self) -> None:
        self._mutator = Mutator()
        self._judged: list[tuple[int, Verdict, Sequence[Evidence], Again | None]] = []
        observing.install(self._mutator)

    def add(self, number: int, verdict: Verdict, evidence: Sequence[Evidence], again: Again | None) -> None:
        """A judgement that was recorded under this number."""
        self._judged.append((number, verdict, evidence, again))

    def settle(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """What each judgement's gate says of the twins, as plain types, with the judgement's number."""
        for number, verdict, evidence, again in self._judged:
            yield number, settle_on_twins(verdict, evidence, again)

    def close(self) -> None:
        """No evaluation has twins any more."""
        observing.remove(self._mutator)
