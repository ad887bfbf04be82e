"""Where the marks of a verdict stand on its scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate.reports.charts import describe, gate_strip, scale
from pytest_modelgate.reports.strip import round_up, strip

if TYPE_CHECKING:
    from types import SimpleNamespace

_NUMBERS = st.none() | st.floats() | st.sampled_from(["nan", "inf", "-inf"])


@pytest.mark.parametrize(
    ("metric", "estimate", "bar", "ends"),
    [
        ("recall", 0.5, 0.9, (0, 1)),
        ("recall", None, None, (0, 1)),
        ("mcc", 0.5, 0.3, (-1, 1)),
        ("cohen_kappa", -0.5, 0.3, (-1, 1)),
        ("loss", 0.07, 0.12, (0, 0.15)),
        ("loss", 0.07, None, (0, 0.08)),
        ("loss", 0.0, 0.0, (0, 1)),
        ("loss", -2.0, 1.0, (-2, 1)),
        ("my_own", 34.0, 20.0, (0, 40)),
        ("my_own", 0.5, 0.4, (0, 1)),
        ("mcc", 3.0, 0.3, (0, 3)),
    ],
)
def test_the_scale_fits_the_metric(
    make: SimpleNamespace, metric: str, estimate: float | None, bar: float | None, ends: tuple[float, float]
) -> None:
    placed = strip(make.verdict(metric, estimate, bar=bar))
    assert (placed.lowest, placed.highest) == ends


@given(
    estimate=_NUMBERS, lower=_NUMBERS, upper=_NUMBERS, bar=_NUMBERS, metric=st.sampled_from(["recall", "mcc", "loss"])
)
def test_marks_stand_within_the_scale(
    make: SimpleNamespace, metric: str, estimate: float, lower: float, upper: float, bar: float
) -> None:
    verdict = make.verdict(metric, estimate, lower=lower, upper=upper, bar=bar)
    placed = strip(verdict)

    marks = [mark for mark in (placed.estimate, placed.lower, placed.upper, placed.bar) if mark is not None]
    assert all(0 <= mark <= 1 for mark in marks)
    assert "nan" not in gate_strip({**verdict, **dict.fromkeys(("estimate", "lower", "upper", "bar"))})


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_round_number_holds_the_value_closely(value: float) -> None:
    assert value <= round_up(value) <= 2 * value


def test_a_strip_says_in_words_what_it_shows(make: SimpleNamespace) -> None:
    verdict = make.verdict("recall", 0.12, lower=0.0713, upper=0.1869)
    text = "estimate 0.120, the data allow 0.071 to 0.187, required at least 0.900"

    assert describe(verdict) == text
    assert f'aria-label="{text}"' in gate_strip(verdict)
    assert describe(make.verdict("recall", None, bar=None)) == "estimate undefined"


def test_a_scale_is_named_where_it_does_not_run_from_0_to_1(make: SimpleNamespace) -> None:
    assert scale(make.verdict()) == ""
    assert scale(make.verdict("loss", 30.0, bar=None)) == "0 to 30"


@pytest.mark.parametrize(
    ("direction", "start", "width"), [("at_least", 158, 17), ("above", 158, 17), ("at_most", 5, 153)]
)
def test_the_side_that_meets_the_bar_is_shaded(
    make: SimpleNamespace, direction: str, start: float, width: float
) -> None:
    drawn = gate_strip(make.verdict("recall", 0.5, bar=0.9, direction=direction))
    assert f'<rect class="met" x="{start}" y="3" width="{width}"' in drawn
