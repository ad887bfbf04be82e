"""The report as a value: JSON and back, and what is no report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate import ModelgateError
from pytest_modelgate.reports.report import SCHEMA, Report, _dump

if TYPE_CHECKING:
    from typing import Any

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def test_a_report_turns_to_json_and_back(report: Report) -> None:
    again = Report.from_json(report.to_json())

    assert again == report
    assert again.to_json() == report.to_json()
    assert Report.from_dict(report.to_dict()) == report


def test_the_json_holds_no_nan_and_keeps_names_readable(report: Report) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    plain = json.loads(report.to_json(), parse_constant=refuse)

    assert plain["schema"] == SCHEMA
    assert "größe" in report.to_json()


def test_nan_is_never_written(report: Report) -> None:
    for value in (float("nan"), [float("nan")], {"a": float("inf")}):
        with pytest.raises(ValueError, match="JSON"):
            Report.from_dict({**report.to_dict(), "provenance": {"odd": value}}).to_json()


def test_the_json_has_a_line_for_each_row_of_a_matrix_and_each_epoch(report: Report) -> None:
    lines = [line.strip().rstrip(",") for line in report.to_json().splitlines()]

    assert "[4892, 8]" in lines
    assert '{"epoch": 1, "train_loss": 3.1, "val_loss": 3.4}' in lines
    assert '"estimate": 0.12' in lines


@given(_PLAIN)
def test_the_layout_of_the_json_changes_nothing(value: Any) -> None:
    assert json.loads(_dump(value, "")) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "holds a list"),
        ("{}", "no schema number"),
        ('{"schema": 1, "answer": "passed"}', "no 'headline'"),
        (f'{{"schema": {SCHEMA + 1}}}', "update pytest-modelgate"),
    ],
)
def test_what_is_no_report_is_refused_with_a_remedy(text: str, message: str) -> None:
    with pytest.raises(ModelgateError, match=message):
        Report.from_json(text)


def test_keys_that_a_report_does_not_have_are_ignored(report: Report) -> None:
    assert Report.from_dict({**report.to_dict(), "later": 1}) == report


def test_a_report_is_frozen(report: Report) -> None:
    with pytest.raises(AttributeError):
        report.answer = "passed"  # type: ignore[misc]
