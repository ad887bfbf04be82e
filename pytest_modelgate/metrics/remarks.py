"""What is said of bounds: of weights and groups, of few samples, of classes that are rare."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_modelgate.statistics.effective import kish_size, resting_on
from pytest_modelgate.statistics.means import LEAST_GROUPS, LEAST_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.samples import Samples

    Floats = NDArray[np.float64]

FEW_GROUPS = 30
FEW_OF_A_CLASS = 10
FEW_TO_REST_ON = 10
MORE_OFTEN = "these bounds err more often than they say"
_APPROXIMATE = ", approximate"


class Design(NamedTuple):
    """What the method's name and the remarks say of weights and groups."""

    text: str
    remarks: tuple[str, ...]


def described_design(rows: Samples, size: float | None = None, groups: int | None = None) -> Design:
    """The words for weights and groups: nothing where there are none."""
    if not rows.weighed:
        return Design("", ())
    groups = rows.num_groups if groups is None else groups
    what = f"as of {number_of(size)} independent samples" if size is not None else ""
    by = counted(groups, "group") if rows.groups is not None else "weights"
    text = f", {what}: {by}" if what else f", {by}"
    remarks: tuple[str, ...] = ()
    if 0 < groups < FEW_GROUPS:
        are = "is" if groups == 1 else "are"
        remarks = (f"{counted(groups, 'group')} {are} few: below {FEW_GROUPS} {MORE_OFTEN}",)
    return Design(f"{text}{_APPROXIMATE}", remarks)


def with_design(method: str, design: Design) -> str:
    """The method's name and the design, with one "approximate" for both."""
    return method.removesuffix(_APPROXIMATE) + design.text if design.text else method


def as_approximate(method: str) -> str:
    """The method's name with "approximate", once."""
    return method.removesuffix(_APPROXIMATE) + _APPROXIMATE


def number_of(size: float) -> str:
    """An effective number of samples: with one decimal below 100.

    >>> number_of(33.56), number_of(99.97), number_of(500_400.2)
    ('33.6', '100', '500,400')
    """
    return f"{size:,.1f}" if size < 99.95 else f"{size:,.0f}"


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "group"), counted(1_200, "sample")
    ('1 group', '1,200 samples')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def rare_classes(sizes: Floats, *, weighed: bool) -> tuple[str, ...]:
    """What is said where classes that occur have few samples; sizes [K], effective ones of weights or groups."""
    occurring = sizes[sizes > 0]
    rare = int(np.count_nonzero(occurring < FEW_OF_A_CLASS))
    if rare == 0:
        return ()
    have = ("is worth" if rare == 1 else "are worth") if weighed else ("has" if rare == 1 else "have")
    return (f"{rare:,} of {len(occurring):,} classes {have} fewer than {FEW_OF_A_CLASS} samples: {MORE_OFTEN}",)


def rare_values(
    values: Floats,
    weights: Floats | None,
    codes: NDArray[np.int64] | None,
    advice: str | None,
) -> tuple[str, ...]:
    """What is said where the spread of a mean rests on few samples, or groups.

    Args:
        values: [N], what the mean is of.
        weights, codes: [N], of each sample, where there are such.
        advice: the parameter that the greatest possible value can be given by, where it can be and was not.
    """
    noun = "sample" if codes is None else "group"
    with np.errstate(all="ignore"):
        if weights is None and codes is None:
            values = np.sort(values)
            deviations = values - values.mean()
        else:
            weights = np.ones(len(values)) if weights is None else weights / weights.max()
            order = np.lexsort((values, weights))
            values, weights = values[order], weights[order]
            deviations = weights * (values - float((weights * values).sum() / weights.sum()))
            if codes is not None:
                deviations = np.bincount(codes[order], weights=deviations).astype(np.float64)
    if not np.isfinite(deviations).all():
        return ()
    number = resting_on(deviations)
    if not 0 < number < FEW_TO_REST_ON:
        return ()
    more = f"; say {advice}= if the greatest possible value is known" if advice else ""
    return (f"the spread rests on about {counted(max(1, round(number)), noun)}: {MORE_OFTEN}{more}",)


def too_few(n: int, weights: Floats | None, codes: NDArray[np.int64] | None) -> str | None:
    """What is said of so few samples, or groups, that their skewness cannot be estimated; None of enough."""
    shares = np.ones(n) if weights is None else weights / weights.max()
    least, noun = LEAST_SAMPLES, "sample"
    if codes is not None:
        shares, least, noun = np.bincount(codes, weights=shares), LEAST_GROUPS, "group"
    size = kish_size(np.sort(shares)) if n else 0.0
    if size >= least - 1e-9:
        return None
    even = weights is None and size > len(shares) - 1e-9
    who = counted(len(shares), noun) if even else f"samples worth {number_of(size)} {noun}s"
    are = "is" if who.startswith("1 ") else "are"
    return f"{who} {are} too few to know how far large values reach (from {least} on)"


def why_none(few: str | None, largest: float | None, parameter: str | None) -> str:
    """Why a mean has no bounds."""
    if few is not None and largest is None:
        return few + (f" unless the greatest possible one is known: say {parameter}=" if parameter else "")
    return "all samples have the same value, which leaves no spread to judge by"
