"""Whose a file is, and which distribution's."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import sysconfig
from pathlib import Path

import numpy
import pytest
import torch
import yaml

import pytest_modelgate
from pytest_modelgate.runtime.cache.places import distribution, is_first_party, place, version_now


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (os.__file__, "standard library"),
        (json.__file__, "standard library"),
        (sysconfig.get_paths()["stdlib"] + "/anything.py", "standard library"),
        (torch.__file__, "third party"),
        ("/home/me/project/.venv/lib/python3.11/site-packages/pkg/a.py", "third party"),
        ("/usr/lib/python3/dist-packages/pkg.py", "third party"),
        (pytest_modelgate.__file__, "modelgate"),
        (__file__, "first party"),
        ("/home/me/project/src/model.py", "first party"),
        ("/home/me/project/data.csv", "first party"),
        ("relative/model.py", "first party"),
        ("/tmp/ipykernel_71/3.py", "first party"),
        ("<ipython-input-3-abc>", "first party"),
        ("<stdin>", "first party"),
        ("<doctest train[0]>", "first party"),
        ("<string>", "generated"),
        ("<eval_with_key>.3", "generated"),
        ("<frozen os>", "standard library"),
        ("<frozen importlib._bootstrap>", "import system"),
    ],
)
def test_place(path: str, expected: str) -> None:
    assert place(path) == expected
    assert is_first_party(path) == (expected == "first party")


def test_a_link_into_an_installation_is_third_party(tmp_path: Path) -> None:
    installed = tmp_path / "lib/site-packages/pkg"
    installed.mkdir(parents=True)
    (tmp_path / "link").symlink_to(installed, target_is_directory=True)
    assert place(str(tmp_path / "link" / "a.py")) == "third party"


@pytest.mark.parametrize("name", ["torch", "numpy", "pytest", "_pytest", "yaml"])
def test_versions_are_those_of_the_metadata(name: str) -> None:
    owner = {"_pytest": "pytest", "yaml": "PyYAML"}.get(name, name)
    found = distribution(name)
    assert found is not None
    assert found[0].lower() == owner.lower()
    assert found[1] == version_now(found[0]) == importlib.metadata.version(owner)


def test_by_path_by_module_and_by_name() -> None:
    assert distribution(numpy.linalg.__file__) == distribution(numpy) == distribution("numpy.linalg")
    assert distribution(yaml.__file__) == distribution(yaml.YAMLError.__module__)


@pytest.mark.parametrize("name", ["os", "sys", "json", "pytest_modelgate", __file__, "no_such_module"])
def test_no_distribution(name: str) -> None:
    assert distribution(name) is None


def install(folder: Path, name: str, version: str, files: dict[str, str], **metadata: str) -> Path:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(content)
    record = "".join(f"{file},sha256={hash(content)},{len(content)}\n" for file, content in files.items())
    (info / "RECORD").write_text(record)
    for file, content in metadata.items():
        (info / file.replace("__", ".")).write_text(content)
    return folder


def version_in(folder: Path, file: str) -> str:
    found = distribution(str(folder / file))
    assert found is not None
    return found[1]


def test_a_module_named_unlike_its_distribution(tmp_path: Path) -> None:
    folder = install(tmp_path / "site-packages", "some_dist", "1.5", {"other.py": "", "_native.so": ""})
    assert distribution(str(folder / "other.py")) == ("some-dist", "1.5")
    assert distribution(str(folder / "_native.so")) == ("some-dist", "1.5")


def test_a_shared_folder_has_all_versions(tmp_path: Path) -> None:
    folder = install(tmp_path / "site-packages", "google_a", "1", {"google/a/__init__.py": ""})
    install(folder, "google_b", "2", {"google/b/__init__.py": ""})
    assert distribution(str(folder / "google/a/__init__.py")) == ("google", "google-a 1, google-b 2")


def test_a_folder_installed_twice_under_one_version_differs(tmp_path: Path) -> None:
    local = {"direct_url__json": '{"url": "file:///home/me/project", "dir_info": {}}'}
    files = [{"pkg/__init__.py": text} for text in ("a = 1", "a = 2")]
    one, other = (
        version_in(install(tmp_path / str(i) / "site-packages", "pkg", "1.0", file, **local), "pkg/__init__.py")
        for i, file in enumerate(files)
    )
    assert one.startswith("1.0+")
    assert one != other


@pytest.mark.parametrize(
    ("metadata", "version"),
    [
        (
            {"direct_url__json": '{"url": "git+https://x", "vcs_info": {"commit_id": "0123456789abcdef"}}'},
            "1.0+0123456789ab",
        ),
        ({"direct_url__json": '{"url": "file:///build", "dir_info": {}}', "INSTALLER": "conda\n"}, "1.0"),
        ({}, "1.0"),
    ],
    ids=["repository", "conda", "index"],
)
def test_versions_of_installations(tmp_path: Path, metadata: dict[str, str], version: str) -> None:
    folder = install(tmp_path / "site-packages", "pkg", "1.0", {"pkg/__init__.py": ""}, **metadata)
    assert version_in(folder, "pkg/__init__.py") == version


def test_an_old_egg(tmp_path: Path) -> None:
    folder = tmp_path / "site-packages"
    (folder / "old.egg-info").mkdir(parents=True)
    (folder / "old.egg-info" / "PKG-INFO").write_text("Name: old\nVersion: 0.3\n")
    (folder / "old.egg-info" / "top_level.txt").write_text("older\n")
    (folder / "older.py").write_text("")
    assert distribution(str(folder / "older.py")) == ("old", "0.3")


def test_files_without_metadata_are_known_by_content(tmp_path: Path) -> None:
    versions = []
    for number in (1, 2):
        folder = tmp_path / str(number) / "site-packages"
        folder.mkdir(parents=True)
        (folder / "loose.py").write_text(f"A = {number}")
        versions.append(version_in(folder, "loose.py"))
    assert versions[0] != versions[1]
    assert "loose" not in sys.modules


def test_what_is_not_installed_has_no_version() -> None:
    assert version_now("no-such-distribution") is None
