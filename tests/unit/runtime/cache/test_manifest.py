"""What of a run's surroundings differs later, in words; and what does not count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_modelgate.runtime.cache.manifest import Manifest
from pytest_modelgate.runtime.cache.watching import Watch

NOTHING: frozenset[Any] = frozenset()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    time.sleep(0.02)  # a file's time may stand on the tick before
    return path


def load(project: Path, name: str, source: str) -> ModuleType:
    write(project / f"{name}.py", source)
    __import__(name)
    return sys.modules[name]


def manifest_of(run: Callable[[], Any], covered: frozenset[Any] = NOTHING) -> Manifest:
    with Watch() as watch:
        run()
    return Manifest.of(watch, covered)


def again(manifest: Manifest, root: Path | None = None) -> Manifest:
    return Manifest.from_dict(json.loads(json.dumps(manifest.to_dict())), root)


def changes_after(manifest: Manifest, act: Callable[[], Any]) -> list[str]:
    assert again(manifest).changes() == []
    act()
    return again(manifest).changes()


def test_an_edited_file(project: Path) -> None:
    path = write(project / "config.yaml", "width: 4")
    manifest = manifest_of(path.read_text)
    assert manifest.reasons == ()
    assert list(manifest.files) == ["config.yaml"]
    assert changes_after(manifest, lambda: path.write_text("width: 5")) == ["config.yaml was edited"]
    path.unlink()
    assert again(manifest).changes() == ["config.yaml is gone"]
    path.write_text("width: 4")  # the content counts, not the time
    assert again(manifest).changes() == []


def test_a_file_that_was_not_there(project: Path) -> None:
    def run() -> None:
        with pytest.raises(FileNotFoundError):
            (project / "override.yaml").read_text()

    manifest = manifest_of(run)
    assert changes_after(manifest, lambda: write(project / "override.yaml", "")) == ["override.yaml is there now"]


def test_a_folder(project: Path) -> None:
    write(project / "data" / "a.csv", "")
    manifest = manifest_of(lambda: os.listdir("data"))
    assert changes_after(manifest, lambda: write(project / "data" / "b.csv", "")) == ["data has other files"]


def test_an_existence(project: Path) -> None:
    manifest = manifest_of(lambda: (project / "flag").exists())
    assert changes_after(manifest, lambda: write(project / "flag", "")) == ["flag is there now"]


def test_the_environment_as_hashes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_TOKEN", "hunter2")
    manifest = manifest_of(lambda: (os.getenv("MODEL_TOKEN"), os.getenv("MODEL_SIZE")))
    assert "hunter2" not in json.dumps(manifest.to_dict())
    assert changes_after(manifest, lambda: monkeypatch.setenv("MODEL_SIZE", "3")) == ["MODEL_SIZE in the environment"]
    monkeypatch.setenv("MODEL_TOKEN", "x")
    assert len(again(manifest).changes()) == 2


def test_a_distribution(project: Path) -> None:
    import yaml

    manifest = manifest_of(lambda: yaml.safe_load("a: 1"))
    data = json.loads(json.dumps(manifest.to_dict()))
    (name,) = (name for name in data["distributions"] if name.lower() == "pyyaml")
    now = data["distributions"][name]
    data["distributions"] |= {name: "5.0", "gone": "1.2"}
    assert Manifest.from_dict(data).changes() == [f"{name} 5.0 is now {now}", "gone 1.2 is not installed"]


def test_another_place(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    write(project / "sub" / "config.yaml", "1")
    manifest = manifest_of((project / "sub" / "config.yaml").read_text)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert again(manifest, elsewhere).changes() == ["sub/config.yaml is gone"]
    write(elsewhere / "sub" / "config.yaml", "1")
    assert again(manifest, elsewhere).changes() == []


PLUGIN = '''
"""A file."""
import math
from constants import WIDTH
LEVELS = [1, 2]
SCALE = 2 ** 3

class Layer:
    """A layer."""
    depth = 3
    def forward(self):
        return self.depth

def helper():
    return SCALE

def build():
    """Builds."""
    # a comment
    other = 1
    return WIDTH, LEVELS, helper(), Layer().forward(), other

def other():
    return 1
'''


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("plugin", "return self.depth", "return self.depth + 1", ["plugin.py: class Layer was edited"]),
        ("plugin", "depth = 3", "depth = 4", ["plugin.py: class Layer was edited"]),
        ("plugin", "[1, 2]", "[1, 3]", ["plugin.py: LEVELS was edited"]),
        ("plugin", "2 ** 3", "2 ** 4", ["plugin.py: SCALE was edited"]),
        ("plugin", "return SCALE", "return -SCALE", ["plugin.py: helper() was edited"]),
        ("plugin", "helper(), ", "", ["plugin.py: build() was edited"]),
        ("plugin", "[1, 2]", "[1, 2]\nLEVELS.append(3)", ["plugin.py: a statement is new"]),
        ("constants", "WIDTH = 4", "WIDTH = 5", ["constants.py: WIDTH was edited"]),
        ("constants", "HEIGHT = 4", "HEIGHT = 5", []),
        ("plugin", "# a comment", "# another\n    # comment", []),
        ("plugin", '"""Builds."""', '"""Builds a lot."""', []),
        ("plugin", '    """A layer."""\n', "", []),
        ("plugin", "def other():\n    return 1", "def other():\n    return 2", []),
        ("plugin", "import math", "import math\nNEW = 1\ndef new(): pass", []),
    ],
)
def test_code_that_no_key_covers(project: Path, file: str, old: str, new: str, expected: list[str]) -> None:
    load(project, "constants", "WIDTH = 4\nHEIGHT = 4\n")
    plugin = load(project, "plugin", PLUGIN)
    manifest = manifest_of(plugin.build)
    assert manifest.reasons == ()
    path = project / f"{file}.py"
    edited = path.read_text().replace(old, new)
    assert edited != path.read_text()
    assert changes_after(manifest, lambda: path.write_text(edited)) == expected


def test_names_that_are_reached_otherwise(project: Path) -> None:
    load(project, "stars", "WIDTH = 4\n")
    star = load(project, "star", "from stars import *\ndef f(): return WIDTH\n")
    reflective = load(project, "reflective", "WIDTH = 4\ndef f(): return globals()['WIDTH']\n")
    manifest = manifest_of(lambda: (star.f(), reflective.f()))
    write(project / "stars.py", "WIDTH = 5\n")
    assert again(manifest).changes() == ["stars.py: WIDTH was edited"]
    write(project / "reflective.py", "WIDTH = 5\ndef f(): return globals()['WIDTH']\n")
    assert "reflective.py: WIDTH was edited" in again(manifest).changes()


def test_covered_code_is_not_recorded(project: Path) -> None:
    load(project, "constants", "WIDTH = 4\n")
    plugin = load(project, "plugin", PLUGIN)
    codes = (plugin.build, plugin.helper, plugin.Layer.forward)
    assert manifest_of(plugin.build, frozenset(code.__code__ for code in codes)).code == {}
    assert set(manifest_of(plugin.build, frozenset({plugin.build.__code__})).code) == {"plugin.py"}


def test_equal_code_of_another_file_covers_nothing(project: Path) -> None:
    one = load(project, "one", "def f():\n    return 1\n")
    other = load(project, "other", "def f():\n    return 1\n")
    assert one.f.__code__ == other.f.__code__
    assert set(manifest_of(other.f, frozenset({one.f.__code__})).code) == {"other.py"}


def test_a_module_imported_by_the_run_counts_whole(project: Path) -> None:
    path = write(project / "late.py", "A = 1\nB = 2\n")

    def run() -> None:
        import late  # type: ignore[import-not-found]  # noqa: F401

    manifest = manifest_of(run)
    assert changes_after(manifest, lambda: path.write_text("A = 1\nB = 3 # b\n")) == ["late.py: B was edited"]


def test_code_that_the_run_wrote_is_no_dependency(project: Path) -> None:
    """torch writes and runs a module in a temporary folder when a part of it is first imported."""

    def run() -> None:
        path = write(project / "made.py", "A = 1\n")
        __import__("made")
        path.unlink()

    manifest = manifest_of(run)
    assert [name for name in manifest.code if "made" in name] == []
    assert manifest.reasons == ()


def test_code_that_an_installed_package_wrote_is_no_dependency(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        project / "site-packages" / "making.py",
        "open('made_too.py', 'w').close()\nimport made_too\nimport os\nos.remove('made_too.py')\n",
    )
    monkeypatch.syspath_prepend(str(project / "site-packages"))
    manifest = manifest_of(lambda: __import__("making"))
    assert [name for name in manifest.code if "made" in name] == []
    assert [reason for reason in manifest.reasons if "made_too" in reason] == []


def test_a_module_asked_for_by_name_counts_whole(project: Path) -> None:
    import importlib

    load(project, "settings", "WIDTH = 4\n")
    manifest = manifest_of(lambda: importlib.import_module("settings").WIDTH)
    act = lambda: write(project / "settings.py", "WIDTH = 5\n")  # noqa: E731
    assert changes_after(manifest, act) == ["settings.py: WIDTH was edited"]


def test_a_package_and_relative_imports(project: Path) -> None:
    write(project / "pkg" / "__init__.py", "")
    write(project / "pkg" / "sizes.py", "WIDTH = 1\n")
    write(project / "pkg" / "deep.py", "DEPTH = 1\n")
    write(
        project / "pkg" / "net.py", "from .sizes import WIDTH\nfrom . import deep\ndef f(): return WIDTH, deep.DEPTH\n"
    )
    module = __import__("pkg.net", fromlist=["f"])
    manifest = manifest_of(module.f)
    assert changes_after(manifest, lambda: write(project / "pkg" / "deep.py", "DEPTH = 2\n")) == [
        "pkg/deep.py: DEPTH was edited"
    ]
    write(project / "pkg" / "sizes.py", "WIDTH = 2\n")
    assert len(again(manifest).changes()) == 2


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os\nA = len(os.sep)\ndef f(): return A", "unclear.A is computed when the file is loaded"),
        ("A = 1\ndef f(): return A\nglobals()['A'] = 2", "unclear.A was altered after it was loaded"),
        ("exec('def f(): return 1')", "f ran, whose source is in no file"),
    ],
    ids=["computed", "altered", "no file"],
)
def test_what_the_source_does_not_tell(project: Path, source: str, reason: str) -> None:
    module = load(project, "unclear", source + "\n")
    assert [reason in said for said in manifest_of(module.f).reasons] == [True]
    assert manifest_of(module.f, frozenset({module.f.__code__})).reasons == ()


@pytest.mark.parametrize(
    "source",
    [
        "import logging\nlog = logging.getLogger('x')\ndef f(): return log",
        "from pathlib import Path\nHERE = Path('.').parent\ndef f(): return HERE",
        "from typing import List\nVector = List[int]\ndef f(): return Vector",
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    a: int = 1\ndef f(): return C(2) == C(3)",
        "from collections import namedtuple\nC = namedtuple('C', 'a')\ndef f(): return C(2)._replace(a=1)",
        "import enum\nclass E(enum.Enum):\n    A = 1\ndef f(): return E(1)",
        "A = frozenset(range(3))\ndef f(): return A",
        "def f(): return eval('1 + 1')",
    ],
)
def test_harmless_statements(project: Path, source: str) -> None:
    assert manifest_of(load(project, "harmless", source + "\n").f).reasons == ()


def test_a_file_edited_after_it_was_loaded(project: Path) -> None:
    module = load(project, "moving", "def f():\n    return 1\n")
    write(project / "moving.py", "def f():\n    return 2\n")
    manifest = manifest_of(module.f, frozenset({module.f.__code__}))
    assert manifest.reasons == manifest.unstable == ("moving.py was edited after it was loaded",)


def test_asserts_that_pytest_rewrote_are_no_edit(project: Path) -> None:
    def asserts() -> None:
        assert time.time() > 0, "a message"

    assert manifest_of(asserts).unstable == ()


def test_a_quick_look(project: Path) -> None:
    """An unchanged source file is hashed, not parsed."""
    module = load(project, "quick", "def f():\n    return 1\n")
    manifest = again(manifest_of(module.f))
    script = "import sys; sys.path[:0] = {path!r}; from pytest_modelgate.runtime.cache import manifest, sources\n"
    script += (
        "manifest.parse = None\nimport json\nprint(manifest.Manifest.from_dict(json.loads(sys.argv[1])).changes())"
    )
    data = json.dumps(manifest.to_dict() | {"distributions": {}})
    ran = subprocess.run(
        [sys.executable, "-c", script.format(path=sys.path), data], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
