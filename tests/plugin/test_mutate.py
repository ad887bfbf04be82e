"""`--modelgate-mutate`: would the gates of a run notice a broken model?"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

HEAD = """
import pytest
import torch
import pytest_modelgate as mg

torch.manual_seed(0)
TARGETS = torch.arange(300) % 3
INPUTS = torch.eye(3)[TARGETS] + 0.1 * torch.randn(300, 3)
LOSS = torch.nn.CrossEntropyLoss()


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 3)
        with torch.no_grad():
            self.head.weight.copy_(8 * torch.eye(3))
            self.head.bias.zero_()

    def forward(self, x):
        return self.head(x)


@pytest.fixture(scope="module")
def found(evaluate_model):
    return evaluate_model(Net(), (INPUTS, TARGETS), loss=LOSS)
"""
STRICT = "def test_strict(found):\n    mg.assert_every_class_recall_at_least(found, 0.9)\n"
BLIND = "def test_blind(found):\n    mg.assert_accuracy_at_least(found, 0.0, allow_vacuous=True)\n"


def write(pytester: pytest.Pytester, *bodies: str) -> None:
    pytester.makepyfile(test_it=HEAD + "".join(dedent(body) for body in bodies))


def mutation() -> dict[str, Any]:
    report = json.loads(Path("modelgate-report/report.json").read_text("utf-8"))
    assert isinstance(report["mutation"], dict)
    return report["mutation"]


def faults(model: dict[str, Any]) -> dict[str, bool]:
    return {fault["name"]: fault["caught"] for fault in model["faults"] if not fault["equivalent"]}


def test_which_faults_the_gates_notice(pytester: pytest.Pytester) -> None:
    write(pytester, STRICT, BLIND)
    result = pytester.runpytest("--modelgate-mutate")
    assert result.ret == 0
    found = mutation()
    (model,) = found["models"]
    assert model["model"] == "Net"
    assert model["tests"] == ["test_it.py::test_strict", "test_it.py::test_blind"]
    by_gate = {gate["gate"]: gate["caught"] for gate in model["gates"]}
    assert by_gate["accuracy >= 0"] == 0
    assert by_gate["every_class_recall >= 0.9"] == found["caught"]
    caught = faults(model)
    assert caught["always the majority class"]
    assert caught["weights of 'head' zeroed"]
    assert any(caught[name] for name in caught if name.startswith("classes"))
    assert not all(caught.values()) or found["equivalent"]
    (zeroed,) = (fault for fault in model["faults"] if fault["name"] == "weights of 'head' zeroed")
    strict = zeroed["cells"][0]
    assert (strict["caught"], strict["outcome"], strict["estimate"], strict["moved"]) == (True, "FAIL", 0.0, -1.0)
    blind = zeroed["cells"][1]
    assert (blind["caught"], blind["estimate"]) == (False, pytest.approx(1 / 3))
    result.stdout.fnmatch_lines(["*mutation: * noticed *"])
    assert "mutation" in Path("modelgate-report/report.html").read_text("utf-8").lower()


def test_nothing_is_mutated_unless_it_is_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmodelgate_mutate_min = 1.0\n")
    write(pytester, BLIND)
    result = pytester.runpytest("--modelgate-report")
    assert result.ret == 0
    assert json.loads(Path("modelgate-report/report.json").read_text("utf-8"))["mutation"] is None
    result.stdout.no_fnmatch_line("*mutation*")


@pytest.mark.parametrize(("minimum", "code"), [("0.05", 0), ("1.0", 1)])
def test_the_minimum_decides(pytester: pytest.Pytester, minimum: str, code: int) -> None:
    """A minimum on the command line is enough to ask for it."""
    write(pytester, BLIND, "def test_loss(found):\n    mg.assert_loss_at_most(found, 2.0)\n")
    result = pytester.runpytest(f"--modelgate-mutate-min={minimum}")
    assert result.ret == code
    assert mutation()["enough"] is (code == 0)
    report = json.loads(Path("modelgate-report/report.json").read_text("utf-8"))
    assert report["answer"] == ("failed" if code else "passed")
    assert report["tests"]["passed"] == 2


def test_the_minimum_from_the_ini_file(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmodelgate_mutate_min = 1.0\n")
    write(pytester, BLIND)
    assert pytester.runpytest("--modelgate-mutate").ret == 1
    assert pytester.runpytest("--modelgate-mutate", "--modelgate-mutate-min=0.01").ret == 1  # it notices nothing at all


def test_a_minimum_is_not_met_where_nothing_could_be_mutated(pytester: pytest.Pytester) -> None:
    write(pytester, "def test_a():\n    mg.assert_recall_at_least(mg.ConfusionMatrix([[9, 1], [1, 9]]), 0.5)\n")
    assert pytester.runpytest("--modelgate-mutate").ret == 0
    assert pytester.runpytest("--modelgate-mutate-min=0.1").ret == 1
    (one,) = mutation()["not_mutated"]
    assert (one["test"], one["why"]) == ("test_it.py::test_a", "its evidence was not made by evaluate")


def test_workers_find_the_same(pytester: pytest.Pytester) -> None:
    write(pytester, STRICT, BLIND, "def test_loss(found):\n    mg.assert_loss_at_most(found, 0.5)\n")
    alone = pytester.runpytest("--modelgate-mutate", "-q")
    assert alone.ret == 0
    before = mutation()
    assert pytester.runpytest_subprocess("--modelgate-mutate", "-n", "2").ret == 0
    assert mutation() == before
    assert before["counted"] > 5


def test_what_cannot_be_mutated_is_listed(pytester: pytest.Pytester) -> None:
    write(
        pytester,
        """
        def test_predictions():
            e = mg.Evaluation.from_predictions(target=[0, 1] * 50, preds=[0.1, 0.9] * 50, outputs="probabilities")
            mg.assert_roc_auc_at_least(e, 0.9)

        def test_history():
            history = mg.History(loss="mse_loss")
            for epoch in range(1, 13):
                history.log(epoch=epoch, train_loss=1 / epoch, val_loss=1 / epoch)
            mg.assert_loss_decreases(history)

        def test_expected(found):
            with pytest.raises(mg.GateFailure):
                mg.assert_loss_at_most(found, 0.0)
        """,
    )
    assert pytester.runpytest("--modelgate-mutate").ret == 0
    found = mutation()
    assert [one["test"] for one in found["not_mutated"]] == ["test_it.py::test_predictions", "test_it.py::test_history"]
    (model,) = found["models"]
    assert [gate["state"] for gate in model["gates"]] == ["red already"]
    assert found["counted"] == 0


def test_derived_evidence_is_derived_again(pytester: pytest.Pytester) -> None:
    write(
        pytester,
        """
        class Score(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = torch.nn.Linear(1, 1)
                with torch.no_grad():
                    self.scale.weight.fill_(4.0)
                    self.scale.bias.zero_()

            def forward(self, x):
                return self.scale(x).squeeze(1)

        @pytest.fixture(scope="module")
        def score(evaluate_model):
            x = torch.linspace(-2, 2, 400).unsqueeze(1)
            return evaluate_model(Score(), iter([(x, (x[:, 0] > 0.3).long())]), outputs="logits")

        def test_threshold(score):
            mg.assert_precision_at_least(score.at_threshold(0.3), 0.1)

        def test_matrix(score):
            mg.assert_precision_at_least(score.confusion_matrix, 0.1)
        """,
    )
    assert pytester.runpytest("--modelgate-mutate").ret == 0
    (model,) = mutation()["models"]
    assert [gate["state"] for gate in model["gates"]] == ["mutated", "mutated"]
    cells = {fault["name"]: fault["cells"] for fault in model["faults"]}
    swapped = next(name for name in cells if name.startswith("classes"))
    assert [cell["caught"] for cell in cells[swapped]] == [True, True]
    at_three, at_five = (gate["estimate"] for gate in model["gates"])
    (up,) = (each for name, each in cells.items() if name.startswith("threshold") and "+0.2" in name)
    assert up[0]["estimate"] == at_five != at_three  # 0.3 became 0.5
    assert up[1]["estimate"] > at_five


@pytest.mark.parametrize("flags", [["-q"], ["-x"], ["--collect-only"], ["-p", "no:terminal"]])
def test_however_pytest_is_called(pytester: pytest.Pytester, flags: list[str]) -> None:
    write(pytester, STRICT, "def test_red(found):\n    mg.assert_loss_at_most(found, 0.0)\n", BLIND)
    result = pytester.runpytest("--modelgate-mutate", *flags)
    if "--collect-only" in flags:
        assert result.ret == 0
        assert not Path("modelgate-report").exists()
        return
    assert result.ret == 1
    (model,) = mutation()["models"]
    assert len(model["gates"]) == (2 if "-x" in flags else 3)
    assert model["counted"] > 0


def test_a_model_that_has_no_twins_does_not_end_the_run(pytester: pytest.Pytester) -> None:
    write(
        pytester,
        """
        def test_scripted(evaluate_model):
            scripted = torch.jit.trace(Net(), INPUTS[:2])
            mg.assert_accuracy_at_least(evaluate_model(scripted, (INPUTS, TARGETS), loss=LOSS), 0.9)
        """,
    )
    pytester.makeini("[pytest]\nfilterwarnings =\n    ignore::DeprecationWarning\n")
    assert pytester.runpytest("--modelgate-mutate").ret == 0
    found = mutation()
    assert found["models"] or found["not_mutated"]
