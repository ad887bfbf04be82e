"""Gate files over predictions, by slice, and against the run's baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CHURN = """\
predictions: {file: preds.csv, target: target, score: score, id: id, labels: [stays, churns], threshold: 0.5, \
slices: [region]}
gates:
  recall: {label: churns, at_least: 0.80}
  roc_auc: {at_least: 0.9}
  no_regression: {metric: f1, margin: 0.01}
slices:
  region: {recall: {label: churns, at_least: 0.60, min_support: 50}}
"""
BY_MODEL = """\
model: {factory: "shop:net"}
data: {test: "shop:load"}
outputs: probabilities
gates:
  recall: {at_least: 0.80}
  no_regression: {metric: recall, margin: 0.01}
slices:
  region: {recall: {at_least: 0.60, min_support: 50}}
"""
SHOP = """
import torch

class Net(torch.nn.Module):
    def forward(self, x):
        return x[:, 0]

net = Net

def load():
    score = [(n % 100) / 100 for n in range(1000)]
    region = ["north" if n % 2 else "south" for n in range(1000)]
    inputs, targets = torch.tensor(score)[:, None], torch.tensor([int(one >= 0.45) for one in score])
    return {"inputs": inputs, "targets": targets, "slices": {"region": region}}
"""


def predictions(lost: int = 0, rows: int = 1000) -> None:
    """A CSV file in which a tenth of those who churn are missed, and so many more."""
    lines = ["id,target,score,region"]
    for n in range(rows):
        target = "churns" if n % 2 else "stays"
        found = n % 2 == 1 and n % 20 != 1 and not (n % 20 == 3 and n // 20 < lost)
        lines.append(f"c{n},{target},{0.9 if found else 0.1 + n % 7 / 100},{'north' if n % 3 else 'south'}")
    Path("preds.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rows() -> dict[str, dict[str, Any]]:
    """The verdicts of the report, by the names of their gates in the file."""
    report = json.loads(Path("modelgate-report/report.json").read_text("utf-8"))
    return {row["test"].partition("::")[2]: row for row in report["verdicts"]}


def test_the_whole_way_from_predictions_to_a_regression(pytester: pytest.Pytester) -> None:
    predictions()
    Path("churn.modelgate.yaml").write_text(CHURN, encoding="utf-8")
    result = pytester.runpytest()
    result.assert_outcomes(passed=3, failed=1)
    assert any("churn.modelgate.yaml:5: " in line and "--modelgate-update-baseline" in line for line in result.outlines)
    pytester.runpytest("--modelgate-update-baseline").assert_outcomes(passed=4)
    pytester.runpytest("--modelgate-report").assert_outcomes(passed=4)
    found = rows()
    assert found["recall[churns] >= 0.80"]["estimate"] == 0.9
    family = found["region: recall[churns] >= 0.60"]
    assert (family["family"], family["outcome"]) == ("Holm over 2 slices", "PASS")
    assert found["no_regression(f1, margin=0.01)"]["estimate"] == 0
    predictions(lost=30)
    result = pytester.runpytest("--modelgate-report", "-k", "no_regression")
    result.assert_outcomes(failed=1, deselected=3)
    (regression,) = rows().values()
    assert regression["outcome"] == "FAIL"


def test_a_moved_bar_keeps_its_baseline(pytester: pytest.Pytester) -> None:
    predictions()
    file = Path("churn.modelgate.yaml")
    file.write_text(CHURN, encoding="utf-8")
    pytester.runpytest("--modelgate-update-baseline").assert_outcomes(passed=4)
    file.write_text(CHURN.replace("0.80", "0.75").replace("margin: 0.01", "margin: 0.02"), encoding="utf-8")
    pytester.runpytest("--modelgate-strict-baseline").assert_outcomes(passed=4)
    result = pytester.runpytest("--modelgate-report")
    result.assert_outcomes(passed=4)
    assert "bar lowered from 0.8 to 0.75" in Path("modelgate-report/report.md").read_text("utf-8").replace(
        "0.80", "0.8"
    )
    assert pytester.runpytest("--modelgate-fail-on-lowered-bar").ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("preds.csv", "nothing.csv", "churn.modelgate.yaml:1: *nothing.csv*"),
        ("target: target", "target: tarket", "churn.modelgate.yaml:1: *tarket*did you mean*target*"),
        ("labels: [stays, churns]", "labels: [stays, churn]", "churn.modelgate.yaml:*"),
    ],
)
def test_what_is_wrong_with_the_predictions_is_one_sentence(
    pytester: pytest.Pytester, before: str, after: str, place: str
) -> None:
    predictions()
    Path("churn.modelgate.yaml").write_text(CHURN.replace(before, after), encoding="utf-8")
    result = pytester.runpytest("--no-header")
    assert result.ret != 0
    result.stdout.fnmatch_lines([place])
    assert not [line for line in result.outlines if ".py:" in line]


def test_predictions_are_read_once_and_only_counted_where_that_is_enough(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_modelgate.evidence.evaluation import Evaluation

    kept: list[str] = []
    read = Evaluation.from_predictions

    def watched(**given: Any) -> Evaluation:
        kept.append(given["keep"])
        return read(**given)

    monkeypatch.setattr(Evaluation, "from_predictions", watched)
    predictions()
    counted = "\n".join(line for line in CHURN.splitlines() if "roc_auc" not in line and "regression" not in line)
    counted = counted.replace("id: id, ", "")
    for name in ("first", "second"):
        Path(f"{name}.modelgate.yaml").write_text(counted, encoding="utf-8")
    pytester.runpytest().assert_outcomes(passed=4)
    assert kept == ["counts"]
    Path("third.modelgate.yaml").write_text(CHURN.replace("  no_regression", "  #"), encoding="utf-8")
    pytester.runpytest().assert_outcomes(passed=7)
    assert kept == ["counts", "counts", "scores"]


def test_a_model_by_slices_and_against_its_baseline(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(shop=SHOP)
    Path("shop.modelgate.yaml").write_text(BY_MODEL, encoding="utf-8")
    pytester.runpytest("--modelgate-update-baseline").assert_outcomes(passed=3)
    pytester.runpytest("--modelgate-report").assert_outcomes(passed=3)
    found = rows()["region: recall >= 0.60"]["details"]["slices"]
    assert {one["slice"] for one in found} == {"region=south", "region=north"}


def test_gates_by_slice_need_slices(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(shop=SHOP.replace(', "slices": {"region": region}', ""))
    Path("shop.modelgate.yaml").write_text(BY_MODEL, encoding="utf-8")
    result = pytester.runpytest("-k", "region")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(["shop.modelgate.yaml:*slices*"])
