"""How the reports write a number: three decimals, and more where fewer would mislead."""

from __future__ import annotations

from math import isfinite
from typing import TypeAlias

Number: TypeAlias = "float | int | str | None"
"""A number of a report: the strings "nan", "inf" and "-inf" stand for what JSON cannot hold, None for undefined."""

MISSING = "–"


def finite(value: Number) -> float | None:
    """The value as a float where it is a finite number, else None.

    >>> finite(1), finite("nan"), finite(None)
    (1.0, None, None)
    """
    if value is None or isinstance(value, str):
        return None
    number = float(value)
    return number if isfinite(number) else None


def number(value: Number, *apart_from: Number, missing: str = MISSING) -> str:
    """A real number as text: three decimals, and more where it would else read like a different number.

    `apart_from` are the numbers it stands beside, such as the gate's bar. Symmetric: with the roles exchanged, both
    texts have equally many decimals. Very small and very large numbers are written with an exponent.

    >>> number(0.12), number(0.9), number(None), number("nan")
    ('0.120', '0.900', '–', 'nan')
    >>> number(0.89996, 0.9), number(0.9, 0.89996), number(0.9, 0.9)
    ('0.89996', '0.90000', '0.900')
    >>> number(0.00001), number(0.0), number(12345678.0)
    ('1.00e-05', '0.000', '1.235e+07')
    """
    if value is None:
        return missing
    if isinstance(value, str):
        return value
    own = finite(value)
    if own is None:
        return str(float(value))
    if own and abs(own) < 0.0005:
        return f"{own:.2e}"
    if abs(own) >= 1e7:
        return f"{own:.3e}"
    others = [other for other in map(finite, apart_from) if other is not None and other != own]
    decimals = 3
    while decimals < 17 and any(f"{own:.{decimals}f}" == f"{other:.{decimals}f}" for other in others):
        decimals += 1
    return f"{own:.{decimals}f}"


def signed(value: Number, *apart_from: Number, missing: str = MISSING) -> str:
    """A difference as text: as `number` writes it, with a plus where it is above 0.

    >>> signed(0.01), signed(-0.2, 0.0), signed(0.0), signed(None)
    ('+0.010', '-0.200', '0.000', '–')
    """
    text = number(value, *apart_from, missing=missing)
    known = finite(value)
    return f"+{text}" if known is not None and known > 0 else text


def count(value: int) -> str:
    """A count with its thousands set apart.

    >>> count(1204), count(12)
    ('1,204', '12')
    """
    return f"{value:,}"


def plural(value: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "gate"), plural(1200, "gate")
    ('1 gate', '1,200 gates')
    """
    return f"{count(value)} {noun}" if value == 1 else f"{count(value)} {noun}s"


def percent(share: float) -> str:
    """A share as a percentage, with as many decimals as it has.

    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{share * 100:.10g}%"
