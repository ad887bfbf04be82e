"""A model is trained once, then only where something that it depends on has changed."""

from __future__ import annotations

import json
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

MODEL = '''
"""A small model."""
import torch

from project_helpers import scaled

WIDTH = 8


class Net(torch.nn.Module):
    """One hidden layer."""

    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(4, WIDTH)
        self.out = torch.nn.Linear(WIDTH, 2)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(scaled(x))))


class Other(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.out = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.out(x)
'''
HELPERS = """
def scaled(x):
    return x * 2.0


def unused(x):
    return x + 1
"""
TESTS = """
import os
import pathlib

import pytest
import torch

from project_model import Net, Other

INPUTS = torch.arange(160.0).reshape(40, 4).sin()
TARGETS = (INPUTS[:, 0] > 0).long()


def make_fit(rate):
    def fit(model, run):
        epochs = int(pathlib.Path("config.txt").read_text())
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        inputs, targets = run.train_data
        for _ in range(epochs):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            run.history.log(train_loss=loss, process=os.getpid())
    return fit


@pytest.fixture(scope="session")
def trained(train_model):
    return train_model(Net, (INPUTS, TARGETS), fit=make_fit(0.1), device="cpu")


@pytest.mark.parametrize("number", range(4))
def test_net(trained, evaluate_model, number):
    evaluation = evaluate_model(trained, (INPUTS, TARGETS), loss="cross_entropy")
    assert evaluation.metric("accuracy") >= 0


def test_other(train_model):
    train_model(Other, (INPUTS, TARGETS), fit=make_fit(0.1), device="cpu")
"""
FILES = {"project_model.py": MODEL, "project_helpers.py": HELPERS, "test_it.py": TESTS, "config.txt": "3"}


