"""All checks in one table, and the assertions: record, raise, leave the model as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_modelgate import EvidenceError, GateFailure, Outcome, Verdict
from pytest_modelgate.assertions import wiring as assertions
from pytest_modelgate.checks.wiring import table
from pytest_modelgate.checks.wiring.judging import judged

X = torch.randn(24, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
LOSS = nn.CrossEntropyLoss()
NAMES = [
    "input_kept",
    "deterministic",
    "no_batch_mixing",
    "finite_gradients",
    "all_parameters_train",
    "initial_loss_sane",
    "fits_one_batch",
    "learns_from_input",
    "checkpoint_round_trip",
    "same_on_devices",
    "export_parity",
]


class Net(nn.Module):
    def __init__(self, bug: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bug = bug
        self.body = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.bug == "overwrites":
            x -= 1
        if self.bug == "overwrites in training" and self.training:
            x -= 1
        if self.bug == "raises in training" and self.training:
            raise RuntimeError("no such head")
        h = self.body(x)
        if self.bug == "detach":
            h = h.detach()
        if self.bug == "dropout left on":
            h = F.dropout(h, 0.5)
        if self.bug == "layer made in forward":
            h = F.relu(nn.Linear(16, 16)(h))
        if self.bug == "batch mean":
            h = h - h.mean(0)
        return self.head(h)


def check(bug: str = "", batch: Any = (X, Y), loss: Any = LOSS, **options: Any) -> Verdict:
    return table.check_model(Net(bug), batch, loss, **{"export": False} | options)


def test_a_sound_model() -> None:
    verdict = check(export=True)
    words = dict(verdict.details)
    assert list(words) == NAMES
    assert verdict.outcome is Outcome.PASS, verdict
    left_out = {name for name, word in words.items() if word == "not run"}
    assert left_out == (set() if torch.accelerator.is_available() else {"same_on_devices"})
    ran = len(NAMES) - len(left_out)
    assert verdict.explanation == f"PASS: {ran} of {ran} checks of Net passed" + "; 1 not run" * bool(left_out)
    assert (verdict.metric, verdict.gate, verdict.bar, verdict.hits) == ("check_model", "check_model", 1.0, ran)
    columns = {line.index(words[line.split()[0]], len(line.split()[0])) for line in verdict.notes if line[0] != " "}
    assert len(columns) == 1  # aligned
    assert Verdict.from_json(verdict.to_json()) == verdict


@pytest.mark.parametrize(
    ("bug", "failed"),
    [
        ("detach", "all_parameters_train"),
        ("overwrites", "input_kept"),
        ("overwrites in training", "input_kept"),
        ("dropout left on", "deterministic"),
        ("layer made in forward", "deterministic"),
        ("batch mean", "no_batch_mixing"),
    ],
)
def test_bugs(bug: str, failed: str) -> None:
    verdict = check(bug)
    assert verdict.outcome is Outcome.FAIL
    assert dict(verdict.details)[failed] == "FAIL"
    assert failed in verdict.explanation


def test_an_exception_out_of_the_model_fails_the_check_that_it_broke() -> None:
    verdict = check("raises in training")
    words = dict(verdict.details)
    assert words["finite_gradients"] == words["all_parameters_train"] == "FAIL"
    assert words["deterministic"] == words["no_batch_mixing"] == "PASS"
    assert "the model raised RuntimeError: no such head" in str(verdict)
    assert "test_table.py" in str(verdict)


def test_samples_that_are_not_finite_are_called_so() -> None:
    verdict = check(batch=(X * float("nan"), Y))
    assert verdict.outcome is Outcome.FAIL
    assert dict(verdict.details)["fits_one_batch"] == "not run"
    assert str(verdict).count("their loss is not finite: see finite_gradients") == 2
    assert "fits as well as any" not in str(verdict)


def test_one_error_in_many_checks_is_told_once() -> None:
    verdict = check(batch=(X[:, :2], Y))
    assert verdict.outcome is Outcome.FAIL
    assert str(verdict).count("the same error as in input_kept") >= 3
    raised = [line for line in verdict.notes if "the model raised" in line]
    assert len({line.partition("raised")[2] for line in raised}) == len(raised)


def test_a_batch_of_one() -> None:
    verdict = check(batch=(X[:1], Y[:1]))
    words = dict(verdict.details)
    assert words["fits_one_batch"] == words["finite_gradients"] == "not run"
    assert "BatchNorm in training mode needs two samples" in str(verdict)
    assert verdict.support == sum(word != "not run" for word in words.values())


def test_a_model_that_cannot_be_exported_is_no_fault_of_its_wiring() -> None:
    class Branches(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = super().forward(x)
            return out if float(out.detach().sum()) > -1e9 else -out

    verdict = table.check_model(Branches(), (X, Y), LOSS)
    assert verdict.outcome is Outcome.PASS, verdict
    assert dict(verdict.details)["export_parity"] == "not run"
    assert "cannot be run as export" in str(verdict)


def test_where_no_check_of_training_could_run_nothing_is_passed() -> None:
    class Pair(Net):
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x), x

    verdict = table.check_model(Pair(), (X, Y), LOSS, export=False)
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert "no check of how Pair trains could run" in verdict.explanation
    assert "tuple" in str(verdict)


def test_export_can_be_left_out() -> None:
    verdict = check()
    assert dict(verdict.details)["export_parity"] == "not run"
    assert "export=False" in str(verdict)


def test_options_reach_the_check() -> None:
    verdict = check(optimizer=lambda _: torch.optim.SGD([torch.zeros(1, requires_grad=True)]))
    assert dict(verdict.details)["all_parameters_train"] == "FAIL"
    model = Net()
    model.body.requires_grad_(False).eval()
    verdict = table.check_model(model, (X, Y), LOSS, frozen=iter(["body.0"]))
    assert "body.1.weight, body.1.bias: frozen, and not named" in str(verdict)


def test_wrong_use_is_no_row() -> None:
    with pytest.raises(EvidenceError, match="Give loss="):
        check(loss=None)
    with pytest.raises(EvidenceError, match="give a pair"):
        check(batch=X)


def test_where_no_check_could_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def undefined(name: str) -> Any:
        return lambda *_, **__: judged(name, Outcome.UNDEFINED, "nothing to judge", support=0)

    for name in NAMES:
        monkeypatch.setattr(table, f"check_{name}", undefined(name))
    verdict = check()
    assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
    assert verdict.explanation == "UNDEFINED: no check of Net could run"


@pytest.mark.parametrize(
    "name",
    [
        "assert_all_parameters_train",
        "assert_finite_gradients",
        "assert_fits_one_batch",
        "assert_initial_loss_sane",
        "assert_learns_from_input",
    ],
)
def test_assertions(name: str) -> None:
    function = getattr(assertions, name)
    verdict = function(Net(), (X, Y), loss=LOSS)
    assert verdict.passed
    assert name == f"assert_{verdict.metric}"
    model = Net()
    with torch.no_grad():
        model.head.weight.fill_(float("nan"))
    with pytest.raises(GateFailure) as failure:
        function(model.requires_grad_(name == "assert_initial_loss_sane"), (X, Y), loss=LOSS)
    assert failure.value.verdict.metric == verdict.metric
    with pytest.raises(EvidenceError, match="Give loss="):
        function(Net(), (X, Y))


def test_the_assertion_of_all() -> None:
    assert assertions.check_model(Net(), (X, Y), LOSS).passed
    with pytest.raises(GateFailure, match="all_parameters_train"):
        assertions.check_model(Net("detach"), (X, Y), LOSS)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("assert_deterministic", {}),
        ("assert_no_batch_mixing", {}),
        ("assert_checkpoint_round_trip", {"factory": Net}),
        ("assert_same_on_devices", {"devices": ("cpu", "meta")}),
    ],
)
def test_assertions_without_a_loss(name: str, options: dict[str, Any]) -> None:
    verdict = getattr(assertions, name)(Net(), (X, Y), **options)
    assert verdict.passed
    assert name == f"assert_{verdict.metric}"


def test_an_unknown_form_of_export() -> None:
    with pytest.raises(EvidenceError):
        assertions.assert_export_parity(Net(), (X, Y), formats=["onyx"])


@pytest.mark.parametrize(
    ("targets", "loss", "said"),
    [
        (torch.full_like(Y, 17), LOSS, "classes apart, so targets run from 0 to"),
        (Y.float(), nn.BCEWithLogitsLoss(), "one target for each output"),
    ],
)
def test_targets_that_the_loss_cannot_take_fail(targets: torch.Tensor, loss: Any, said: str) -> None:
    verdict = check(batch=(X, targets), loss=loss)
    assert verdict.outcome is Outcome.FAIL
    assert dict(verdict.details)["finite_gradients"] == "FAIL"
    assert said in str(verdict)
