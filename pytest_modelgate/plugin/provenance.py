"""Where a report comes from: versions, machine, commit."""

from __future__ import annotations

import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from pytest import Config

    from pytest_modelgate.plugin.options import Options

_PACKAGES = ("torch", "numpy", "scipy", "pytest", "pytest-modelgate")


def provenance(config: Config, options: Options, started: datetime) -> dict[str, Any]:
    """What the report says of its run; the first two entries alone depend on the time."""
    ended = datetime.now(timezone.utc)
    return {
        "created": ended.isoformat(timespec="seconds"),
        "duration_seconds": round((ended - started).total_seconds(), 3),
        "python": platform.python_version(),
        **{name.replace("-", "_"): _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "device": options.device,
        "seed": options.seed,
        "confidence": options.confidence,
        "if_unsure": options.if_unsure,
        "commit": _commit(config.rootpath),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit(folder: Path) -> str | None:
    """The commit that is checked out, with "+" where files differ from it; None outside a git checkout."""
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return None
    return head + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        found = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no git here: the report goes without a commit
        return None
    return found.stdout.strip() if found.returncode == 0 else None