class Project:
    """A small project with two models, whose tests are run again and again."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        for name, text in FILES.items():
            (pytester.path / name).write_text(text, "utf-8")
        pytester.syspathinsert()

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.pytester.path / file
        text = path.read_text("utf-8")
        assert text.count(old) >= 1, (file, old)
        path.write_text(text.replace(old, new), "utf-8")

    def run(self, *options: str, apart: bool = False) -> dict[str, dict[str, Any]]:
        """The trainings by their model: state, key and what changed."""
        run = self.pytester.runpytest_subprocess if apart else self.pytester.runpytest_inprocess
        self.result = run("--modelgate-report", "-p", "no:cacheprovider", *options)
        assert self.result.ret == 0, self.result.outlines
        self.report = json.loads((self.pytester.path / "modelgate-report/report.json").read_text("utf-8"))
        return {row["model"]: row["training"] for row in self.report["histories"]}

    def states(self, *options: str, apart: bool = False) -> dict[str, str]:
        return {model: training["state"] for model, training in self.run(*options, apart=apart).items()}


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)


RETRAINS: dict[str, tuple[str, str, str, str]] = {
    "a line of the model's code": ("project_model.py", "torch.relu(", "torch.tanh(", "Net"),
    "a line of a helper that it calls": ("project_helpers.py", "x * 2.0", "x * 3.0", "Net"),
    "a constant that it reads": ("project_model.py", "WIDTH = 8", "WIDTH = 9", "Net"),
    "a closure's value": ("test_it.py", "(INPUTS, TARGETS), fit=make_fit(0.1), device=\"cpu\")\n\n\n@",
                          "(INPUTS, TARGETS), fit=make_fit(0.2), device=\"cpu\")\n\n\n@", "Net"),
    "the data": ("test_it.py", ".sin()", ".cos()", "Net Other"),
    "a configuration file read in the loop": ("config.txt", "3", "4", "Net Other"),
    "a line of the loop": ("test_it.py", "optimizer.zero_grad()", "model.zero_grad()", "Net Other"),
}  # fmt: skip
DOES_NOT: dict[str, tuple[str, str, str]] = {
    "another test in the same file": ("test_it.py", "accuracy\") >= 0", "accuracy\") >= 0.0"),
    "a new test": ("test_it.py", "def test_other(", "def test_new():\n    pass\n\n\ndef test_other("),
    "a comment": ("project_model.py", "        super()", "        # as torch wants it\n        super()"),
    "a docstring": ("project_model.py", "One hidden layer.", "One hidden layer, and another sentence."),
    "a helper that nobody calls": ("project_helpers.py", "x + 1", "x + 2"),
    "blank lines": ("project_helpers.py", "def scaled", "\n\n\ndef scaled"),
}  # fmt: skip


@pytest.mark.parametrize("what", RETRAINS)
def test_what_retrains(project: Project, what: str) -> None:
    file, old, new, models = RETRAINS[what]
    assert project.states() == {"Net": "trained", "Other": "trained"}
    assert project.states() == {"Net": "cached", "Other": "cached"}
    project.edit(file, old, new)
    trainings = project.run()
    assert {model for model, training in trainings.items() if training["state"] == "trained"} == set(models.split())
    for model in models.split():
        assert trainings[model]["changed"], "the report says what changed"
    assert set(project.states().values()) == {"cached"}


@pytest.mark.parametrize("what", DOES_NOT)
def test_what_does_not(project: Project, what: str) -> None:
    assert set(project.states().values()) == {"trained"}
    project.edit(*DOES_NOT[what])
    assert project.states() == {"Net": "cached", "Other": "cached"}


def test_another_models_code(project: Project) -> None:
    project.run()
    project.edit("project_model.py", "return self.out(x)", "return self.out(x * 2)")
    assert project.states() == {"Net": "cached", "Other": "trained"}


def test_a_changed_file_and_back(project: Project) -> None:
    project.run()
    project.edit("config.txt", "3", "4")
    (words,) = project.run()["Net"]["changed"]
    assert "config.txt" in words
    project.edit("config.txt", "4", "3")
    assert set(project.states().values()) == {"cached"}


def test_what_k_and_n_do_not_change(project: Project) -> None:
    """Ten tests and four workers: one training of each model, then none."""
    project.edit("test_it.py", "range(4)", "range(9)")
    trainings = project.run("-n", "4", apart=True)
    assert {model: training["state"] for model, training in trainings.items()} == {"Net": "trained", "Other": "trained"}
    processes = {row["model"]: {epoch["process"] for epoch in row["epochs"]} for row in project.report["histories"]}
    assert all(len(pids) == 1 for pids in processes.values())
    assert len(project.report["histories"]) == 2
    again = project.run("-k", "net", apart=True)
    assert (again["Net"]["state"], again["Net"]["key"]) == ("cached", trainings["Net"]["key"]), again["Net"]["changed"]


def test_off_and_refresh(project: Project) -> None:
    first = project.run()["Net"]
    assert re.fullmatch("[0-9a-f]{12}", first["key"])
    assert project.run("--modelgate-cache=off") == {"Net": None, "Other": None}
    assert project.states("--modelgate-cache=refresh") == {"Net": "trained", "Other": "trained"}
    assert project.run()["Net"]["key"] == first["key"]


def test_the_report_names_the_stored_model(project: Project) -> None:
    project.edit(
        "test_it.py",
        "def test_other(",
        "def test_gate(trained, evaluate_model):\n"
        "    from pytest_modelgate import assert_loss_at_most\n"
        "    assert_loss_at_most(evaluate_model(trained, (INPUTS, TARGETS), loss='cross_entropy'), 9)\n\n\n"
        "def test_other(",
    )
    project.run()
    assert [row["cached"] for row in project.report["verdicts"]] == [[]]
    training = project.run()["Net"]
    (verdict,) = project.report["verdicts"]
    assert verdict["cached"] == [{"key": training["key"], "trained_at": training["trained_at"]}]
    project.result.stdout.fnmatch_lines(["*1 of 1 gate on models trained in earlier runs*"])
    for name in ("report.md", "report.html"):
        assert f"cached model {training['key']}, trained 2" in (
            project.pytester.path / "modelgate-report" / name
        ).read_text("utf-8")


def test_why_it_was_not_cached_is_said_once(project: Project) -> None:
    project.edit("test_it.py", "def test_other(train_model):", "def test_other(train_model, evaluate_model):")
    project.edit(
        "test_it.py", "    train_model(Other, (INPUTS, TARGETS),", "    train_model(Other, iter([(INPUTS, TARGETS)]),"
    )
    project.edit("test_it.py", "inputs, targets = run.train_data", "inputs, targets = INPUTS, TARGETS")
    training = project.run()["Other"]
    assert training["state"] == "not cached"
    assert "train_data" in training["reason"]
    assert sum("modelgate:" in line for line in project.result.outlines) == 1
    project.run("-q")
    assert not [line for line in project.result.outlines if line.startswith("modelgate:")]


def test_a_folder_that_cannot_be_written(project: Project) -> None:
    (project.pytester.path / ".modelgate-cache").write_text("a file", "utf-8")
    trainings = project.run("-W", "default")
    assert {training["state"] for training in trainings.values()} == {"not cached"}
    assert sum("ModelgateWarning" in line for line in project.result.outlines) == 1


def test_the_folder_is_no_part_of_the_repository(project: Project) -> None:
    project.run("--modelgate-cache-dir=elsewhere/models")
    folder = Path(project.pytester.path / "elsewhere/models")
    assert (folder / ".gitignore").read_text("utf-8").strip() == "*"
    assert list(folder.rglob("*.safetensors"))
    assert not (project.pytester.path / ".modelgate-cache").exists()


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--modelgate-cache=atuo", "did you mean 'auto'"),
        ("--modelgate-cache-limit=lots", "no size"),
        ("--modelgate-cache-limit=0", "no size"),
    ],
)
def test_wrong_options(pytester: pytest.Pytester, option: str, says: str) -> None:
    result = pytester.runpytest_inprocess(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str()


def test_refresh_is_an_act_and_no_setting(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmodelgate_cache = refresh")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "would act in every run" in result.stderr.str()


def test_the_limit(project: Project) -> None:
    """What was used least recently goes first, and the model stored last stays."""
    assert project.states("--modelgate-cache-limit=1") == {"Net": "trained", "Other": "trained"}
    assert project.states() == {"Net": "trained", "Other": "cached"}


def test_waiting_is_told(project: Project) -> None:
    """While another process has the lock of a model; after it has gone without storing any, this one trains."""
    project.run()
    folder = project.pytester.path / ".modelgate-cache"
    locks = [FileLock(path, thread_local=False) for path in folder.glob("?*.lock")]
    for path in filter(Path.is_dir, folder.iterdir()):
        shutil.rmtree(path)
    for lock in locks:
        lock.acquire()
    done = threading.Timer(0.5, lambda: [lock.release() for lock in locks])
    done.start()
    try:
        assert project.states() == {"Net": "trained", "Other": "trained"}
    finally:
        done.join()
    project.result.stdout.fnmatch_lines("waiting for another process that trains project_model.Net")


def test_a_verdict_names_each_stored_model_that_it_rests_on(project: Project) -> None:
    project.edit(
        "test_it.py",
        "def test_other(",
        "def test_seeds(train_models):\n"
        "    from pytest_modelgate import LossDecreases, assert_over_seeds\n"
        "    models = train_models(Net, (INPUTS, TARGETS), fit=make_fit(0.1), device='cpu', seeds=3)\n"
        "    assert_over_seeds(models, LossDecreases(), claim='worst')\n\n\n"
        "def test_other(",
    )
    project.edit("config.txt", "3", "8")
    project.run("-k", "seeds")
    project.run("-k", "seeds")
    (verdict,) = project.report["verdicts"]
    stored = {row["training"]["key"] for row in project.report["histories"]}
    assert len(stored) == 3
    assert {each["key"] for each in verdict["cached"]} == stored
