"""What a code object does and which names it looks up, whatever its comments, docstrings and place in the file."""

from __future__ import annotations

__tracebackhide__ = True

import dis
import functools
import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from types import CodeType
from typing import Any

Chain = tuple[str, ...]

_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
_NAMES, _CONSTANTS, _FREE = frozenset(dis.hasname), frozenset(dis.hasconst), frozenset(dis.hasfree)
_GLOBAL_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
# What the compiler writes into the body of a class and what says nothing that its methods do not.
_OF_A_CLASS_BODY = frozenset({"__doc__", "__firstlineno__", "__static_attributes__", "__module__"})
_HAS_DOCSTRING = 0x4000000  # a flag of code objects from Python 3.13 on


@dataclass(frozen=True, slots=True)
class Import:
    """An import inside a function: `from ..a import b` and then `b.c` is level 2, module "a", chain ("b", "c").

    An empty chain is the module as a whole.
    """

    level: int
    module: str
    chain: Chain


@dataclass(frozen=True, slots=True)
class Facts:
    """A code object with those nested in it.

    Attributes:
        digest: of what it computes: instructions with the constants and names that they use, and the signature.
        globals: names looked up in the module, each with the attributes asked of it: `a.b.c` is ("a", "b", "c").
        free: the same for the variables of enclosing functions.
        imports: what it imports when it runs.
        attributes: the attributes that it asks of anything, and texts that may be names of such (`getattr(x, "name")`).
        codes: itself and all code objects nested in it.
    """

    digest: bytes
    globals: tuple[Chain, ...]
    free: tuple[Chain, ...]
    imports: tuple[Import, ...]
    attributes: frozenset[str]
    codes: tuple[CodeType, ...]


def read_code(code: CodeType) -> Facts:
    """The facts of a code object, which depend on neither line numbers nor comments nor docstrings.

    >>> def one(x):
    ...     return x + 1
    >>> def other(x):
    ...     '''A docstring.'''
    ...
    ...     return x + 1  # a comment
    >>> read_code(one.__code__).digest == read_code(other.__code__).digest
    True
    """
    return _facts(code.co_filename, code)


@functools.lru_cache(maxsize=8192)
def _facts(file: str, code: CodeType) -> Facts:
    """By the file too: to Python, the same code at the same line of two files is equal."""
    found = _Found()
    digest = _read(code, found, {}, frozenset(code.co_freevars))
    imports = found.imports | {where for name, where in found.aliases if name not in found.used_aliases}
    return Facts(
        digest=digest,
        globals=tuple(sorted(found.globals)),
        free=tuple(sorted(found.free)),
        imports=tuple(sorted(imports, key=lambda each: (each.level, each.module, each.chain))),
        attributes=frozenset(found.attributes),
        codes=tuple(found.codes),
    )


@dataclass(slots=True)
class _Found:
    globals: set[Chain] = field(default_factory=set)
    free: set[Chain] = field(default_factory=set)
    imports: set[Import] = field(default_factory=set)
    aliases: set[tuple[str, Import]] = field(default_factory=set)
    used_aliases: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    codes: list[CodeType] = field(default_factory=list)


def _read(code: CodeType, found: _Found, aliases: dict[str, Import], free: frozenset[str]) -> bytes:
    """The digest of a code object; what it looks up goes into `found`.

    Args:
        aliases: what the names of enclosing functions were imported as.
        free: the variables that the outermost function takes from where it was defined.
    """
    instructions = _kept(code)
    aliases = aliases | _aliases(instructions, found)
    found.codes.append(code)
    found.attributes.update(each.argval for each in instructions if each.opname in _ATTRIBUTES)
    found.attributes.update(each for each in code.co_consts if isinstance(each, str) and each.isidentifier())
    _look_ups(instructions, found, aliases, free, cells=frozenset(code.co_cellvars + code.co_freevars))
    offsets = [instruction.offset for instruction in instructions]
    content = blake2b(digest_size=16)
    signature = (
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & ~_HAS_DOCSTRING,
        *(code.co_varnames, code.co_cellvars, code.co_freevars),
        getattr(code, "co_exceptiontable", b""),
    )
    content.update(encode(signature))
    for position, instruction in enumerate(instructions):
        if instruction.opcode in _CONSTANTS:
            following = instructions[position + 1 : position + 2]
            argument = _constant(code.co_consts[instruction.arg or 0], following, found, aliases, free)
        elif instruction.opcode in _JUMPS:
            argument = encode(bisect_left(offsets, instruction.argval))
        elif instruction.opcode in _NAMES:
            argument = encode(instruction.argrepr)
        else:
            argument = encode(instruction.arg)
        content.update(encode(instruction.opname) + argument)
    return content.digest()


def _kept(code: CodeType) -> list[dis.Instruction]:
    """The instructions without fillers, and in the body of a class without what tells its place and docstring."""
    each = [i for i in dis.get_instructions(code) if i.opname not in ("NOP", "EXTENDED_ARG", "CACHE")]
    if code.co_flags & 0x02:  # CO_NEWLOCALS: a function
        return each
    dropped = set()
    for position, instruction in enumerate(each):
        if instruction.opname == "STORE_NAME" and instruction.argval in _OF_A_CLASS_BODY and position:
            before = each[position - 1]
            if before.opname == "LOAD_CONST" or before.argval == "__name__":
                dropped |= {position - 1, position}
    return [instruction for position, instruction in enumerate(each) if position not in dropped]


