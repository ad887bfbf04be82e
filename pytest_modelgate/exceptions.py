"""The error tree: a gate that was judged and not met, and the ways to ask for something that cannot be judged."""

from __future__ import annotations

# In this and most other modules: pytest leaves their frames out of tracebacks, which then end at the user's line.
__tracebackhide__ = True

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_modelgate.gates.verdict import Verdict

P = ParamSpec("P")
T = TypeVar("T")


class ModelgateError(Exception):
    """Wrong use: nothing was judged. The message names the value, the place and the remedy."""

    __module__ = "pytest_modelgate"


class EvidenceError(ModelgateError):
    """The evidence cannot be built: shapes, labels, scores or data that do not fit together."""

    __module__ = "pytest_modelgate"


class MetricError(ModelgateError):
    """An unknown metric, or a label, average or parameter that the metric does not take."""

    __module__ = "pytest_modelgate"


class BarError(ModelgateError):
    """A bar, a confidence or an `if_unsure` that makes no sense for its metric, or that anything would meet."""

    __module__ = "pytest_modelgate"


class DeviceError(ModelgateError):
    """A device that is malformed or that this machine does not have."""

    __module__ = "pytest_modelgate"


class CheckpointError(ModelgateError):
    """A model file that cannot be read, does not fit the model, or needs `trust=True`."""

    __module__ = "pytest_modelgate"


class GateFileError(ModelgateError):
    """A gate file that cannot be read, or says something wrong; the message starts with its path and line."""

    __module__ = "pytest_modelgate"


class TrainingError(ModelgateError):
    """A training run that cannot start or cannot go on."""

    __module__ = "pytest_modelgate"


class ModelgateWarning(UserWarning):
    """Something that does not fail the test and should be known."""

    __module__ = "pytest_modelgate"


class GateFailure(AssertionError):  # noqa: N818 - the public name, chosen to read well in a failed test
    """A gate was judged and not met; `verdict` holds the whole judgement."""

    __module__ = "pytest_modelgate"

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict

    def __str__(self) -> str:
        return str(self.verdict)


def at_the_caller(function: Callable[P, T]) -> Callable[P, T]:
    """Let wrong use end at the caller's line outside pytest too, and without the errors that led to it."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except ModelgateError as error:
            raise error.with_traceback(None) from None

    return wrapper


def did_you_mean(word: object, choices: Iterable[object]) -> str:
    """The end of an error message: a close name among the choices, or nothing.

    >>> did_you_mean("recal", ["recall", "precision"])
    "; did you mean 'recall'?"
    >>> did_you_mean("mse", ["mse_loss", "l1_loss"])
    "; did you mean 'mse_loss'?"
    >>> did_you_mean("loss", ["recall", "precision"])
    ''
    """
    from difflib import get_close_matches

    by_text = {str(choice).lower(): choice for choice in choices}
    said = str(word).lower()
    close = get_close_matches(said, by_text, n=1, cutoff=0.6)
    if not close and len(said) >= 3:  # the first word of a longer name
        close = sorted(name for name in by_text if name.startswith(f"{said}_"))[:1]
    return f"; did you mean {by_text[close[0]]!r}?" if close else ""
