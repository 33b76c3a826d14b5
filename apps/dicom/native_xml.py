"""Native DICOM Model XML (PS3.19 A.1) read to DICOM JSON. No DTD, so nothing can be expanded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

from apps.dicom.json_values import DicomJson
from apps.errors import UnreadableInstance

_NAME_PARTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_NAME_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_WHOLE: Final = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_FLOATING: Final = frozenset({"FD", "FL"})
_DEEPEST: Final = 512


@dataclass(slots=True)
class _Node:
    """One XML element: its local name, attributes, children and text."""

    name: str
    attributes: dict[str, str]
    children: list[_Node] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def named(self, name: str) -> list[_Node]:
        """The children of that name, by their `number` where they have one."""
        found = [child for child in self.children if child.name == name]
        return sorted(found, key=lambda child: int(child.attributes.get("number", "1")))

    @property
    def words(self) -> str:
        return "".join(self.text)


def parse_xml(document: bytes) -> DicomJson:
    """One data set. Raises UnreadableInstance for what is no Native DICOM Model."""
    try:
        root = _tree(document)
        if root.name != "NativeDicomModel":
            raise UnreadableInstance("The metadata is no Native DICOM Model.")
        return _attributes(root)
    except (expat.ExpatError, ValueError, KeyError, RecursionError):
        raise UnreadableInstance("The metadata is no XML that can be read.") from None


def _tree(document: bytes) -> _Node:
    top = _Node("", {})
    stack = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > _DEEPEST:
            raise UnreadableInstance("The metadata's sequences are nested too deep.")
        node = _Node(name.rpartition(" ")[2], attributes)
        stack[-1].children.append(node)
        stack.append(node)

    def end(_name: str) -> None:
        stack.pop()

    def said(text: str) -> None:
        stack[-1].text.append(text)

    def refuse(*_: object) -> None:
        raise UnreadableInstance("The metadata must not have a document type.")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = said
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(document, True)
    return top.children[0]


def _attributes(node: _Node) -> DicomJson:
    found: DicomJson = {}
    private: list[_Node] = []
    for each in node.named("DicomAttribute"):
        tag = each.attributes["tag"].upper()
        if each.attributes.get("privateCreator") and tag[4:6] == "00":
            private.append(each)
        else:
            found[tag] = _element(each)
    for each in private:
        tag = each.attributes["tag"].upper()
        block = _block(found, tag[:4], each.attributes["privateCreator"])
        found[f"{tag[:4]}{block}{tag[6:]}"] = _element(each)
    return dict(sorted(found.items()))


def _block(found: DicomJson, group: str, creator: str) -> str:
    """The block that the creator has in the data set, else the first free one (PS3.5 7.8.1)."""
    free = ""
    for block in (f"{number:02X}" for number in range(0x10, 0x100)):
        reserved = found.get(f"{group}00{block}")
        if reserved is None:
            free = free or block
        elif (reserved.get("Value") or [""])[0].strip() == creator.strip():
            return block
    if not free:
        raise UnreadableInstance("The metadata has too many private creators in one group.")
    found[f"{group}00{free}"] = {"vr": "LO", "Value": [creator]}
    return free


def _element(node: _Node) -> DicomJson:
    vr = node.attributes["vr"]
    for bulk in node.named("BulkData"):
        return {"vr": vr, "BulkDataURI": bulk.attributes["uri"]}
    for inline in node.named("InlineBinary"):
        return {"vr": vr, "InlineBinary": "".join(inline.words.split())}
    values: list[Any]
    if vr == "SQ":
        values = [_attributes(item) for item in node.named("Item")]
    elif vr == "PN":
        values = [_name(each) for each in node.named("PersonName")]
    else:
        values = [_value(vr, each.words) if each.words else None for each in node.named("Value")]
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _name(node: _Node) -> dict[str, str]:
    groups = {}
    for group in _NAME_GROUPS:
        for found in node.named(group):
            parts = ["".join(each.words for each in found.named(part)) for part in _NAME_PARTS]
            groups[group] = "^".join(parts).rstrip("^")
    return groups


def _value(vr: str, text: str) -> Any:
    if vr in _WHOLE:
        return int(text)
    return float(text) if vr in _FLOATING else text
