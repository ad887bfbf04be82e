"""Where the marks of a verdict stand on its scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate.metrics.registry import METRICS
from pytest_modelgate.reports.charts import describe, gate_strip, scale
from pytest_modelgate.reports.strip import figure, round_up, strip

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
        ("my_own", 0.5, 0.4, (0, 0.5)),
        ("my_own", -5767.0, -10000.0, (-10000, 0)),
        ("my_own", -0.3, 0.02, (-0.3, 0.03)),
        ("loss of <b>", -1.0, 3.0, (-1.2, 3)),
        ("log_loss", 0.49, 0.55, (0, 0.6)),
        ("mae", 0.74, 0.8, (0, 0.8)),
        ("rmse", 17.0, 20.0, (0, 20)),
        ("median_error", 0.6, 1.5, (0, 1.5)),
        ("brier", 0.16, 0.2, (0, 0.2)),
        ("calibration_error", 0.02, 0.05, (0, 0.05)),
        ("r2", 0.4, 0.3, (0, 1)),
        ("r2", -0.03, -0.5, (-0.5, 1)),
        ("mcc", 3.0, 0.3, (0, 3)),
    ],
)
def test_the_scale_fits_the_metric(
    make: SimpleNamespace, metric: str, estimate: float | None, bar: float | None, ends: tuple[float, float]
) -> None:
    placed = strip(make.verdict(metric, estimate, bar=bar))
    assert (placed.lowest, placed.highest) == ends


def test_every_metric_of_the_registry_has_a_scale_of_its_kind(make: SimpleNamespace) -> None:
    kinds: dict[str, set[str]] = {}
    for name in METRICS:
        kinds.setdefault(strip(make.verdict(name, 0.4, bar=0.3)).kind, set()).add(name)

    assert set(kinds) == {"share", "correlation", "error"}
    assert kinds["correlation"] == {"mcc", "cohen_kappa"}
    assert kinds["error"] == {
        "brier", "calibration_error", "log_loss", "loss", "mae", "median_error", "rmse",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "estimate", "kind"),
    [("recall", 1.5, "other"), ("mcc", 1.5, "other"), ("loss", -0.5, "other"), ("cost", 0.5, "other")],
)
def test_a_scale_that_is_made_for_its_numbers_is_not_called_otherwise(
    make: SimpleNamespace, metric: str, estimate: float, kind: str
) -> None:
    assert strip(make.verdict(metric, estimate)).kind == kind


@given(
    estimate=_NUMBERS,
    lower=_NUMBERS,
    upper=_NUMBERS,
    bar=_NUMBERS,
    metric=st.sampled_from(["recall", "mcc", "loss", "r2", "my own"]),
    gate=st.sampled_from(["recall >= 0.5", "no_regression(recall, margin=0)", "over_seeds(recall >= 0.5)"]),
    seeds=st.lists(_NUMBERS, max_size=3),
)
def test_marks_stand_within_the_scale(
    make: SimpleNamespace, metric: str, gate: str, seeds: list[float], **values: float
) -> None:
    details = tuple((f"seed {index}", value) for index, value in enumerate(seeds))
    verdict = make.verdict(metric, gate=gate, details=details, **values)
    placed = strip(verdict)

    marks = [mark for mark in (placed.estimate, placed.lower, placed.upper, placed.bar) if mark is not None]
    assert all(0 <= mark <= 1 for mark in (*marks, *placed.seeds))
    assert placed.lowest < placed.highest
    assert "nan" not in gate_strip(verdict).replace("estimate nan", "").partition(">")[2]
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


def test_a_difference_stands_on_a_scale_with_0_in_the_middle(make: SimpleNamespace) -> None:
    verdict = make.verdict(
        "log_loss", -0.034, lower=-0.066, upper=0.013, bar=0.05, direction="at_most",
        gate="no_regression(log_loss, margin=0.05)",
    )  # fmt: skip
    placed = strip(verdict)

    assert (placed.kind, placed.lowest, placed.highest) == ("difference", -0.08, 0.08)
    assert placed.estimate == pytest.approx((0.08 - 0.034) / 0.16)
    assert scale(verdict) == "±0.08"
    assert '<path class="zero" d="M90 4V16"/>' in gate_strip(verdict)
    assert describe(verdict) == "difference -0.034, the data allow -0.066 to +0.013, required at most +0.050"
    assert [figure(verdict, name) for name in ("estimate", "upper", "bar")] == ["-0.034", "+0.013", "+0.050"]


@pytest.mark.parametrize(("estimate", "ends"), [(0.0, (-1, 1)), (None, (-1, 1)), (-0.2, (-0.2, 0.2)), (7.0, (-8, 8))])
def test_a_difference_of_any_size_has_a_scale(
    make: SimpleNamespace, estimate: float | None, ends: tuple[float, float]
) -> None:
    verdict = make.verdict("recall", estimate, bar=0.0, gate="no_regression(recall[fraud], margin=0)")
    placed = strip(verdict)
    assert (placed.lowest, placed.highest, placed.bar) == (*ends, 0.5)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_beyond_a_round_number_by_rounding_error_is_on_the_scale(make: SimpleNamespace, sign: int) -> None:
    verdict = make.verdict("my_own", 0.48000000000000004 * sign, bar=-0.7 * sign)
    assert 0 <= (strip(verdict).estimate or 0.0) <= 1


def test_only_differences_have_a_sign_and_a_middle(make: SimpleNamespace) -> None:
    verdict = make.verdict("recall", 0.5, lower=0.4, upper=0.6)
    assert [figure(verdict, name) for name in ("estimate", "lower", "bar")] == ["0.500", "0.400", "0.900"]
    close = make.verdict("recall", 0.89996)
    assert [figure(close, name) for name in ("estimate", "bar")] == ["0.89996", "0.90000"]
    assert 'class="zero"' not in gate_strip(verdict)


def test_the_seeds_are_small_dots(make: SimpleNamespace) -> None:
    details = (("seed 0", 0.5), ("seed 1", 0.7), ("seed 2", "nan"), ("spread", 0.1))
    verdict = make.verdict("recall", 0.6, gate="over_seeds(recall >= 0.5)", details=details)

    assert strip(verdict).seeds == (0.5, 0.7)
    assert gate_strip(verdict).count('class="seed"') == 2
    assert gate_strip(verdict).index('class="seed"') < gate_strip(verdict).index('class="dot"')
    assert strip({**verdict, "gate": "recall >= 0.5"}).seeds == ()
    assert (
        strip(make.verdict("mae", 3.0, gate="over_seeds(mae <= 4)", bar=4.0, details=(("seed 0", 7.0),))).highest == 8
    )


def test_a_row_of_an_older_report_is_drawn(make: SimpleNamespace) -> None:
    verdict = make.verdict("recall", 0.6, gate="over_seeds(recall >= 0.5)")
    del verdict["details"], verdict["family"]
    assert strip(verdict).seeds == ()
