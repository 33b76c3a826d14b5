"""Questions to the work items. Every one demands a principal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from django.db.models import QuerySet

from apps.access.principals import Permission, Principal, permit
from apps.dicom import ups
from apps.dicom.attributes import any_attribute
from apps.dicom.criteria import Names, Text, Uids
from apps.dicom.data_sets import Document, items_at, text_at
from apps.dicom.name_sounds import key_words
from apps.dicom.query import NEVER_MATCHED, Key
from apps.dicom.stored_keys import Node, answer, key_tree
from apps.dicom.ups import Fault, UpsFault
from apps.worklist.models import WorkItem

_CHUNK: Final = 500
_TRANSACTION_UID: Final = int(ups.TRANSACTION_UID, 16)
# TABLE: what the database narrows by, where the key is one plain value; the rest is matched in the
# data set itself.
_COLUMNS: Final = {
    int(ups.STATE, 16): "state",
    int(ups.PRIORITY, 16): "priority",
    0x00080018: "sop_instance_uid",
    0x00100020: "patient_id",
}


class WorkItemQuery:
    """Keys, read and checked; raises InvalidRequest with the offending tags.

    `fuzzy_names` adds to what matches literally the names that sound alike. `unsupported` keys were
    ignored in matching; a door has to admit it (C-FIND: FF01).
    """

    def __init__(self, keys: Iterable[Key], zone: str = "", *, fuzzy_names: bool = False) -> None:
        self.unsupported: list[Key] = []
        supported: list[Key] = []
        for key in keys:
            if key.tag in NEVER_MATCHED and len(key.path) == 1:
                continue
            private = bool(key.private_creator)
            unknown = private or any(any_attribute(tag) is None for tag in key.path)
            # The key to the lock is never matched, so that nobody can guess it.
            hidden = _TRANSACTION_UID in key.path
            (self.unsupported if unknown or hidden else supported).append(key)
        self._tree: dict[int, Node] = key_tree(supported, zone)
        self._zone = zone
        for key in supported if fuzzy_names else ():
            _by_sound(self._tree, key)

    def narrow(self, rows: QuerySet[WorkItem]) -> QuerySet[WorkItem]:
        """The rows that may match: what a column can say of a key is asked of the database."""
        for tag, column in _COLUMNS.items():
            node = self._tree.get(tag)
            match node.criterion if node else None:
                case Text((pattern,)) if not set(pattern) & set("*?"):
                    rows = rows.filter(**{column: pattern})
                case Uids(uids):
                    rows = rows.filter(**{f"{column}__in": uids})
        return rows

    def answer(self, document: Document) -> Document | None:
        """What was asked for, or None where the work item does not match."""
        found = answer(document, self._tree, self._zone)
        return None if found is None else dict(found)


def search_work_items(
    query: WorkItemQuery, principal: Principal, *, whole: bool = False
) -> Iterator[Document]:
    """The work items that match, the oldest first. Raises NotPermitted.

    Of each what the query asked for, or all that is known of it where it is wanted `whole`.
    """
    permit(principal, Permission.VIEW_WORKLIST)
    rows = query.narrow(WorkItem.objects.all()).order_by("pk")
    return _answers(query, rows, whole=whole)


def _answers(query: WorkItemQuery, rows: QuerySet[WorkItem], *, whole: bool) -> Iterator[Document]:
    documents = rows.values_list("document", flat=True)
    for document in documents.iterator(chunk_size=_CHUNK):
        found = query.answer(document)
        if found is not None:
            yield document if whole else found


def _by_sound(tree: Mapping[int, Node], key: Key) -> None:
    """A name among the keys also matches by its sound."""
    level = tree
    for tag in key.path:
        node = level[tag]
        level = node.children
    if isinstance(node.criterion, Names):
        node.criterion = replace(node.criterion, words=key_words(" ".join(key.values)))


def work_item(sop_instance_uid: str, principal: Principal) -> WorkItem:
    """The work item; its Transaction UID is nobody's business. Raises UpsFault, NotPermitted."""
    permit(principal, Permission.VIEW_WORKLIST)
    found = WorkItem.objects.filter(sop_instance_uid=sop_instance_uid).first()
    if found is None:
        raise UpsFault(Fault.UNKNOWN)
    return found


def keys_of(document: Document, path: tuple[int, ...] = ()) -> list[Key]:
    """The keys that an identifier in the DICOM JSON Model stands for."""
    keys: list[Key] = []
    for name, each in document.items():
        tag = int(name, 16)
        items = items_at(document, name) if each["vr"] == "SQ" else []
        if items and items[0]:
            keys += keys_of(items[0], (*path, tag))
        else:
            text = "" if each["vr"] == "SQ" else text_at(document, name)
            keys.append(Key((*path, tag), (text,)))
    return keys
