"""What retrains and what does not: each row on a real small project, each run in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pytest_modelgate

FILES = {
    "shop/__init__.py": "",
    "shop/model.py": '''
"""The models."""

import torch

from shop import helpers

WIDTH = 8


class Net(torch.nn.Module):
    """One hidden layer."""

    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(4, WIDTH)
        self.out = torch.nn.Linear(WIDTH, 2)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(helpers.scaled(x))))


class Other(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.out = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.out(x)
''',
    "shop/helpers.py": """
FACTOR = 2.0


def scaled(x):
    return x * FACTOR


def unused(x):
    return x + 1
""",
    "shop/schedules.py": """
def slow(epoch):
    return 0.1


def fast(epoch):
    return 0.2
""",
    "shop/loop.py": """
import os

import torch

from shop import schedules


def settings():
    with open("config.yaml") as file:
        return dict(line.split(": ") for line in file.read().splitlines())


def make_fit(rate):
    def fit(model, run):
        given = settings()
        schedule = getattr(schedules, given["schedule"])
        decay = float(os.environ.get("SHOP_DECAY", "0"))
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay)
        inputs, targets = run.train_data
        for epoch in range(int(given["epochs"])):
            optimizer.param_groups[0]["lr"] = rate * schedule(epoch)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            run.history.log(train_loss=loss)

    return fit
""",
    "shop/data.py": """
import torch

INPUTS = torch.arange(160.0).reshape(40, 4).sin()
TARGETS = (INPUTS[:, 0] > 0).long()
""",
    "check.py": """
import json
from pathlib import Path

from pytest_modelgate import train_model
from pytest_modelgate.runtime.cache.lookup import Cache
from shop.data import INPUTS, TARGETS
from shop.loop import make_fit
from shop.model import Net, Other

RATE = 0.1


def check(run):
    cache = Cache(Path(".models"), root=Path.cwd(), run=run)
    found = {}
    for factory in (Net, Other):
        fit = make_fit(RATE if factory is Net else 0.1)
        trained = train_model(factory, (INPUTS, TARGETS), fit=fit, device="cpu", threads=1, cache=cache)
        found[factory.__name__] = trained.history.origin
    return found


def another_check():
    assert True


if __name__ == "__main__":
    import sys

    sys.modules["check"] = sys.modules["__main__"]
    print(json.dumps(check(sys.argv[1])))
