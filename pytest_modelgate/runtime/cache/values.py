"""Fingerprints of live values and of all that they reach: equal in another process, different after any change.

A walk writes each value into the part that it belongs to: an argument, a function, a class, a module's constant. What
was met before is written as a reference, so that cycles end and shared objects differ from equal ones. Neither ids nor
addresses nor the order of sets enter.
"""

from __future__ import annotations

__tracebackhide__ = True

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from types import CodeType
from typing import Any

from pytest_modelgate.runtime.cache import containers, installed, reached, surroundings
from pytest_modelgate.runtime.cache.code import encode
from pytest_modelgate.runtime.cache.data import hash_buffer, walk_data
from pytest_modelgate.runtime.cache.patches import ALWAYS, walk_patches
from pytest_modelgate.runtime.cache.remembered import Remembered

_PLAIN = frozenset({str, int, float, complex, bool, type(None), type(Ellipsis)})
_FLUSH = 1 << 16


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a training depends on, as far as values and code tell.

    Attributes:
        digest: 64 hex digits, equal for equal values and code in every process.
        parts: each function, class, constant and argument reached by a readable name, with a short digest of its own
            content: comparing two tells what changed.
        code: the first-party code objects that the digest covers.
        reasons: what cannot be fingerprinted, a sentence each; the digest means nothing if there are any.
        remembered: what functions with `lru_cache` remembered.
    """

    digest: str
    parts: dict[str, str]
    code: frozenset[CodeType]
    reasons: tuple[str, ...]
    remembered: Remembered = field(default_factory=Remembered, repr=False, compare=False)


def fingerprint(named: Mapping[str, Any], remembered: Remembered | None = None) -> Fingerprint:
    """The fingerprint of named values: of their content, and of all code and constants that they can reach.

    It reads the objects in memory, never source files, and calls none of their methods but those of pickling.

    Args:
        named: the values.
        remembered: of an earlier fingerprint: what functions with `lru_cache` remember since does not count.

    >>> one, other = fingerprint({"data": [1, 2.0]}), fingerprint({"data": [1, 2]})
    >>> one.digest != other.digest, [name for name in one.parts if one.parts[name] != other.parts[name]]
    (True, ['data'])
    """
    walk = Walk(remembered=remembered)
    for name in sorted(named):
        with walk.inside(walk.new_part(name), name):
            walk.write("name", name)
            walk.value(named[name])
    walk.finish()
    known: set[str] = set()
    while more := walk.tops - known:  # a patch may reach further packages
        known |= more
        walk_patches(walk, more)
        walk.finish()
    around = surroundings.surroundings(walk.versions)
    parts = {part.label: part.shown() for part in walk.parts} | {
        label: _short(value.encode()) for label, value in around.items()
    }
    content = blake2b(digest_size=32)
    content.update(walk.digest())
    content.update(encode(tuple(sorted(around.items()))))
    return Fingerprint(
        digest=content.hexdigest(),
        parts=parts,
        code=frozenset(walk.codes),
        reasons=tuple(dict.fromkeys(walk.reasons)),
        remembered=walk.remembered,
    )


@dataclass(slots=True, eq=False)
class Part:
    """One function, class, constant or argument: its content, and its references to other parts."""

    label: str
    number: int
    objects: int = 0
    buffer: bytearray = field(default_factory=bytearray)
    content: Any = field(default_factory=lambda: blake2b(digest_size=32))
    references: list[tuple[Part, int]] = field(default_factory=list)

    def add(self, content: bytes) -> None:
        self.buffer += content
        if len(self.buffer) > _FLUSH:
            self.content.update(self.buffer)
            self.buffer.clear()

    def full(self) -> bytes:
        """With references by number, which are the same whatever things are called."""
        return self._digest((part.number, index) for part, index in self.references)

    def shown(self) -> str:
        """With references by name, which do not change when another part is inserted before."""
        return _short(self._digest(("" if part is self else part.label, index) for part, index in self.references))

    def _digest(self, references: Iterable[tuple[Any, int]]) -> bytes:
        self.content.update(self.buffer)
        self.buffer.clear()
        return blake2b(self.content.digest() + encode(tuple(references)), digest_size=32).digest()


class Walk:
    """A walk over values. Parts that are met are walked later, in the order in which they were met."""

    def __init__(self, open_sets: tuple[int, ...] = (), remembered: Remembered | None = None) -> None:
        self.remembered = Remembered() if remembered is None else remembered
        self.parts: list[Part] = []
        self.codes: set[CodeType] = set()
        self.reasons: list[str] = []
        self.versions: dict[str, str] = {}
        self.tops: set[str] = set(ALWAYS)
        self.labels_count = False  # whether code asks where functions and classes are defined, as their labels say
        self.open_sets = open_sets
        self.path: list[str] = []
        self._labels: dict[str, int] = {}
        self._known: dict[int, tuple[Any, Part, int]] = {}  # holds the objects, so that no id is used again
        self._by_key: dict[tuple[int, str], Part] = {}
        self._queue: deque[tuple[Part, str, Callable[[], None]]] = deque()
        self._globals: dict[str, dict[int, str]] = {}
        self._part: Part

    # Writing

    def write(self, tag: str, content: str | bytes = b"") -> None:
        self._part.add(encode(tag) + encode(content))

    def value(self, value: Any) -> None:
        """Write any value."""
        kind = type(value)
        if kind in _PLAIN:
            self._part.add(encode(value))
        elif kind is bytes:
            self.write("bytes", hash_buffer(value))
        elif kind in containers.WALKED:
            containers.WALKED[kind](self, value)
        elif reached.walk_code(self, value) or walk_data(self, value) or containers.walk_other(self, value):
            pass
        else:
            self.instance(value)

    def items(self, tag: str, values: list[Any] | tuple[Any, ...]) -> None:
        """Write values in their order."""
        self.write(tag, str(len(values)))
        if (plain := containers.plain_bytes(values)) is not None:
            self.write("plain", hash_buffer(plain))
            return
        for index, value in enumerate(values):
            self.at(f"[{index}]", value)

    def at(self, step: str, value: Any) -> None:
        """Write a value that lies one step further down."""
        if type(value) in _PLAIN:
            self._part.add(encode(value))
            return
        self.path.append(step)
        self.value(value)
        self.path.pop()

    def instance(self, value: Any) -> None:
        """Write an object by its class and state, or by name if an installed module has it under one.

        Of settings, such as the flags of a package, both.
        """
        if (self.by_name(value) and not containers.has_settings(value)) or self.seen(value):
            return
        self.write("instance")
        self.value(type(value))
        if refusal := containers.refusal(value):
            self.cannot(refusal)
        elif not self.is_own(type(value)) and containers.pickles_itself(type(value)):
            containers.walk_pickled(self, value)
        else:
            containers.walk_state(self, value)

    def attributes(self, value: Any) -> None:
        """Write the slots and the attributes of an object."""
        containers.walk_attributes(self, value)

    def by_name(self, value: Any) -> bool:
        """Write an object of an installed module that stands there under a name, such as `random`'s own generator."""
        module = type(value).__module__
        if module not in self._globals:
            self._globals[module] = installed.globals_by_id(module)
        name = self._globals[module].get(id(value))
        if name is not None:
            self.named(module, name)
        return name is not None

    def named(self, module: str, name: str) -> None:
        """Write something of an installed module by its name, and take note of the version."""
        self.write("named", f"{module}.{name}")
        self.tops.add(module.partition(".")[0])
        self.versions.update(surroundings.version_of(module))

    def is_own(self, cls: type) -> bool:
        """Whether a class is walked, rather than known by its name and version."""
        return not installed.is_named(cls)

    def cannot(self, why: str) -> None:
        """Take note that the value at hand cannot be fingerprinted."""
        self.reasons.append(f"{''.join(self.path)} {why}")

    # References

    def seen(self, value: Any) -> bool:
        """Whether an object was met before, and then write a reference to it; otherwise it is met now."""
        known = self._known.get(id(value))
        if known is not None:
            self.refer(known[1], known[2])
            return True
        self._part.objects += 1
        self._known[id(value)] = value, self._part, self._part.objects
        return False

    def first_time(self, cls: type) -> bool:
        """Whether a class that is known by name is met now, and not before."""
        known = id(cls) in self._known
        self._known.setdefault(id(cls), (cls, self._part, 0))
        return not known

    def refer(self, part: Part, index: int = 0) -> None:
        self.write("reference")
        self._part.references.append((part, index))

    def later(self, value: Any, label: str, path: str, fill: Callable[[], None]) -> None:
        """Write a reference to an object that is a part of its own."""
        if not self.seen_part(value):
            part = self.new_part(label)
            self._known[id(value)] = value, part, 0
            self._queue.append((part, path, fill))
            self.refer(part)

    def seen_part(self, value: Any) -> bool:
        known = self._known.get(id(value))
        if known is not None:
            self.refer(known[1], known[2])
        return known is not None

    def constant(self, namespace: dict[str, Any], name: str, value: Any) -> None:
        """Write a reference to what a module has under a name."""
        part = self._by_key.get((id(namespace), name))
        if part is None:
            module = namespace.get("__name__", "?")
            part = self._by_key[id(namespace), name] = self.new_part(f"constant {module}.{name}")
            self._queue.append((part, f"{module}.{name}", lambda: self.value(value)))
        self.refer(part)

    def new_part(self, label: str) -> Part:
        count = self._labels[label] = self._labels.get(label, 0) + 1
        part = Part(label if count == 1 else f"{label} ({count})", len(self.parts))
        self.parts.append(part)
        return part

    @contextmanager
    def inside(self, part: Part, path: str) -> Iterator[None]:
        self._part, self.path = part, [path]
        try:
            yield
        except RecursionError:
            self.path = [path]
            self.cannot("is nested too deeply")
        except Exception as error:  # of the user's own classes, when asked for what they hold: no fingerprint then
            self.cannot(f"cannot be read ({type(error).__name__}: {error})")

    def finish(self) -> None:
        """Walk the parts that were met on the way."""
        while self._queue:
            part, path, fill = self._queue.popleft()
            with self.inside(part, path):
                fill()

    def digest(self) -> bytes:
        labels = tuple(part.label for part in self.parts) if self.labels_count else ()
        return blake2b(b"".join(part.full() for part in self.parts) + encode(labels), digest_size=32).digest()

    def digest_alone(self, value: Any, open_sets: tuple[int, ...]) -> bytes:
        """The digest of a value by itself, by which the members of sets are put in order."""
        alone = Walk(open_sets, self.remembered)
        with alone.inside(alone.new_part("member"), "member"):
            alone.value(value)
        alone.finish()
        return alone.digest()


def _short(content: bytes) -> str:
    return blake2b(content, digest_size=6).hexdigest()
