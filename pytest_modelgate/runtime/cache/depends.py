"""`depends_on=`: what the user says that a training depends on, for what cannot be fingerprinted or observed."""

from __future__ import annotations

__tracebackhide__ = True

import os
from pathlib import Path
from typing import Any

from pytest_modelgate.exceptions import TrainingError
from pytest_modelgate.runtime.cache.seen_files import digest_of_file


def named_dependencies(depends_on: Any) -> dict[str, Any]:
    """What `depends_on` gives, by name: the content of each file and folder, and each other value as it is.

    A text or a path names a file or a folder; several stand in a list. They count by name and content, not by where
    they lie; of a folder all files below it do.

    Raises:
        TrainingError: there is no such file or folder, or it cannot be read.
    """
    each = depends_on if isinstance(depends_on, (tuple, list)) else [] if depends_on is None else [depends_on]
    return {
        f"depends_on[{position}]{f', {Path(one).name}' if _is_path(one) else ''}": _content(one)
        if _is_path(one)
        else one
        for position, one in enumerate(each)
    }


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _content(name: Any) -> str | dict[str, str]:
    path = Path(name)
    if not path.is_dir():
        return _digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): _digest(file) for file in files}


def _digest(path: Path) -> str:
    found = digest_of_file(path)
    if found is None:
        raise TrainingError(
            f"depends_on names {str(path)!r}, and there is no such file or folder that can be read; a value that is no "
            "file stands in a tuple or a dict"
        )
    return found
