"""The session's cache of trained models, made when a test first trains."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelgate.plugin.options import OPTIONS, parse_size
from pytest_modelgate.plugin.progress import session_progress
from pytest_modelgate.plugin.recorder import RECORDER

if TYPE_CHECKING:
    from pytest import Config

    from pytest_modelgate.runtime.cache.lookup import Cache

_CACHE = pytest.StashKey["Cache | None"]()


def session_cache(config: Config) -> Cache | None:
    """The cache of this session, one for all fixtures; None where it is off."""
    if _CACHE not in config.stash:
        config.stash[_CACHE] = _make(config)
    return config.stash[_CACHE]


def _make(config: Config) -> Cache | None:
    options = config.stash[OPTIONS]
    if options.cache == "off":
        return None
    from pytest_modelgate.runtime.cache.lookup import Cache

    progress = session_progress(config)
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    return Cache(
        config.rootpath / options.cache_dir,
        root=config.rootpath,
        mode=options.cache,
        limit=parse_size(options.cache_limit),
        run=f"{os.getpid()}-{time.time_ns()}" if worker is None else str(worker["testrunuid"]),
        waiting=None if progress is None else progress.tell,
        say=config.stash[RECORDER].tell,
    )
