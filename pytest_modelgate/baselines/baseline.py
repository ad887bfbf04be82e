"""A baseline: the verdicts of earlier runs, and the samples to compare with."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from pytest_modelgate.baselines.entry import Entry, Key
    from pytest_modelgate.baselines.samples import StoredSamples

SCHEMA = 1
"""The version of the layout that this version of the package writes, and the newest that it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What was recorded.

    Attributes:
        entries: one a verdict, ordered by key.
        samples: the stored samples that entries name, by their key.
        provenance: where and with what it was recorded: commit, created, versions.
        schema: the version of the layout.

    Raises:
        EvidenceError: two entries of one key, or an entry whose samples are not there.
    """

    entries: tuple[Entry, ...] = ()
    samples: Mapping[str, StoredSamples] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.entries, key=lambda entry: entry.key))
        for one, other in pairwise(ordered):
            if one.key == other.key:
                raise EvidenceError(f"two verdicts of the baseline are one: {one}; give each test its own name")
        for entry in ordered:
            if entry.samples is not None and entry.samples not in self.samples:
                raise EvidenceError(f"the samples {entry.samples} of {entry} are not in the baseline; record it anew")
        object.__setattr__(self, "entries", ordered)

    def by_key(self) -> dict[Key, Entry]:
        """The entries by their keys."""
        return {entry.key: entry for entry in self.entries}
