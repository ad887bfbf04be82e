"""What a run was seen to depend on, as plain data, and what of it differs now."""

from __future__ import annotations

__tracebackhide__ = True

import functools
import importlib.machinery
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from pytest_modelgate.runtime.cache.places import version_now
from pytest_modelgate.runtime.cache.seen_files import ABSENT, digest, digest_of_file, digest_of_listing, look_up
from pytest_modelgate.runtime.cache.sources import Wanted, behind, name_at, parse, parts, unlike_source, with_imports

if TYPE_CHECKING:
    from pytest_modelgate.runtime.cache.watching import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a run was seen to depend on beyond its arguments. Values of variables stand as hashes only.

    Attributes:
        root: the project's folder; paths inside it are relative to it, so that it may lie elsewhere next time.
        files, listings, stats: path to the hash of a file's content, of a folder's names, and to what stood there.
        environment: variable to the hash of its value, or "absent".
        distributions: name to version of the installed distributions whose code ran.
        code: source file to what of it ran and is in no key: `file`, the hash of the whole; `names`, what was
            reached (None: all of it); `parts`, the hash of each statement behind it.
        reasons: why the run cannot be compared later, the watch's own included; not part of the data.
        unstable: those of them that no declaration lifts: what was read or run is not what stands there now.
    """

    root: Path
    files: dict[str, str] = field(default_factory=dict)
    listings: dict[str, str] = field(default_factory=dict)
    stats: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    code: dict[str, dict[str, Any]] = field(default_factory=dict)
    reasons: tuple[str, ...] = field(default=(), compare=False)
    unstable: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, watch: Watch, covered: frozenset[CodeType]) -> Manifest:
        """The manifest of a watched run; `covered` is the code that the key speaks for already."""
        reasons = dict.fromkeys(watch.reasons)
        code, more, edited = _code_of(watch, covered)
        reasons.update(dict.fromkeys([*edited, *more]))
        name = functools.partial(_relative, root=watch.root)
        return cls(
            root=watch.root,
            files={name(path): seen or ABSENT for path, seen in sorted(watch.files.items())},
            listings={name(path): seen for path, seen in sorted(watch.listings.items())},
            stats={name(path): seen for path, seen in sorted(watch.stats.items())},
            environment={variable: seen or ABSENT for variable, seen in sorted(watch.environment.items())},
            distributions=dict(sorted(watch.distributions.items())),
            code={name(path): code[path] for path in sorted(code)},
            reasons=tuple(reasons),
            unstable=(*watch.unstable, *edited),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "files": self.files,
            "listings": self.listings,
            "stats": self.stats,
            "environment": self.environment,
            "distributions": self.distributions,
            "code": self.code,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], root: Path | None = None) -> Manifest:
        """Of `to_dict`'s data; `root` is the project's folder now, by default the working folder."""
        return cls(root=Path(os.path.abspath(root or Path.cwd())), **data)

    def changes(self) -> list[str]:
        """What differs now from what was seen, a few words each; none if all is as it was."""
        return list(dict.fromkeys(self._changes()))

    def _changes(self) -> Iterator[str]:
        for name, seen in self.files.items():
            now = digest_of_file(self.root / name) or ABSENT
            if now != seen:
                yield f"{name} {_what_happened(seen, now)}"
        for name, seen in self.listings.items():
            now = digest_of_listing(self.root / name)
            if now != seen:
                yield f"{name} {_what_happened(seen, now, 'has other files')}"
        for name, seen in self.stats.items():
            now = look_up(self.root / name)
            if now != seen:
                yield f"{name} {_what_happened(seen, now)}"
        for variable, seen in self.environment.items():
            if digest_of_variable(variable) != seen:
                yield f"{variable} in the environment"
        for distribution, version in self.distributions.items():
            installed = version_now(distribution)
            if installed is None:
                yield f"{distribution} {version} is not installed"
            elif installed != version:
                yield f"{distribution} {version} is now {installed}"
        for name, seen_code in self.code.items():
            yield from self._changed_code(name, seen_code)

    def _changed_code(self, name: str, seen: dict[str, Any]) -> Iterator[str]:
        path = self.root / name
        whole = digest_of_file(path)
        if whole == seen["file"]:
            return
        if whole is None:
            yield f"{name} is gone"
            return
        try:
            now = parts(parse(path), None if seen["names"] is None else frozenset(seen["names"]))
        except (OSError, SyntaxError, ValueError):
            yield f"{name} was edited, and is no Python now"
            return
        before = seen["parts"]
        # What an edited statement no longer uses, or uses now, follows from it.
        differing = sorted(part for part in now.keys() | before.keys() if now.get(part) != before.get(part))
        edited = [part for part in differing if part in now and part in before]
        for part in edited or differing:
            happened = "was edited" if edited else "is new" if part in now else "is gone"
            yield f"{name}: {part} {happened}"


def digest_of_variable(name: str) -> str:
    """The hash of an environment variable's name and value; "absent" if it is not set."""
    value = os.environ.get(name)
    return ABSENT if value is None else digest(f"{name}={value}".encode("utf-8", "surrogateescape"))


