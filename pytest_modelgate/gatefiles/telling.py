"""How messages tell what stands in a gate file, and what was probably meant by it."""

from __future__ import annotations

__tracebackhide__ = True

import re
from typing import TYPE_CHECKING

from pytest_modelgate.gatefiles.yaml_nodes import Items, Scalar, Table, resolve

if TYPE_CHECKING:
    from pytest_modelgate.gatefiles.yaml_nodes import Node


def described(node: Node) -> str:
    """What stands there, for messages."""
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Table):
        return "a mapping"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, str):
        return f"the text {short(node.value)!r}"
    return node.text if isinstance(node.value, bool) else f"the number {node.text}"


def node_text(node: Node) -> str:
    """What stands there, as it is written."""
    return short(node.text) if isinstance(node, Scalar) else described(node)


def short(text: str) -> str:
    """A text that may be long, for messages."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def flag_meant(value: object) -> str:
    """A hint where true or false was written in another way."""
    for flag, words in (("true", ("yes", "y", "on", "1", "true")), ("false", ("no", "n", "off", "0", "false"))):
        if str(value).lower() in words:
            return f"; write {flag}"
    return ""


def number_meant(value: object) -> str:
    """A hint where a number was written in another way: in quotes, as percent, with a comma."""
    text = str(value).strip()
    if isinstance(value, bool) or not isinstance(value, str):
        return ""
    if isinstance(number := resolve(text), (int, float)) and not isinstance(number, bool):
        return f"; write {text}, without quotes"
    if (found := re.fullmatch(r"([\d.]+)\s*%", text)) and isinstance(resolve(found[1]), (int, float)):
        return f"; write {float(found[1]) / 100:g}"
    if re.fullmatch(r"\d+,\d+", text):
        return f"; write {text.replace(',', '.')}"
    if found := re.fullmatch(r"([<>]=?|=+)\s*([\d.]+)", text):
        return f"; write {found[2]} alone"
    return ""
