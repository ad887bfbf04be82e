"""Lowered bars, missing verdicts and vanished slices."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelgate import EvidenceError
from pytest_modelgate.baselines.baseline import Baseline
from pytest_modelgate.baselines.comparing import BarChange, compare
from pytest_modelgate.baselines.entry import entry_of, numbered

TEST = "test_a.py::test_recall"


def recorded(*rows: Any) -> Baseline:
    return Baseline(entries=tuple(entry_of(row, None, number) for row, number in numbered(rows)))


def changes(was: Any, now: Any) -> list[tuple[str, bool]]:
    return [(one.text, one.lowered) for one in compare(recorded(was), [now], [TEST]).bars]


LOSS: dict[str, Any] = {"gate": "loss", "label": None, "direction": "at_most"}
BARS = [
    ({"bar": 0.92}, {"bar": 0.85}, "recall of fraud: bar lowered from 0.92 to 0.85", True),
    ({"bar": 0.85}, {"bar": 0.92}, "recall of fraud: bar raised from 0.85 to 0.92", False),
    ({**LOSS, "bar": 0.3}, {**LOSS, "bar": 0.4}, "loss: bar raised from 0.3 to 0.4, which asks less", True),
    ({**LOSS, "bar": 0.4}, {**LOSS, "bar": 0.3}, "loss: bar lowered from 0.4 to 0.3, which asks more", False),
    (
        {"direction": "at_least", "bar": 0.9},
        {"direction": "at_most", "bar": 0.9},
        "recall of fraud: asks for at most 0.9, and asked for at least 0.9",
        True,
    ),
    (
        {"direction": "above", "bar": 0.9},
        {"direction": "at_least", "bar": 0.9},
        "recall of fraud: asks for at least 0.9, and asked for more than that",
        True,
    ),
    (
        {"direction": "at_least", "bar": 0.9},
        {"direction": "above", "bar": 0.9},
        "recall of fraud: asks for more than 0.9, and asked for at least that",
        False,
    ),
    (
        {"text": "no_regression(f1, margin=0.01)"},
        {"text": "no_regression(f1, margin=0.03)"},
        "no_regression(f1): margin widened from 0.01 to 0.03",
        True,
    ),
    (
        {"text": "no_regression(f1, margin=0.01)"},
        {"text": "no_regression(f1, margin=0)"},
        "no_regression(f1): margin narrowed from 0.01 to 0",
        False,
    ),
    (
        {"text": "over_seeds(recall >= 0.9, share=0.8)"},
        {"text": "over_seeds(recall >= 0.9, share=0.6)"},
        "over_seeds(recall): share lowered from 0.8 to 0.6",
        True,
    ),
    ({"confidence": 0.95}, {"confidence": 0.8}, "recall of fraud: confidence lowered from 0.95 to 0.8", True),
    ({"confidence": 0.9}, {"confidence": 0.95}, "recall of fraud: confidence raised from 0.9 to 0.95", False),
    ({"if_unsure": "fail"}, {}, "recall of fraud: if_unsure loosened from fail to estimate", True),
    ({}, {"if_unsure": "warn"}, "recall of fraud: if_unsure loosened from estimate to warn", True),
    ({}, {"if_unsure": "fail"}, "recall of fraud: if_unsure tightened from estimate to fail", False),
    (
        {"slice": "region=north", "text": "recall[fraud] >= 0.9 on region=north", "bar": 0.9},
        {"slice": "region=north", "text": "recall[fraud] >= 0.8 on region=north", "bar": 0.8},
        "recall of fraud on region=north: bar lowered from 0.9 to 0.8",
        True,
    ),
    (
        {"text": "f1[macro] >= 0.9 by region"},
        {"text": "f1[macro] >= 0.8 by region"},
        "macro f1 by region: bar lowered from 0.9 to 0.8",
        True,
    ),
]


@pytest.mark.parametrize(("was", "now", "text", "lowered"), BARS, ids=[text for _, _, text, _ in BARS])
def test_what_is_asked_otherwise(row: Any, was: Any, now: Any, text: str, lowered: bool) -> None:
    assert changes(row(**was), row(**now)) == [(text, lowered)]
    assert changes(row(**was), row(**was)) == []


def test_a_bar_that_the_data_set_is_nobodys_bar(row: Any) -> None:
    was, now = (row(text="beats_majority_class", bar=bar, direction="above") for bar in (0.6, 0.5))
    assert changes(was, now) == []


def test_all_changes_of_one_gate(row: Any) -> None:
    found = changes(row(bar=0.9, if_unsure="fail"), row(bar=0.8, confidence=0.9))
    assert [lowered for _, lowered in found] == [True, True, True]


def test_a_changed_bar_says_where(row: Any) -> None:
    (found,) = compare(recorded(row(bar=0.9)), [row(bar=0.8)], [TEST]).bars
    assert found == BarChange(
        test=TEST,
        gate="recall[fraud] >= 0.8",
        text="recall of fraud: bar lowered from 0.9 to 0.8",
        lowered=True,
    )


def test_the_second_verdict_of_a_test_is_compared_with_the_second(row: Any) -> None:
    old = recorded(row(bar=0.9), row(bar=0.8))
    assert [one.text for one in compare(old, [row(bar=0.9), row(bar=0.7)], [TEST]).bars] == [
        "recall of fraud: bar lowered from 0.8 to 0.7"
    ]


def test_what_is_missing_and_what_did_not_run(row: Any) -> None:
    old = recorded(row(), row("f1", label=None), row(test="t::other"), row(test="t::gone"))
    found = compare(old, [row()], [TEST], ["t::gone"])
    assert [str(entry) for entry in found.missing] == ["recall[fraud] in t::gone", "f1 in test_a.py::test_recall"]
    assert [entry.test for entry in found.not_run] == ["t::other"]
    assert found.bars == found.vanished == ()


def test_a_verdict_that_the_baseline_does_not_have_is_nothing_yet(row: Any) -> None:
    found = compare(recorded(row()), [row(), row("f1"), row(test=None)], [TEST])
    assert (found.bars, found.missing, found.not_run) == ((), (), ())


def test_a_red_verdict_is_not_missing(row: Any) -> None:
    assert compare(recorded(row()), [row(outcome="FAIL", test_outcome="failed")], [TEST]).missing == ()


def test_a_test_whose_id_holds_the_bar_is_found_again(row: Any) -> None:
    was, now = row(test="t::test_r[0.92]", bar=0.92), row(test="t::test_r[0.85]", bar=0.85)
    found = compare(recorded(was), [now], ["t::test_r[0.85]"], gone=["t::test_r[0.92]"])
    assert [one.text for one in found.bars] == ["recall of fraud: bar lowered from 0.92 to 0.85"]
    assert found.missing == ()


def test_several_of_them_are_paired_in_order_and_the_same_ones_with_themselves(row: Any) -> None:
    old = recorded(*(row(test=f"t::test_r[{bar}]", bar=bar) for bar in (0.7, 0.8, 0.9)))
    rows = [row(test=f"t::test_r[{bar}]", bar=bar) for bar in (0.6, 0.8, 0.85)]
    found = compare(old, rows, [one["test"] for one in rows], ["t::test_r[0.7]", "t::test_r[0.9]"])
    assert [one.text for one in found.bars] == [
        "recall of fraud: bar lowered from 0.7 to 0.6",
        "recall of fraud: bar lowered from 0.9 to 0.85",
    ]
    assert found.missing == ()


def test_only_the_same_thing_is_paired(row: Any) -> None:
    old = recorded(row(test="t::test_r[0.9]", bar=0.9))
    for other in (row("f1", test="t::test_r[0.8]"), row(test="t::test_q[0.8]"), row(test="t::test_r[1]", slice="a")):
        found = compare(old, [other], [other["test"]], ["t::test_r[0.9]"])
        assert ([entry.test for entry in found.missing], found.bars) == (["t::test_r[0.9]"], ())


def test_a_test_that_did_not_run_is_not_paired(row: Any) -> None:
    old = recorded(row(test="t::test_r[0.9]", bar=0.9))
    found = compare(old, [row(test="t::test_r[0.8]", bar=0.8)], ["t::test_r[0.8]"])
    assert (found.bars, [entry.test for entry in found.not_run]) == ((), ["t::test_r[0.9]"])


def by_region(row: Any, details: Any) -> Any:
    return row(text="recall[fraud] >= 0.8 by region", slice="whichever", details=details)


def test_slices_that_vanished(row: Any, family: Any) -> None:
    was, now = by_region(row, family("north", "south", "east")), by_region(row, family("west", "south"))
    (found,) = compare(recorded(was), [now], [TEST]).vanished
    assert (found.test, found.gate, found.slices) == (TEST, "recall[fraud] >= 0.8 by region", ("east", "north"))


def test_a_slice_that_is_judged_no_more(row: Any, family: Any) -> None:
    was = by_region(row, family("north", "south", unjudged=("tiny",)))
    now = by_region(row, family("south", unjudged=("north", "tiny", "new")))
    assert changes(was, now) == [
        (
            "recall of fraud by region: north is judged no more (too few samples for min_support, or nothing to "
            "measure)",
            True,
        )
    ]
    assert changes(now, was) == []


def test_two_tests_cannot_share_a_name(row: Any) -> None:
    with pytest.raises(EvidenceError, match="share the name x"):
        compare(recorded(row()), [row(test="a", baseline_key="x"), row(test="b", baseline_key="x")], [])
