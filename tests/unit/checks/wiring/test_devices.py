"""What stays behind when a model moves, found without an accelerator; and outputs on two devices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import DeviceError, Outcome, Verdict
from pytest_modelgate.checks.wiring import devices
from pytest_modelgate.checks.wiring.devices import check_same_on_devices

NO_ACCELERATOR = pytest.mark.skipif(torch.accelerator.is_available(), reason="this machine has an accelerator")
Y = torch.zeros(4)


class Net(nn.Module):
    """Sound, with a formula behind it."""

    def __init__(self, formula: Any = None) -> None:
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(9, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.rnn = nn.LSTM(8, 8, batch_first=True)
        self.register_buffer("scale", torch.ones(3))
        self.plain, self.extra = torch.ones(3), [nn.Linear(3, 3)]
        self.home, self.one = torch.device("cpu"), torch.tensor(2.0)
        self.formula = formula

    def forward(self, x: torch.Tensor) -> Any:
        out = self.head(self.norm(self.rnn(self.embed(x))[0][:, -1])) * self.scale
        return out if self.formula is None else self.formula(self, out)


def check(model: Any, where: Any = ("cpu", "meta")) -> Verdict:
    return check_same_on_devices(model, (torch.randint(0, 9, (4, 5)), Y), devices=where)


@pytest.mark.parametrize(
    "formula",
    [
        None,
        lambda net, out: out + torch.arange(3, device=out.device),
        lambda net, out: (out * net.one, out * torch.tensor(2.0), out[torch.arange(2)]),
        lambda net, out: out + net.plain.to(out.device),
        lambda net, out: out + torch.zeros(3, device=next(net.parameters()).device),
    ],
)
def test_nothing_stays_behind(formula: Any) -> None:
    verdict = check(Net(formula))
    assert (verdict.outcome, verdict.estimate, verdict.notes) == (Outcome.PASS, 0.0, ())
    assert "simulated" in verdict.explanation


def test_a_transformer_and_a_forward_that_looks_at_numbers() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    assert check_same_on_devices(model, (torch.randn(4, 5, 8), Y), devices=("cpu", "meta")).passed
    verdict = check(Net(lambda net, out: out if out.sum() > 0 else -out))
    assert (verdict.outcome, verdict.notes) == (Outcome.PASS, ("where forward looks at numbers it was given zeros",))


@pytest.mark.parametrize(
    ("what", "formula"),
    [
        ("plain, a plain attribute,", lambda net, out: out * net.plain),
        ("plain, a plain attribute,", lambda net, out: out[:, :2] * net.plain[:2]),
        ("plain, a plain attribute,", lambda net, out: torch.cat([out, net.plain[None]])),
        ("a tensor of shape [3] that forward makes", lambda net, out: torch.where(net.plain > 0, out, -out)),
        ("extra, a plain attribute,", lambda net, out: net.extra[0](out)),
        ("a tensor of shape [3, 3] that forward makes", lambda net, out: out @ torch.eye(3)),
        ("a tensor of shape [2] that forward makes", lambda net, out: out[:, :1] + net.embed(torch.arange(2)).sum()),
        ("a tensor of shape [3] that forward makes", lambda net, out: out + torch.ones(3, device=net.home)),
        ("a tensor on the cpu", lambda net, out: net.rnn(net.rnn.weight_ih_l0[None], 2 * (torch.zeros(1, 1, 8),))[0]),
    ],
)
def test_what_stays_behind_is_named(what: str, formula: Any) -> None:
    verdict = check(Net(formula))
    assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)
    assert what in verdict.explanation
    assert "register_buffer" in verdict.notes[0]


@NO_ACCELERATOR
@pytest.mark.parametrize(("if_unsure", "passed"), [("estimate", True), ("warn", True), ("fail", False)])
def test_without_an_accelerator_nothing_is_proved(if_unsure: str, passed: bool) -> None:
    batch = torch.randint(0, 9, (4, 5)), Y
    verdict = check_same_on_devices(Net(), batch, if_unsure=if_unsure)
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, passed)
    assert dict(verdict.details) == {"not_run": "this machine has no accelerator"}
    assert "not compared" in verdict.explanation
    assert "nothing stays behind" in verdict.explanation
    assert (verdict.would_settle(), verdict.if_unsure) == ((), if_unsure)
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_what_cannot_be_simulated() -> None:
    verdict = check(Net(lambda net, out: torch.from_numpy(out.numpy())))
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert "needs the numbers" in dict(verdict.details)["not_run"]
    model = Net()
    model.kept = model.head.weight * 2  # with a graph: deepcopy refuses it
    verdict = check(model)
    assert verdict.outcome is Outcome.UNDEFINED
    assert "a copy of the model cannot be moved" in dict(verdict.details)["not_run"]


def test_devices_that_are_none() -> None:
    with pytest.raises(DeviceError, match="two different devices"):
        check(Net(), ("cpu", "cpu"))
    with pytest.raises(DeviceError, match="'gpu' is not a device"):
        check(Net(), ("cpu", "gpu"))


@pytest.mark.parametrize(("error", "outcome"), [(1e-6, "PASS"), (3e-3, "PASS"), (0.05, "FAIL"), (torch.nan, "FAIL")])
def test_outputs_are_compared(error: float, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second device is made up: the CPU with an error."""
    second, on = torch.device("cuda", 7), devices._on

    def made_up(setting: Any, place: torch.device) -> Any:
        found = on(setting, torch.device("cpu"))
        return found if place.type == "cpu" else {path: one * (1 + error) for path, one in found.items()}

    monkeypatch.setattr(devices, "_on", made_up)
    monkeypatch.setattr(devices, "resolve_device", lambda name: second if name == "other" else torch.device("cpu"))
    verdict = check(Net(), ("cpu", "other"))
    assert verdict.outcome.value == outcome
    assert "cuda:7" in verdict.explanation
    assert verdict.bar == 0.01


def test_an_operation_that_a_device_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    second, on = torch.device("cuda", 7), devices._on

    def refuse(net: Any, out: torch.Tensor) -> torch.Tensor:
        if net.training is None:
            raise NotImplementedError("no kernel")
        return out

    def made_up(setting: Any, place: torch.device) -> Any:
        setting.module.training = False if place.type == "cpu" else None
        return on(setting, torch.device("cpu"))

    monkeypatch.setattr(devices, "_on", made_up)
    monkeypatch.setattr(devices, "resolve_device", lambda name: second if name == "other" else torch.device("cpu"))
    verdict = check(Net(refuse), ("cpu", "other"))
    assert verdict.outcome is Outcome.FAIL
    assert "cannot run on cuda:7: in Net, NotImplementedError: no kernel" in verdict.explanation


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_on_an_accelerator() -> None:
    model = Net()
    assert check(model, None).passed
    assert next(model.parameters()).device.type == "cpu"
    assert check(Net(lambda net, out: out * net.plain), None).outcome is Outcome.FAIL
