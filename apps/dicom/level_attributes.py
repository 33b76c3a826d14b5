"""Attributes of studies and series without a column: what their instances say, put together.

A study's Procedure Code Sequence stands in its instances, and not in each of them alike: a report
may lack what every image says, and two series may have been done for two requests. What is asked of
the study is asked of the values of all its instances (PS3.4 C.2.2.3: any value matches, all are
answered; C.2.2.2.6: keys of a sequence are met within one item).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from pydicom.datadict import keyword_dict

from apps.dicom.attributes import STORED, Entity

Document = Mapping[str, Any]

TAGS: Final[dict[Entity, tuple[str, ...]]] = {
    entity: tuple(f"{keyword_dict[name]:08X}" for name, owner in STORED.items() if owner is entity)
    for entity in dict.fromkeys(STORED.values())
}
# More different values than this of one attribute are no description of a study any more.
MOST_VALUES: Final = 1_000
LEVEL_TAGS: Final = frozenset(keyword_dict[name] for name in STORED)


@lru_cache(maxsize=256)
def gathered(text: str) -> Mapping[Entity, Document]:
    """`said_by` for DICOM JSON as text, remembered: the instances of a series say the same."""
    return said_by(json.loads(text))


def said_by(document: Document) -> Mapping[Entity, Document]:
    """What an instance says of its study and its series, by entity; empty where it says nothing."""
    found = {
        entity: {tag: document[tag] for tag in tags if document.get(tag, {}).get("Value")}
        for entity, tags in TAGS.items()
    }
    return {entity: each for entity, each in found.items() if each}


def united(known: Document, more: Document) -> Document:
    """Every different value of each attribute, in the order in which they came."""
    together = dict(known)
    for tag, element in more.items():
        present = together.get(tag)
        if present is None:
            together[tag] = element
            continue
        new = [value for value in element["Value"] if value not in present["Value"]]
        if new:
            together[tag] = {**present, "Value": [*present["Value"], *new][:MOST_VALUES]}
    return together
