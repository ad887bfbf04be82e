"""Where evidence came from: so that what was derived can be derived again from another pass over the same data."""

from __future__ import annotations

__tracebackhide__ = True

import operator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Derivation: TypeAlias = "Call | Step"


class Call:
    """One call of `evaluate`: what all evidence that is derived from it goes back to.

    Attributes:
        twins: what the model's faulted twins gave in the same pass, where somebody asked for them; else None.
    """

    __slots__ = ("twins",)

    def __init__(self, twins: Any = None) -> None:
        self.twins = twins

    def __deepcopy__(self, memo: dict[int, Any]) -> Call:
        """A copy of evidence goes back to the same call."""
        return self

    def __reduce__(self) -> tuple[type[Call], tuple[()]]:
        """Another process knows nothing of the twins."""
        return Call, ()


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A function applied to evidence: `apply(*of, *arguments)`, each of `of` derived in its turn."""

    apply: Callable[..., Any]
    of: tuple[Derivation, ...]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where evidence came from: the model's name, and the steps by which it was derived from its evaluation.

    Attributes:
        model: the name of the model's class.
        steps: the steps in words.
        training: the `History.origin` of a model that `train_model` gave.
        tuned: what the threshold was chosen for on these very samples: "recall", "precision" or "cost"; None where it
            was chosen elsewhere, or nothing is known of that.
        derivation: the call of `evaluate`, or the steps from several; None where that is not known. Not compared.
    """

    model: str | None = None
    steps: tuple[str, ...] = ()
    training: Mapping[str, Any] | None = None
    tuned: str | None = None
    derivation: Derivation | None = field(default=None, compare=False, repr=False)

    def then(self, apply: Callable[..., Any], *arguments: Any) -> Step | None:
        """The derivation of `apply(this, *arguments)`."""
        return None if self.derivation is None else Step(apply, (self.derivation,), arguments)

    def plus(self, other: Origin) -> Origin:
        """The origin of a sum."""
        derivation = None
        if self.derivation is not None and other.derivation is not None:
            derivation = Step(_total, (*_summands(self.derivation), *_summands(other.derivation)))
        if self == other:
            return replace(self, derivation=derivation)
        return Origin(steps=("merged",), tuned=self.tuned or other.tuned, derivation=derivation)


def calls(derivation: Derivation) -> Iterator[Call]:
    """The calls of `evaluate` that a derivation goes back to, in order."""
    if isinstance(derivation, Call):
        yield derivation
    else:
        for one in derivation.of:
            yield from calls(one)


def replay(derivation: Derivation, at: Callable[[Call], Any]) -> Any:
    """What the same steps give, where `at` says what each call of `evaluate` gave."""
    if isinstance(derivation, Call):
        return at(derivation)
    return derivation.apply(*(replay(one, at) for one in derivation.of), *derivation.arguments)


def _total(first: Any, *others: Any) -> Any:
    for other in others:
        first = operator.add(first, other)
    return first


def _summands(derivation: Derivation) -> tuple[Derivation, ...]:
    """The parts of a sum, so that a sum of many is flat."""
    return derivation.of if isinstance(derivation, Step) and derivation.apply is _total else (derivation,)
