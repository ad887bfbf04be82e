"""The fixtures: of the session, on the run's device, seeded by the run's seed."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

HEAD = """
import random
import numpy as np
import pytest
import torch
from torch import nn
import pytest_modelgate as mg

X = torch.linspace(-1, 1, 60)[:, None]
Y = (X[:, 0] > 0.1).long()

def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.1)

PLAN = {"loss": nn.BCEWithLogitsLoss(), "optimizer": adam, "epochs": 2}

class Net(nn.Linear):
    def __init__(self):
        super().__init__(1, 1)
"""


def run(pytester: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(test_it=HEAD + dedent(body))
    return pytester.runpytest("--modelgate-report", "-W", "error", *options)


def report() -> dict[str, Any]:
    return json.loads(Path("modelgate-report/report.json").read_text("utf-8"))


def test_the_device(pytester: pytest.Pytester) -> None:
    body = """
    def test_a(modelgate_device):
        assert modelgate_device == torch.device("cpu")
    """
    run(pytester, body, "--modelgate-device=cpu").assert_outcomes(passed=1)


def test_auto_takes_the_accelerator_where_there_is_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No accelerator is here, so torch is made to name one; nothing is run on it."""
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *args, **kwargs: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    body = """
    def test_a(modelgate_device):
        assert str(modelgate_device) == {device!r}
    """
    for option, device in [("auto", "cuda"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), ("cpu", "cpu")]:
        run(pytester, body.format(device=device), f"--modelgate-device={option}").assert_outcomes(passed=1)
    result = run(pytester, "def test_a(): pass", "--modelgate-device=cuda:2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'cuda:2' is not here: this machine has cpu, cuda:0, cuda:1*"])
    result = run(pytester, "def test_a(): pass", "--modelgate-device=mps")
    result.stderr.fnmatch_lines(["*'mps' is not here: this machine has cpu, cuda:0, cuda:1*"])


def test_training_takes_the_runs_seed_and_device(pytester: pytest.Pytester) -> None:
    body = """
    def test_a(train_model):
        trained = train_model(Net, (X, Y), **PLAN)
        assert (trained.seed, trained.device) == (5, torch.device("cpu"))
        again = train_model(Net, (X, Y), **PLAN)
        assert torch.equal(trained.model.weight, again.model.weight)
        other = train_model(Net, (X, Y), seed=6, **PLAN)
        assert other.seed == 6
        assert not torch.equal(trained.model.weight, other.model.weight)
        plain = mg.train_model(Net, (X, Y), seed=5, device="cpu", **PLAN)
        assert torch.equal(trained.model.weight, plain.model.weight)
    """
    run(pytester, body, "--modelgate-seed=5", "--modelgate-device=cpu").assert_outcomes(passed=1)
    histories = report()["histories"]
    assert [history["seed"] for history in histories] == [5, 6]  # the same training again is the same history
    assert histories[0]["threads"] >= 1


def test_the_random_state_of_the_test_is_left_alone(pytester: pytest.Pytester) -> None:
    body = """
    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    def test_a(train_model, evaluate_model):
        before = state()
        trained = train_model(Net, (X, Y), validation_data=(X, Y), **PLAN)
        evaluate_model(trained, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), shuffle=True))
        assert state() == before
    """
    run(pytester, body).assert_outcomes(passed=1)


def test_from_training_to_gate(pytester: pytest.Pytester) -> None:
    body = """
    @pytest.fixture(scope="session")
    def evaluation(train_model, evaluate_model):
        trained = train_model(Net, (X, Y), validation_data=(X, Y), **PLAN | {"epochs": 80})
        return evaluate_model(trained, (X, Y), labels=("low", "high"))

    def test_recall(evaluation):
        mg.assert_recall_at_least(evaluation, 0.8, label="high")

    def test_loss(evaluation):
        mg.assert_loss_at_most(evaluation, 0.4)

    def test_is_no_copy(evaluation, evaluate_model):
        assert isinstance(evaluation, mg.Evaluation)
        assert evaluation == evaluate_model(nn.Identity(), (evaluation.scores.values, evaluation.scores.target),
                                            loss="binary_cross_entropy_with_logits", labels=("low", "high"))
    """
    run(pytester, body).assert_outcomes(passed=3)
    found = report()
    assert found["histories"][0]["tests"] == ["test_it.py::test_recall"]
    assert found["evaluations"][0]["tests"] == ["test_it.py::test_recall", "test_it.py::test_loss"]
    assert [verdict["test_outcome"] for verdict in found["verdicts"]] == ["passed", "passed"]


def test_an_evaluation_without_a_gate_is_in_the_report_too(pytester: pytest.Pytester) -> None:
    body = """
    def test_a(evaluate_model):
        evaluate_model(nn.Identity(), (torch.tensor([-1.0, 2.0]), torch.tensor([0, 1])), outputs="logits")
    """
    run(pytester, body).assert_outcomes(passed=1)
    (found,) = report()["evaluations"]
    assert (found["tests"], found["counts"], found["model"]) == (["test_it.py::test_a"], [[1, 0], [0, 1]], "Identity")


def test_loading(pytester: pytest.Pytester) -> None:
    body = """
    def test_a(load_model, tmp_path, evaluate_model):
        model = Net()
        nn.init.constant_(model.weight, 2.0)  # logits on both sides of zero
        torch.save(model.state_dict(), tmp_path / "model.pt")
        loaded = load_model(tmp_path / "model.pt", Net)
        assert torch.equal(loaded.weight, model.weight)
        assert evaluate_model(loaded, (X, Y), outputs="logits") == evaluate_model(model, (X, Y), outputs="logits")
        with pytest.raises(mg.CheckpointError):
            load_model(tmp_path / "none.pt", Net)
    """
    run(pytester, body).assert_outcomes(passed=1)


def test_a_loop_of_the_users_own(pytester: pytest.Pytester) -> None:
    body = """
    def fit(model, run):
        assert (run.seed, str(run.device)) == (0, "cpu")
        for epoch in range(1, 4):
            run.history.log(epoch=epoch, train_loss=1 / epoch)

    def test_a(train_model):
        assert train_model(Net, None, fit=fit).history.train_loss == (1, 0.5, 1 / 3)
    """
    run(pytester, body, "--modelgate-device=cpu").assert_outcomes(passed=1)
    assert [row["epoch"] for row in report()["histories"][0]["epochs"]] == [1, 2, 3]


def test_the_fixtures_look_like_what_they_stand_for(pytester: pytest.Pytester) -> None:
    body = """
    import inspect

    STANDS_FOR = {"train_model": mg.train_model, "load_model": mg.load_model, "evaluate_model": mg.evaluate}

    @pytest.mark.parametrize(("name", "function"), STANDS_FOR.items())
    def test_a(request, name, function):
        fixture = request.getfixturevalue(name)
        assert inspect.signature(fixture) == inspect.signature(function)
        assert fixture.__doc__ == function.__doc__
    """
    run(pytester, body).assert_outcomes(passed=3)
