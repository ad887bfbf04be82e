"""The report as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_modelgate.reports.report import Report


def render(report: Report) -> str:
    """The report as GitHub-flavoured Markdown."""
    return f"## {report.headline}\n"
