"""The lines under an INCONCLUSIVE verdict: probabilities and sizes from scipy and published plans, and plain words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.gates.gate import judge_proportion
from pytest_modelgate.gates.settling import settling
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.statistics.composites import f1_interval
from pytest_modelgate.statistics.planning import samples_to_settle
from pytest_modelgate.statistics.proportions import clopper_pearson


def verdict(metric="recall", *, bar, hits=None, support=200, estimate=None, bounds=None, **fields):
    """An INCONCLUSIVE verdict, of a proportion where `hits` are given."""
    if hits is not None:
        estimate = hits / support
    if bounds is None:
        bounds = clopper_pearson(hits, support, fields.get("confidence", 0.95))
    whole = {
        "gate": f"{metric} >= {bar}",
        "outcome": Outcome.INCONCLUSIVE,
        "passed": True,
        "metric": metric,
        "estimate": estimate,
        "hits": hits,
        "support": support,
        "bar": bar,
        "direction": "at_least",
        "lower": bounds[0],
        "upper": bounds[1],
        "explanation": "INCONCLUSIVE",
        "label": "fraud",
    }
    return Verdict(**whole | fields)


class TestProportions:
    def test_at_the_bar(self):
        """36 of 40 at a bar of .90: one standard error is .0474."""
        assert scipy.stats.binom.sf(35, 40, 0.9 - 0.04743) == pytest.approx(0.278, abs=0.001)
        assert settling(verdict(hits=36, support=40, bar=0.9)) == (
            "a model at 0.853 looks this good 28% of the time",
            f"about {samples_to_settle(0.9, 0.9 + math.sqrt(0.09 / 40))} samples of 'fraud' in all settle a model at "
            "0.947 in 80% of cases",
        )

    def test_above_the_bar(self):
        luck, sizes = settling(verdict(hits=93, support=100, bar=0.9))
        chance = scipy.stats.binom.sf(92, 100, 0.9 - math.sqrt(0.93 * 0.07 / 100))
        assert luck == f"a model at 0.874 looks this good {100 * chance:.0f}% of the time"
        assert sizes.endswith("a model at 0.926 in 80% of cases, about 593 one as good as this (0.930)")

    def test_below_the_bar(self):
        luck, sizes = settling(verdict(hits=35, support=40, bar=0.9))
        # A standard error above the bar is beyond .95: half-way to 1 instead.
        assert luck == f"a model at 0.950 looks this bad {100 * scipy.stats.binom.cdf(35, 40, 0.95):.0f}% of the time"
        assert "settle a model at 0.848" in sizes
        assert sizes.endswith(f"about {samples_to_settle(0.9, 0.875):,} one as bad as this (0.875)")

    def test_lower_is_better(self):
        fields = {"metric": "false_positive_rate", "direction": "at_most", "support": 40, "bar": 0.1}
        luck, sizes = settling(verdict(hits=2, **fields))
        wrong = 0.1 + math.sqrt(0.05 * 0.95 / 40)
        assert (
            luck
            == f"a model at {wrong:.3f} looks this good {100 * scipy.stats.binom.cdf(2, 40, wrong):.0f}% of the time"
        )
        assert "samples not of 'fraud' in all settle a model at 0.066" in sizes
        assert sizes.endswith("about 203 one as good as this (0.050)")
        luck, sizes = settling(verdict(hits=6, **fields))
        assert luck.startswith("a model at 0.050 looks this bad")
        assert sizes.endswith("one as bad as this (0.150)")

    def test_no_error_seen(self):
        luck, sizes = settling(verdict(hits=20, support=20, bar=0.9))
        assert luck == "a model at 0.833 looks this good 3% of the time"
        assert sizes.endswith("about 29 one as good as this (1.000)")

    def test_perfection_cannot_be_proved(self):
        assert settling(verdict(hits=20, support=20, bar=1.0)) == ("no number of samples proves a bar of 1",)
        nothing = verdict("false_negative_rate", hits=0, support=20, bar=0.0, direction="at_most")
        assert settling(nothing) == ("no number of samples proves a bar of 0",)

    def test_more_than_a_million(self):
        _, sizes = settling(verdict(hits=9001, support=10_000, bar=0.9))
        assert sizes.endswith(", more than a million one as good as this (0.9001)")

    def test_what_is_counted(self):
        for metric, noun in [
            ("precision", "samples predicted as 'fraud'"),
            ("accuracy", "samples"),
            ("specificity", "samples not of 'fraud'"),
        ]:
            assert f" {noun} in all settle" in settling(verdict(metric, hits=36, support=40, bar=0.9))[1]
        assert " samples in all" in settling(verdict(hits=36, support=40, bar=0.9, average="micro", label=None))[1]
        assert (
            " samples of 'fraud' of this slice in all" in settling(verdict(hits=36, support=40, bar=0.9, slice="a"))[1]
        )

    def test_the_confidence_counts(self):
        _, sizes = settling(verdict(hits=930, support=1000, bar=0.9, confidence=0.9999))
        assert f"about {samples_to_settle(0.9, 0.93, confidence=0.9999):,} one as good" in sizes

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(
        st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
        st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.9, 0.95, 0.99, 1.0]),
        st.sampled_from(["at_least", "at_most"]),
    )
    def test_every_unsettled_count_has_lines(self, counts, bar, direction):
        hits, n = counts
        if judge_proportion(hits, n, bar, direction, 0.95) != "INCONCLUSIVE":
            return
        lines = settling(verdict(hits=hits, support=n, bar=bar, direction=direction))
        assert lines
        assert "nan" not in str(lines)
        # As good as the estimate: never settled by as few samples as there were.
        assert (samples_to_settle(bar, hits / n) or math.inf) > n


class TestF1:
    def test_through_jaccard(self):
        """TP 17, FP 2, FN 1: 17 of 20, and a bar of .9 is 9/11 of them."""
        lines = settling(verdict("f1", estimate=34 / 37, support=20, bar=0.9, bounds=f1_interval(17, 2, 1)))
        error = math.sqrt(0.85 * 0.15 / 20)
        wrong, right = 9 / 11 - error, 9 / 11 + error
        assert right < 1 - (1 - 9 / 11) / 2
        chance = scipy.stats.binom.sf(16, 20, wrong)
        assert lines == (
            f"a model at {2 * wrong / (1 + wrong):.3f} looks this good {100 * chance:.0f}% of the time",
            f"about {samples_to_settle(9 / 11, right)} samples of or predicted as 'fraud' in all settle a model at "
            f"{2 * right / (1 + right):.3f} in 80% of cases, about {samples_to_settle(9 / 11, 0.85)} one as good as "
            "this (0.919)",
        )

    def test_averages_go_by_the_width(self):
        (line,) = settling(verdict("f1", estimate=0.81, bar=0.8, bounds=(0.77, 0.85), average="macro", label=None))
        assert line.startswith("roughly ")


class TestByTheWidth:
    """Standard error .04 / 1.645; power .8 and 95%: (1.645 + .842)^2 = 6.18 times as many for a standard error."""

    def test_sizes(self):
        (line,) = settling(verdict("mcc", estimate=0.81, bar=0.8, bounds=(0.77, 0.86), label=None))
        error = 0.04 / scipy.stats.norm.ppf(0.95)
        factor = (scipy.stats.norm.ppf(0.95) + scipy.stats.norm.ppf(0.8)) ** 2
        near, other = math.ceil(200 * factor), math.ceil(200 * factor * (error / 0.01) ** 2)
        assert line == (
            f"roughly {near:,} samples in all settle a model at 0.824 in 80% of cases, "
            f"roughly {other:,} one as good as this (0.810)"
        )

    def test_the_side_of_the_bar_counts(self):
        (line,) = settling(verdict("mcc", estimate=0.79, bar=0.8, bounds=(0.7, 0.83), label=None))
        assert "settle a model at 0.776" in line
        assert line.endswith("one as bad as this (0.790)")

    def test_lower_is_better(self):
        fields = {"direction": "at_most", "label": None, "bounds": (0.48, 0.55)}
        (line,) = settling(verdict("loss", estimate=0.52, bar=0.5, **fields))
        assert "settle a model at 0.524" in line
        (line,) = settling(verdict("loss", estimate=0.51, bar=0.54, **fields))
        assert "settle a model at 0.516" in line

    def test_at_the_bar(self):
        (line,) = settling(verdict("mcc", estimate=0.8, bar=0.8, bounds=(0.77, 0.85), label=None))
        assert line == "roughly 1,237 samples in all settle a model at 0.818 in 80% of cases"

    def test_within_the_range(self):
        (line,) = settling(verdict("mcc", estimate=0.999, bar=0.998, bounds=(0.97, 1.0), label=None))
        assert "settle a model at 0.999 in" in line

    def test_samples_of_all_classes_for_an_area(self):
        (line,) = settling(verdict("roc_auc", estimate=0.81, bar=0.8, bounds=(0.77, 0.85)))
        assert "samples in all" in line

    def test_a_proportion_with_weights_or_groups(self):
        (line,) = settling(verdict(estimate=0.91, bar=0.9, support=40, bounds=(0.7, 0.99)))
        assert line.startswith("roughly ")
        assert "samples of 'fraud' in all" in line
        (line,) = settling(verdict(hits=36, support=40, bar=0.9, bounds=(0.7, 0.99)))
        assert line.startswith("roughly ")

    def test_differences(self):
        fields = {"gate": "no_regression(recall) >= -0.01", "bounds": (-0.03, 0.002)}
        (line,) = settling(verdict(estimate=-0.012, bar=-0.01, **fields))
        assert "samples of 'fraud' in all settle a difference of -0.019" in line
        assert line.endswith("one as bad as this (-0.012)")

    def test_a_metric_of_the_users_own(self):
        (line,) = settling(verdict("cost_saved", estimate=110.0, bar=100.0, bounds=(60.0, 150.0), label=None))
        assert line.startswith("roughly 1,237 samples in all settle a model at 130.398")


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": Outcome.PASS},
        {"outcome": Outcome.FAIL},
        {"outcome": Outcome.UNDEFINED, "estimate": None},
        {"lower": None, "upper": None},
        {"gate": "over_seeds(recall >= 0.9)"},
        {"gate": "generalization_gap(recall) <= 0.1"},
        {"bar": None},
        {"metric": "mcc", "lower": -math.inf},
        {"metric": "mcc", "lower": 0.9},
    ],
)
def test_nothing_to_say(fields):
    assert settling(replace(verdict(hits=36, support=40, bar=0.9), **fields)) == ()


def test_after_json():
    made = verdict(hits=36, support=40, bar=0.9)
    assert settling(Verdict.from_json(made.to_json())) == settling(made)


class TestOneFigure:
    def test_where_both_truths_print_alike(self):
        """A bar of .2 and an estimate a standard error above it: 1,237 and some more samples are the same advice."""
        error = 0.04 / scipy.stats.norm.ppf(0.95)
        estimate = 0.8 + error * 0.99
        (line,) = settling(verdict("mcc", estimate=estimate, bar=0.8, bounds=(estimate - 0.04, 0.9), label=None))
        assert line == "roughly 1,237 samples in all settle a model at 0.824 in 80% of cases"

    def test_not_where_they_differ(self):
        (line,) = settling(verdict("mcc", estimate=0.82, bar=0.8, bounds=(0.78, 0.9), label=None))
        assert line.endswith("one as good as this (0.820)")


@pytest.mark.parametrize(
    ("metric", "noun"),
    [
        ("recall", "samples of 'fraud'"),
        ("precision", "samples predicted as 'fraud'"),
        ("accuracy", "samples"),
        ("roc_auc", "samples"),
    ],
)
def test_differences_count_what_the_metric_counts(metric, noun):
    fields = {"gate": f"no_regression({metric}, margin=0.01)", "bounds": (-0.03, 0.002)}
    (line,) = settling(verdict(metric, estimate=-0.012, bar=-0.01, **fields))
    assert f" {noun} in all settle a difference of " in line
