"""Association records as people and programs read them: a line, sentences, JSON, CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from apps.dicom.uids import name_of
from apps.network.explanation import (
    context_remedy,
    context_sentence,
    operations_sentences,
    refused_classes,
    rejection_remedy,
)
from apps.network.models import AssociationRecord

Ending = AssociationRecord.Ending

_COLUMNS: Final = (
    "started_at",
    "ended_at",
    "direction",
    "calling_ae_title",
    "called_ae_title",
    "address",
    "port",
    "connections",
    "ending",
    "reason",
    "summary",
    "operations",
    "received_bytes",
    "sent_bytes",
    "tls",
    "certificate",
    "user",
    "implementation_class_uid",
    "implementation_version_name",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and which setting would change what it tells; empty where nothing is amiss."""

    told: str
    remedy: str = ""


class _Line:
    """A file for `csv.writer` that hands its line back."""

    def write(self, text: str) -> str:
        return text


def peer_of(record: AssociationRecord) -> str:
    """The other side's name: its AE title, else its address."""
    theirs = record.calling_ae_title
    if record.direction == AssociationRecord.Direction.OUT:
        theirs = record.called_ae_title
    return theirs or record.address


def contexts_of(record: AssociationRecord) -> list[dict[str, Any]]:
    """The presentation contexts, or none. Select `negotiation` with the records."""
    return [] if record.negotiation is None else list(record.negotiation.contexts)


def summary(record: AssociationRecord) -> str:
    """One line: how it ended, what it did, and the first thing that went wrong."""
    ending = record.get_ending_display()
    if record.ending == Ending.SILENT and record.connections > 1:
        return f"{record.connections} connections without a request: {record.reason}"
    if record.reason:
        ending = f"{ending}: {record.reason}"
    parts = [ending, *(each.rstrip(".") for each in operations_sentences(record.operations))]
    if record.ending != Ending.REJECTED:
        refused = refused_classes(contexts_of(record))
        parts += [context_sentence(refused[0], peer_of(record)).rstrip(".")] if refused else []
        if len(refused) > 1:
            parts.append(f"and {len(refused) - 1} more")
    return "; ".join(parts)


def explain(record: AssociationRecord) -> list[Finding]:
    """The association, told in order: who, what was answered, what was done, how it ended."""
    peer = peer_of(record)
    findings = [Finding(_opening(record, peer))]
    refused = [] if record.ending == Ending.REJECTED else refused_classes(contexts_of(record))
    findings += [
        Finding(context_sentence(each, peer), context_remedy(each, peer)) for each in refused
    ]
    accepted = [each for each in contexts_of(record) if each["result"] == 0]
    if accepted:
        findings.append(Finding(f"{len(accepted)} presentation contexts were accepted."))
    findings += [Finding(each) for each in operations_sentences(record.operations)]
    remedy = rejection_remedy(record.reason, peer=peer, called=record.called_ae_title)
    return [*findings, Finding(_closing(record), remedy)]


def as_json(record: AssociationRecord, *, detailed: bool = False) -> dict[str, Any]:
    """Plain values; `detailed` adds presentation contexts, findings and refused instances."""
    plain: dict[str, Any] = {"id": record.pk, **{name: _value(record, name) for name in _COLUMNS}}
    if detailed:
        plain["contexts"] = [
            each | {"abstract_syntax_name": name_of(each["abstract_syntax"])}
            for each in contexts_of(record)
        ]
        plain["findings"] = [{"told": each.told, "remedy": each.remedy} for each in explain(record)]
        plain["refused"] = record.refused
    return plain


def csv_lines(records: Iterable[AssociationRecord]) -> Iterator[str]:
    """A header and one line for each record; no cell is a formula to a spreadsheet."""
    writer = csv.writer(_Line())
    yield writer.writerow(_COLUMNS)
    for record in records:
        cells = [_cell(_value(record, name)) for name in _COLUMNS]
        yield writer.writerow(cells)


def _value(record: AssociationRecord, name: str) -> Any:
    if name == "summary":
        return summary(record)
    value = getattr(record, name)
    return value.isoformat() if name.endswith("_at") and value else value


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        value = " ".join(operations_sentences(value))
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _opening(record: AssociationRecord, peer: str) -> str:
    when = f"{record.started_at:%Y-%m-%d %H:%M:%S} UTC"
    secured = f" over {record.tls}" if record.tls else ""
    if record.ending in {Ending.SILENT, Ending.TLS}:
        times = "" if record.connections == 1 else f" {record.connections} times"
        return f"{record.address} connected{times}{secured}, first at {when}."
    if record.direction == AssociationRecord.Direction.OUT:
        return f"We called {peer} at {record.address}:{record.port}{secured} at {when}."
    named = f" as user {record.user}" if record.user else ""
    return (
        f"{peer} at {record.address} called {record.called_ae_title or 'nobody'}{secured}{named} "
        f"at {when}."
    )


def _closing(record: AssociationRecord) -> str:
    told = record.get_ending_display().capitalize()
    if record.reason:
        told += f": {record.reason}"
    if record.ended_at and record.ending not in {Ending.REJECTED, Ending.SILENT, Ending.TLS}:
        seconds = (record.ended_at - record.started_at).total_seconds()
        told += f" after {seconds:.1f} s"
    return f"{told}."
