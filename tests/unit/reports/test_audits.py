"""What the report's audits of data say, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_modelgate.evidence.audit import DataAudit, Finding
from pytest_modelgate.reports import audits

if TYPE_CHECKING:
    from types import SimpleNamespace


def test_an_audit_of_the_package_can_be_shown() -> None:
    finding = Finding(name="duplicates", count=2, of=300, rows=((7, 120), (9,)), text="2 rows")
    audit = DataAudit(about="leakage", sizes={"train": 1900, "test": 300}, features=30, findings=(finding,))
    row = {"key": "a", "tests": [], **audit.summary()}

    assert audits.title(row) == "leakage"
    assert audits.sizes(row) == [("train", "1,900"), ("test", "300"), ("features", "30")]
    assert audits.findings(row) == [
        audits.Finding(name="duplicates", rows="2 of 300", figures="–", first="7 (120), 9", text="2 rows", offends=True)
    ]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, ("–", "–", "–", False)),
        ({"count": 0, "of": 41}, ("0 of 41", "–", "–", False)),
        ({"count": 1200}, ("1,200", "–", "–", True)),
        ({"count": 2, "of": 9, "rows": [[1], [2]]}, ("2 of 9", "–", "1, 2", True)),
        ({"count": 3, "of": 9, "rows": [[1], [2]]}, ("3 of 9", "–", "1, 2, …", True)),
        ({"estimate": 0.5}, ("–", "0.500", "–", False)),
        ({"estimate": 0.5, "lower": 0.4, "upper": 0.6}, ("–", "0.500 (0.400 to 0.600)", "–", False)),
        ({"estimate": 0.5, "lower": 0.4}, ("–", "0.500", "–", False)),
        ({"estimate": 0.5, "p": 0.012}, ("–", "0.500 p = 0.012", "–", False)),
    ],
)
def test_a_finding_shows_what_is_known(
    make: SimpleNamespace, changes: dict[str, object], shown: tuple[str, str, str, bool]
) -> None:
    row = {"findings": [make.finding("x", "a sentence", **changes)]}
    (found,) = audits.findings(row)
    assert (found.rows, found.figures, found.first, found.offends) == shown