def _constant(
    value: Any, following: list[dis.Instruction], found: _Found, aliases: dict[str, Import], free: frozenset[str]
) -> bytes:
    if isinstance(value, CodeType):
        return b"C" + _read(value, found, aliases, free)
    if isinstance(value, str) and following:
        after = following[0]
        if after.opname == "MAKE_FUNCTION" or (after.opname == "STORE_NAME" and after.argval == "__qualname__"):
            value = value.rpartition(".")[2]  # of a qualified name: not where it is defined
    return encode(value)


def _aliases(instructions: list[dis.Instruction], found: _Found) -> dict[str, Import]:
    """The local names that imports bind."""
    aliases: dict[str, Import] = {}
    for position, instruction in enumerate(instructions):
        if instruction.opname != "IMPORT_NAME" or position < 2:
            continue
        level, names = instructions[position - 2].argval, instructions[position - 1].argval
        level = level if isinstance(level, int) else 0
        module = instruction.argval
        rest = instructions[position + 1 :]
        if names:  # from a import b, c as d
            for name, store in _pairs(rest):
                _bind(aliases, found, store, Import(level, module, (name,)))
        elif rest and rest[0].opname == "IMPORT_FROM":  # import a.b as c
            store = next((each for each in rest if each.opname.startswith("STORE_")), rest[0])
            _bind(aliases, found, store, Import(level, module, ()))
        else:  # import a.b, which binds a and makes sure of a.b
            top, *below = module.split(".")
            if below:
                found.imports.add(Import(level, module, ()))
            _bind(aliases, found, rest[0], Import(level, top, ()))
    return aliases


def _pairs(rest: list[dis.Instruction]) -> Iterator[tuple[str, dis.Instruction]]:
    for name, store in zip(rest[::2], rest[1::2], strict=False):
        if name.opname != "IMPORT_FROM":
            return
        yield name.argval, store


def _bind(aliases: dict[str, Import], found: _Found, store: dis.Instruction, where: Import) -> None:
    bound = store.argval[0] if isinstance(store.argval, tuple) else store.argval
    if store.opname.startswith("STORE_") and isinstance(bound, str):
        aliases[bound] = where
        found.aliases.add((bound, where))
    else:
        found.imports.add(where)


def _look_ups(
    instructions: list[dis.Instruction],
    found: _Found,
    aliases: dict[str, Import],
    free: frozenset[str],
    cells: frozenset[str],
) -> None:
    for position, instruction in enumerate(instructions):
        if not instruction.opname.startswith("LOAD_") and not instruction.opname.startswith("STORE_FAST_LOAD"):
            continue
        is_global = instruction.opname in _GLOBAL_LOADS
        names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        for name in names:
            if not isinstance(name, str) or name.startswith("@py"):  # pytest's own names in rewritten assertions
                continue
            if instruction.opname == "LOAD_CLOSURE" or (instruction.opname.startswith("LOAD_FAST") and name in cells):
                continue  # hands the variable on to a nested function, whose code tells what it does with it
            is_last = name is names[-1]
            chain = _attributes(instructions, position + 1) if is_last else ()
            if name in aliases and instruction.opcode not in (_NAMES if not is_global else ()):
                where = aliases[name]
                found.imports.add(Import(where.level, where.module, where.chain + chain))
                found.used_aliases.add(name)
            elif is_global:
                found.globals.add((name, *chain))
            elif instruction.opcode in _FREE and name in free:
                found.free.add((name, *chain))


def _attributes(instructions: list[dis.Instruction], position: int) -> Chain:
    chain = []
    while position < len(instructions) and instructions[position].opname in _ATTRIBUTES:
        chain.append(instructions[position].argval)
        position += 1
    return tuple(chain)


def encode(value: Any) -> bytes:
    """Bytes that differ wherever plain values do: 1, 1.0 and True, 0.0 and -0.0, "a" and b"a", [] and ().

    Raises:
        TypeError: a value that is not plain.
    """
    kind: type = type(value)
    if kind is str:
        content: bytes = value.encode("utf-8", "surrogatepass")
        return b"s%d:" % len(content) + content
    if value is None or kind is bool or value is Ellipsis:
        return b"N" if value is None else b"E" if value is Ellipsis else b"T" if value else b"F"
    if kind is int:
        return b"i%x;" % value if value >= 0 else b"i-%x;" % -value
    if kind is float:
        return b"f" + struct.pack(">d", value)
    if kind is complex:
        return b"c" + struct.pack(">dd", value.real, value.imag)
    if kind is bytes:
        return bytes(b"b%d:" % len(value) + value)
    if kind is tuple:
        return b"(%d:" % len(value) + b"".join(map(encode, value))
    if kind is frozenset:
        return b"{%d:" % len(value) + b"".join(sorted(map(encode, value)))
    if kind is slice:
        return b"/" + encode((value.start, value.stop, value.step))
    raise TypeError(f"{kind.__name__} is not a plain value")