""",
    "config.yaml": "epochs: 3\nschedule: slow\n",
}

Origins = dict[str, dict[str, Any]]


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text("utf-8")
        assert old in text, (file, old)
        path.write_text(text.replace(old, new), "utf-8")

    def run(self, before: Callable[[], Any] = lambda: None) -> Origins:
        """What became of each model; `before` is called in the new process."""
        self.runs += 1
        name = f"{self.folder} {self.runs}"
        if not sys.platform.startswith("linux"):
            return self.start(name)
        out, into = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch has threads; none of them is in the way here
            child = os.fork()
        if not child:
            try:
                os.chdir(self.folder)
                sys.path.insert(0, str(self.folder))
                sys.dont_write_bytecode = True
                before()
                import check  # type: ignore[import-not-found]

                os.write(into, json.dumps(check.check(name)).encode())
                os._exit(0)
            except BaseException as error:
                os.write(2, repr(error).encode())
                os._exit(1)
        os.close(into)
        with os.fdopen(out, "rb") as file:
            said = file.read()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        found: Origins = json.loads(said)
        return found

    def start(self, name: str, **environment: str) -> Origins:
        """The same by a new interpreter."""
        package = str(Path(pytest_modelgate.__file__).parents[1])
        given = os.environ | {"PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": "1"} | environment
        ran = subprocess.run(
            [sys.executable, "check.py", name], cwd=self.folder, env=given, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        found: Origins = json.loads(ran.stdout)
        return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, with both models in its cache."""
    weight = torch.nn.Parameter(torch.ones(1))
    torch.optim.SGD([weight]).step()  # torch imports a lot on its first step: here, not in each process
    project = Project(tmp_path_factory.mktemp("first") / "checkout")
    for name, text in FILES.items():
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    origins = project.run()
    assert {name: (one["state"], one["reason"]) for name, one in origins.items()} == {
        "Net": ("trained", None),
        "Other": ("trained", None),
    }
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A copy of it: another checkout, with the cache that a build server brings back."""
    copy = Project(tmp_path / "elsewhere")
    shutil.copytree(trained.folder, copy.folder)
    return copy


def states(origins: Origins) -> dict[str, str]:
    return {name: one["state"] for name, one in origins.items()}


BOTH = ("Net", "Other")
RETRAINS: dict[str, tuple[str, str, str, tuple[str, ...], str]] = {
    "a line of the model's code": ("shop/model.py", "torch.relu(", "torch.tanh(", ("Net",), "Net"),
    "a line of a helper that it calls": ("shop/helpers.py", "x * FACTOR", "x / FACTOR", ("Net",), "scaled"),
    "a constant that it reads": ("shop/model.py", "WIDTH = 8", "WIDTH = 9", ("Net",), "WIDTH"),
    "a constant that a helper reads": ("shop/helpers.py", "FACTOR = 2.0", "FACTOR = 3.0", ("Net",), "FACTOR"),
    "a closure's value": ("check.py", "RATE = 0.1", "RATE = 0.2", ("Net",), "fit"),
    "a line of the loop": ("shop/loop.py", "optimizer.zero_grad()", "model.zero_grad()", BOTH, "fit"),
    "the data": ("shop/data.py", ".sin()", ".cos()", BOTH, "train_data"),
    "a configuration file read in the loop": ("config.yaml", "epochs: 3", "epochs: 4", BOTH, "config.yaml"),
    "a helper reached only by getattr": ("shop/schedules.py", "return 0.1", "return 0.3", BOTH, "slow"),
}
DOES_NOT: dict[str, tuple[str, str, str]] = {
    "another function in the file": ("shop/helpers.py", "return x + 1", "return x + 2"),
    "another test": ("check.py", "assert True", "assert 1 + 1 == 2"),
    "a new test": ("check.py", "def another_check():", "def new_check():\n    pass\n\n\ndef another_check():"),
    "a comment": ("shop/model.py", "    def forward(self, x):", "    # a comment\n    def forward(self, x):"),
    "a docstring": ("shop/model.py", "One hidden layer.", "One hidden layer, and another sentence."),
    "a docstring of the module": ("shop/model.py", "The models.", "The models of the shop."),
    "lines that move": ("shop/loop.py", "import os\n", "\n\n\nimport os\n"),
    "functions in another order": (
        "shop/helpers.py",
        "FACTOR = 2.0\n",
        "def first(x):\n    return x\n\n\nFACTOR = 2.0\n",
    ),
    "an import that nothing reached uses": ("shop/helpers.py", "FACTOR = 2.0", "import string\n\nFACTOR = 2.0"),
    "a file that nobody reads": ("shop/__init__.py", "", ""),
}


@pytest.mark.parametrize("what", RETRAINS)
def test_it_retrains(project: Project, what: str) -> None:
    file, old, new, models, named = RETRAINS[what]
    project.edit(file, old, new)
    origins = project.run()
    assert states(origins) == {model: "trained" if model in models else "cached" for model in BOTH}
    for model in models:
        assert named in str(origins[model]["changed"]), "what changed is said"
    assert set(states(project.run()).values()) == {"cached"}


@pytest.mark.parametrize("what", DOES_NOT)
def test_it_does_not(project: Project, what: str) -> None:
    project.edit(*DOES_NOT[what])
    (project.folder / "notes.txt").write_text("of nobody's interest")
    assert set(states(project.run()).values()) == {"cached"}


def test_another_models_code(project: Project) -> None:
    project.edit("shop/model.py", "return self.out(x)", "return self.out(x + 1)")
    assert states(project.run()) == {"Net": "cached", "Other": "trained"}


def test_a_change_and_back(project: Project) -> None:
    for old, new in (("3", "5"), ("5", "3")):
        project.edit("config.yaml", old, new)
        origins = project.run()
    assert set(states(origins).values()) == {"cached"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")
def test_the_version_of_torch(project: Project) -> None:
    def newer() -> None:
        from pytest_modelgate.runtime.cache import places

        name_and_version = places._name_and_version

        def later(metadata: Path) -> tuple[str, str]:
            name, version = name_and_version(metadata)
            return (name, "99.0") if name == "torch" else (name, version)

        places._name_and_version = later  # type: ignore[assignment]
        places._distribution_at.cache_clear()
        torch.__version__ = torch.torch_version.TorchVersion("99.0")  # type: ignore[assignment]

    origins = project.run(newer)
    assert set(states(origins).values()) == {"trained"}
    assert "version of torch" in origins["Net"]["changed"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")
def test_an_environment_variable(project: Project) -> None:
    origins = project.run(lambda: os.environ.update(SHOP_DECAY="0.01", OF_NO_INTEREST="1"))
    assert set(states(origins).values()) == {"trained"}
    assert "SHOP_DECAY" in str(origins["Net"]["changed"])
    assert set(states(project.run(lambda: os.environ.update(OF_NO_INTEREST="2"))).values()) == {"cached"}


def test_other_processes_and_hash_seeds(project: Project) -> None:
    """By new interpreters: one trains, the other takes it."""
    shutil.rmtree(project.folder / ".models")
    assert set(states(project.start("one", PYTHONHASHSEED="1")).values()) == {"trained"}
    assert set(states(project.start("two", PYTHONHASHSEED="2")).values()) == {"cached"}
