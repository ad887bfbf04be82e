"""`resolve`: the project's own code and that of installed packages, by name, and nothing else."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from pytest_modelgate.exceptions import ModelgateError
from pytest_modelgate.gatefiles.resolving import resolve


@pytest.fixture(autouse=True)
def modules_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports is forgotten, and so is the path that it was found on."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def project(root: Path, **files: str) -> Path:
    """A folder with modules; a dot in a name is written as two underscores."""
    for name, text in files.items():
        file = root.joinpath(*name.split("__")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def test_a_function_a_class_and_an_attribute_of_a_class(tmp_path: Path) -> None:
    text = "class Net:\n    @staticmethod\n    def small():\n        return 3\n\ndef load():\n    return 4\n"
    root = project(tmp_path, shop__model=text)
    assert resolve("shop.model:load", root=root)() == 4
    assert resolve("shop.model:Net", root=root).__name__ == "Net"
    assert resolve("shop.model:Net.small", root=root)() == 3


def test_a_module_is_imported_once(tmp_path: Path) -> None:
    root = project(tmp_path, once="runs = []\ndef load():\n    return runs\n")
    assert resolve("once:load", root=root)() is resolve("once:load", root=root)()


def test_an_installed_package(tmp_path: Path) -> None:
    assert resolve("numpy.linalg:norm", root=tmp_path) is numpy.linalg.norm


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("shop.model", "write package.module:callable"),
        ("shop/model.py:load", "write package.module:callable"),
        ("shop.model:load()", "write package.module:callable"),
        (":load", "write package.module:callable"),
        ("os:system", "'os' is Python's standard library"),
        ("os.path:join", "'os' is Python's standard library"),
        ("subprocess:run", "'subprocess' is Python's standard library"),
        ("builtins:eval", "'builtins' is Python's standard library"),
        ("shopp.model:load", "there is no module 'shopp' in the project's folder, and no package of that name"),
        ("shop.modle:load", "there is no module 'modle' in shop; did you mean 'model'?"),
        ("shop.model.deep:load", "shop.model is a module, not a package, and holds no 'deep'"),
        ("shop.model:laod", "shop.model has no 'laod'; did you mean 'load'?"),
        ("shop.model:Net.smal", "shop.model:Net has no 'smal'; did you mean 'small'?"),
        ("shop.model:os.getcwd", "os is a module; write os:getcwd"),
        ("lower.part:load", 'it is in src/: add pythonpath = ["src"] to pytest\'s settings, or install the project'),
        ("low:load", 'it is in src/: add pythonpath = ["src"]'),
        ("shop.model:NAMES", "is a list, which cannot be called; name a function"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, reference: str, words: str) -> None:
    text = "import os\nNAMES = []\nclass Net:\n    def small(self): ...\n\ndef load(): ...\n"
    with pytest.raises(ModelgateError) as found:
        resolve(reference, root=project(tmp_path, shop__model=text, src__lower__part="", src__low=""))
    assert repr(reference) in str(found.value)
    assert words in str(found.value)


def test_nothing_of_a_module_outside_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = project(tmp_path / "outside", stranger="raise SystemExit\n", foreign__part="raise SystemExit\n")
    (outside / "foreign" / "__init__.py").write_text("raise SystemExit\n", encoding="utf-8")
    (tmp_path / "root").mkdir()
    monkeypatch.syspath_prepend(str(outside))
    for reference in ("stranger:load", "foreign.part:load"):
        with pytest.raises(ModelgateError, match="lies outside the project and belongs to no installed package"):
            resolve(reference, root=tmp_path / "root")


def test_a_link_out_of_the_project_is_outside(tmp_path: Path) -> None:
    outside = project(tmp_path / "outside", linked__part="def load(): ...\n")
    (tmp_path / "root").mkdir()
    try:
        (tmp_path / "root" / "linked").symlink_to(outside / "linked", target_is_directory=True)
    except OSError:
        pytest.skip("this machine makes no links")
    with pytest.raises(ModelgateError, match="lies outside the project"):
        resolve("linked.part:load", root=tmp_path / "root")


def test_a_project_that_is_installed_as_editable_may_lie_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = project(tmp_path / "else where", edited_one="def load():\n    return 5\n")
    told = tmp_path / "site" / "edited_one-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: edited-one\nVersion: 1.0\n", encoding="utf-8")
    address = {"url": elsewhere.as_uri(), "dir_info": {"editable": True}}
    (told / "direct_url.json").write_text(json.dumps(address), encoding="utf-8")
    (tmp_path / "root").mkdir()
    monkeypatch.syspath_prepend(str(elsewhere))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    assert resolve("edited_one:load", root=tmp_path / "root")() == 5


def test_a_file_that_lies_beside_installed_packages_is_none_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = project(tmp_path / "site", listed__part="def load():\n    return 6\n", loose="def load(): ...\n")
    (site / "listed" / "__init__.py").write_text("", encoding="utf-8")
    told = site / "listed-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: listed\nVersion: 1.0\n", encoding="utf-8")
    (told / "RECORD").write_text("listed/__init__.py,,\nlisted/part.py,,\n", encoding="utf-8")
    (tmp_path / "root").mkdir()
    monkeypatch.syspath_prepend(str(site))
    assert resolve("listed.part:load", root=tmp_path / "root")() == 6
    with pytest.raises(ModelgateError, match="belongs to no installed package"):
        resolve("loose:load", root=tmp_path / "root")


def test_what_a_module_raises_is_its_own(tmp_path: Path) -> None:
    root = project(tmp_path, broken="import not_there_at_all\n", crashing="1 / 0\n")
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        resolve("broken:load", root=root)
    with pytest.raises(ZeroDivisionError):
        resolve("crashing:load", root=root)