def _what_happened(seen: str, now: str, otherwise: str = "was edited") -> str:
    if seen == ABSENT:
        return "is there now"
    return "is gone" if now == ABSENT else otherwise


def _relative(path: str, *, root: Path) -> str:
    found = Path(path)
    return found.relative_to(root).as_posix() if found.is_relative_to(root) else path


def _code_of(watch: Watch, covered: frozenset[CodeType]) -> tuple[dict[str, dict[str, Any]], list[str], list[str]]:
    """The record of the code that ran and is not covered, with what it imports; what stands in its way; and which
    files, covered or not, were edited meanwhile.
    """
    trees = functools.cache(parse)
    known = {(code.co_filename, code) for code in covered}
    reached: dict[str, Wanted] = dict.fromkeys(sorted(watch.modules))
    reasons: list[str] = []
    edited: list[str] = []
    loaded: dict[str, ModuleType] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            loaded.setdefault(file, module)
    by_file: dict[str, list[CodeType]] = {}
    for code in watch.code:
        if os.path.abspath(code.co_filename) in watch.generated:
            continue  # the run's own product, such as what torch generates when a part of it is first imported
        by_file.setdefault(code.co_filename, []).append(code)
    fresh = {path for path, codes in by_file.items() if any(code.co_name == "<module>" for code in codes)}
    for path, codes in sorted(by_file.items()):
        if not os.path.isfile(path):
            reasons += [
                f"{code.co_name} ran, whose source is in no file ({path})"
                for code in codes
                if (path, code) not in known
            ]
            continue
        name = _relative(os.path.abspath(path), root=watch.root)
        try:
            tree = trees(path)
            if _edited(path, codes, loaded.get(path), watch.started):
                edited.append(f"{name} was edited after it was loaded")
        except (OSError, SyntaxError, ValueError):
            reasons.append(f"{name} is no Python that can be read, though its code ran")
            continue
        for code in codes:
            if (path, code) not in known:
                name_of_it = None if code.co_name == "<module>" else name_at(tree, code.co_firstlineno)
                wanted = None if name_of_it is None else frozenset({name_of_it})
                before = reached.get(path, frozenset())
                reached[path] = None if wanted is None or before is None else before | wanted
    record: dict[str, dict[str, Any]] = {}
    for path, names in with_imports(reached, trees).items():
        tree = trees(path)
        if path in loaded and path not in fresh:
            reasons += unlike_source(loaded[path], behind(tree, names))
        record[os.path.abspath(path)] = {
            "file": digest_of_file(path),
            "names": None if names is None else sorted(names),
            "parts": parts(tree, names),
        }
    return record, reasons, edited


def _edited(path: str, codes: Iterable[CodeType], module: ModuleType | None, started: int) -> bool:
    """Whether the file holds other code than what ran.

    Code that something rewrote when it was loaded, as pytest does with its `assert`s, cannot be compared; such a
    file must be older than this process's first look at it.
    """
    in_file: dict[tuple[str, int], list[CodeType]] = {}
    waiting = [compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        in_file.setdefault((code.co_name, code.co_firstlineno), []).append(code)
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    same = all(
        any(_essence(code) == _essence(other) for other in in_file.get((code.co_name, code.co_firstlineno), ()))
        for code in codes
    )
    if same:
        return False
    loader = type(getattr(module, "__loader__", None))
    return loader is importlib.machinery.SourceFileLoader or os.stat(path).st_mtime_ns >= started


def _essence(code: CodeType) -> tuple[Any, ...]:
    constants = [repr(constant) for constant in code.co_consts if not isinstance(constant, (CodeType, frozenset))]
    sets = [sorted(map(repr, constant)) for constant in code.co_consts if isinstance(constant, frozenset)]
    return code.co_code, constants, sets, code.co_names, code.co_varnames, code.co_freevars, code.co_flags
