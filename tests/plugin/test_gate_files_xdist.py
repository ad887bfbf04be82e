"""Gate files under pytest-xdist: the workers of a run evaluate a model once between them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("xdist")

FRAUD = """
import numpy as np
import torch

def tell(what):
    with open("calls.txt", "a") as calls:
        calls.write(what + " ")

class Net(torch.nn.Module):
    def forward(self, x):
        return 4 * x[:, 0]

def net():
    tell("model")
    return Net()

def load_test():
    tell("data")
    x = torch.linspace(-1, 1, 400)[:, None]
    y = (x[:, 0] > 0).long()
    y[::40] = 1 - y[::40]
    return x, y
"""
GATES = """\
model: {factory: "fraud:net"}
data: {test: "fraud:load_test"}
outputs: logits
labels: [ok, fraud]
gates:
  recall: [%s]
  roc_auc: {at_least: 0.9}
"""


def test_two_workers_evaluate_once(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    (pytester.path / "tmp").mkdir()
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(pytester.path / "tmp"))
    pytester.makepyfile(fraud=FRAUD)
    bars = ", ".join(f"{{label: fraud, at_least: {0.5 + number / 100:.2f}}}" for number in range(9))
    for name in ("first", "second"):
        text = GATES % (bars if name == "first" else f"{bars}, {{label: fraud, at_least: 0.995}}")
        Path(f"{name}.modelgate.yaml").write_text(text, encoding="utf-8")
    options = ("-n", "2", "-p", "no:cacheprovider", "--modelgate-report", "--junitxml=out.xml")
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(passed=20, failed=1)
    assert sorted(Path("calls.txt").read_text("utf-8").split()) == ["data", "model"]
    assert [path.name for path in (pytester.path / "tmp").glob("modelgate-*")] == []
    result.stdout.fnmatch_lines(["second.modelgate.yaml:6: GateFailure", "FAILED second*::recall?fraud? >= 0.995 - *"])
    report = json.loads(Path("modelgate-report/report.json").read_text("utf-8"))
    assert len(report["evaluations"]) == 1
    assert report["evaluations"][0]["model"] == "Net"
    names = [row["test"] for row in report["verdicts"]]
    assert names[:2] == ["first.modelgate.yaml::recall[fraud] >= 0.50", "first.modelgate.yaml::recall[fraud] >= 0.51"]
    assert len(names) == 21
    cases = [case.get("name") for case in ElementTree.parse("out.xml").getroot().iter("testcase")]
    assert "recall[fraud] >= 0.995" in cases
