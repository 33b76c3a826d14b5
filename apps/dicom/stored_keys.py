"""Keys without a column, matched against stored DICOM JSON (PS3.4 C.2.2.2.6, PS3.18 F.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from apps.dicom.attributes import Attribute, Entity, Matching, any_attribute
from apps.dicom.criteria import Criterion, Empty, Universal, criterion_of
from apps.dicom.matching import value_met
from apps.dicom.query import Key
from apps.dicom.values import DELIMITER, normalise

Document = Mapping[str, Any]
Element = dict[str, Any]


@dataclass(slots=True)
class Node:
    """One key and, for a sequence, the keys asked of its items."""

    attribute: Attribute
    criterion: Criterion = field(default_factory=Universal)
    children: dict[int, Node] = field(default_factory=dict)
    creator: str = ""

    @property
    def narrows(self) -> bool:
        """True when the key can exclude anything."""
        own = not isinstance(self.criterion, Universal)
        return own or any(child.narrows for child in self.children.values())


def key_tree(keys: Iterable[Key], zone: str = "") -> dict[int, Node]:
    """The keys as a tree of sequences; raises InvalidRequest for values that make no sense.

    `zone` is the offset in which a DT key without one of its own is read.
    """
    tree: dict[int, Node] = {}
    for key in keys:
        if key.private_creator:
            tree[key.tag] = _private(key, zone)
            continue
        level = tree
        for tag in key.path:
            attribute = any_attribute(tag)
            assert attribute is not None, "plan() lets only standard attributes through"
            node = level.setdefault(tag, Node(attribute))
            level = node.children
        if node.attribute.vr != "SQ":
            node.criterion = criterion_of(
                node.attribute, key.values, zone, empty=key.empty, every=key.every
            )
    return tree


def _private(key: Key, zone: str) -> Node:
    """A private element is matched as text: its VR is only known where it is stored."""
    attribute = PrivateAttribute(f"{key.tag:08X}", Entity.INSTANCE, Matching.WILDCARD, "", "")
    criterion = criterion_of(attribute, key.values, zone, empty=key.empty, every=key.every)
    return Node(attribute, criterion, creator=key.private_creator)


@dataclass(frozen=True)
class PrivateAttribute(Attribute):
    """Its keyword is its tag in hexadecimal."""

    @cached_property
    def tag(self) -> int:
        """The tag as asked for; stored, its block may be another (PS3.5 7.8.1)."""
        return int(self.keyword, 16)

    @property
    def vr(self) -> str:
        """Any text."""
        return "LO"

    @property
    def multiple(self) -> bool:
        """As far as we know."""
        return True


def _resolved(document: Document, node: Node) -> tuple[str, str]:
    """Tags of the element and its creator in this document; the ones asked for if it has none."""
    tag = node.attribute.tag
    group = f"{tag >> 16:04X}"
    for block in range(0x10, 0x100):
        name = f"{group}00{block:02X}"
        if text_of(document.get(name), "LO") == node.creator:
            return f"{group}{block:02X}{tag & 0xFF:02X}", name
    return f"{tag:08X}", ""


def answer(document: Document, tree: Mapping[int, Node], zone: str = "") -> Document | None:
    """The elements asked for, or None where the document does not match.

    Of a sequence only those items are given in which all keys match, and of each only what was
    asked for; a sequence key without item keys gives the whole sequence (C.2.2.2.6).
    """
    found: dict[str, Element] = {}
    for tag, node in tree.items():
        name = f"{tag:08X}"
        if node.creator:
            name, creator = _resolved(document, node)
            if creator:
                found[creator] = document[creator]
            elif node.narrows and not isinstance(node.criterion, Empty):
                return None
        stored = document.get(name)
        element = _sequence(stored, node, zone) if node.children else _plain(stored, node, zone)
        if element is None:
            return None
        found[name] = element
    return found


def _sequence(stored: Element | None, node: Node, zone: str) -> Element | None:
    items = stored.get("Value", ()) if stored else ()
    answers = [answer(item or {}, node.children, zone) for item in items]
    kept = [item for item in answers if item is not None]
    if kept:
        return {"vr": "SQ", "Value": kept}
    return None if node.narrows else {"vr": "SQ"}


def _plain(stored: Element | None, node: Node, zone: str) -> Element | None:
    vr = node.attribute.vr
    if not value_met(vr, node.criterion, text_of(stored, vr), zone):
        return None
    return stored if stored is not None else {"vr": vr}


def text_of(element: Element | None, vr: str) -> str:
    """The values of a DICOM JSON element as normalised text; `""` for none and for bytes."""
    values = element.get("Value", ()) if element else ()
    return DELIMITER.join(normalise(vr, _one(value)) for value in values)


def _one(value: Any) -> str:
    if isinstance(value, dict):  # a person name, by component group
        groups = (value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(groups).rstrip("=")
    return "" if value is None else str(value)
