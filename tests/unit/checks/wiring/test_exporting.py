"""A model that is exported gives the same, or the check says what stands in the way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import EvidenceError, Outcome, Verdict
from pytest_modelgate.checks.wiring import exporting
from pytest_modelgate.checks.wiring.exporting import check_export_parity


class Net(nn.Module):
    def __init__(self, formula: Any = None) -> None:
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3)
        self.formula = formula

    def forward(self, x: torch.Tensor, more: torch.Tensor) -> Any:
        out = self.drop(self.norm(self.first(x))).relu() + more
        return out if self.formula is None else self.formula(out)


def check(formula: Any = None, **options: Any) -> Verdict:
    torch.manual_seed(0)
    inputs = {"x": torch.randn(5, 4), "more": torch.randn(5, 1)}
    return check_export_parity(Net(formula), (inputs, torch.zeros(5)), **options)


def test_a_sound_network() -> None:
    verdict = check(lambda out: {"a": out, "b": (out.sum(1), out > 0)})
    assert (verdict.outcome, verdict.notes, verdict.support) == (Outcome.PASS, (), 5)
    assert verdict.estimate is not None
    assert verdict.estimate < 1e-5


def test_a_branch_on_values(capfd: pytest.CaptureFixture[str]) -> None:
    verdict = check(lambda out: out if out.sum() > 0 else -out)
    assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.FAIL, False, None)
    assert verdict.explanation.startswith("FAIL: Net cannot be run as export: ")
    assert len(verdict.explanation) < 300
    assert "torch.where" in verdict.notes[0]
    assert capfd.readouterr() == ("", "")  # no graph is printed


class Scaled:
    """In the place of what an exporter makes: the model with an error."""

    def __init__(self, factor: Any) -> None:
        self.factor = factor

    def __call__(self, setting: Any) -> Any:
        return lambda inputs: {"output": self.factor(setting.module(**inputs).detach(), inputs)}


@pytest.mark.parametrize(
    ("factor", "outcome"),
    [
        (lambda out, inputs: out * (1 + 1e-6), "PASS"),
        (lambda out, inputs: out * 1.001, "FAIL"),
        (lambda out, inputs: out * torch.nan, "FAIL"),
        (lambda out, inputs: out[:, :2], "FAIL"),
        (lambda out, inputs: out + (inputs["more"][0] != out[0, 0]) * (inputs["more"][0] - FIRST), "FAIL"),
    ],
)
def test_what_is_compared(factor: Any, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(exporting._MAKERS, "export", (Scaled(factor), lambda: None))
    verdict = check()
    assert verdict.outcome.value == outcome
    assert Verdict.from_json(verdict.to_json()) == verdict


torch.manual_seed(0)
torch.randn(5, 4)
FIRST = torch.randn(5, 1)[0]  # of the batch in `check`: right on it, and wrong on the rows in another order


def test_a_form_that_cannot_be_made_here_never_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    monkeypatch.setattr(exporting.shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setitem(exporting._MAKERS, "export", (Scaled(lambda out, inputs: out), lambda: None))
    verdict = check(formats=("export", "compile", "onnx"))
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert dict(verdict.details) == {"not_run": "compile: there is no C++ compiler"}
    assert verdict.notes[1] == "not run: onnx, onnxscript and onnxruntime not installed"
    monkeypatch.setitem(exporting._MAKERS, "export", (Scaled(lambda out, inputs: -out), lambda: None))
    assert check(formats=["onnx", "export"]).outcome is Outcome.FAIL


def test_wrong_use_and_nothing_to_compare() -> None:
    with pytest.raises(EvidenceError, match="did you mean 'export'"):
        check(formats=("exports",))
    with pytest.raises(EvidenceError, match="there are 'export', 'compile', 'onnx'"):
        check(formats=())
    assert check(lambda out: out * torch.nan).outcome is Outcome.UNDEFINED


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_model_is_not_judged() -> None:
    model = torch.jit.script(nn.Linear(4, 2))
    verdict = check_export_parity(model, (torch.randn(4, 4), torch.zeros(4)))
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert "a TorchScript module cannot be exported" in verdict.explanation


def test_a_model_that_cannot_be_exported_is_told_from_one_that_differs() -> None:
    class Branches(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if float(x.sum()) > 0 else x[:, :2]

    verdict = check_export_parity(Branches(4, 2), (torch.randn(4, 4), torch.zeros(4)))
    assert verdict.outcome is Outcome.FAIL
    assert dict(verdict.details) == {"unmade": ["export"]}
