"""Display rules for sources that state the wrong polarity: what is shown, never what is stored.

A radiography device that says MONOCHROME2 and means MONOCHROME1 shows air white and bone black. A
rule for its AE title and a period turns that round wherever images are shown: in rendered pictures
and in the metadata browsers draw by. Stored bytes and the header inspector stay as they came.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.conf import settings
from django.db.models import QuerySet

from apps.access.prepared import Prepared
from apps.archive.fragments import pack, plain
from apps.archive.models import Instance
from apps.network.models import PolarityRule
from apps.retrieve.edition import EDITION

_PHOTOMETRIC: Final = "00280004"
_SHAPE: Final = "20500020"
_STATION: Final = "00081010"
_SOP_INSTANCE: Final = "00080018"
_ORIGINAL: Final = "04000561"
_OTHER: Final = {"MONOCHROME1": "MONOCHROME2", "MONOCHROME2": "MONOCHROME1"}
_SHAPE_OF: Final = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
# Stands where the service's address goes while a fragment is rewritten; nobody can know it.
_BASE: Final = f"pacsweb-{secrets.token_hex(16)}".encode()


@dataclass(frozen=True, slots=True)
class Rule:
    """One enabled PolarityRule."""

    source: str
    station: str
    first: datetime
    last: datetime | None
    since: datetime
    instances: tuple[str, ...] = ()

    def fits(self, source: str, received_at: datetime) -> bool:
        """Whether an instance of this source, received then, may be meant."""
        over = self.last is not None and received_at > self.last
        return source == self.source and self.first <= received_at and not over

    def covers(self, dataset: Mapping[str, Any]) -> bool:
        """Whether such an instance's station and UID are among those the rule is for."""
        station = not self.station or _text(dataset, _STATION) == self.station
        return station and (not self.instances or _text(dataset, _SOP_INSTANCE) in self.instances)


def read_rule(row: PolarityRule) -> Rule:
    """The rule of a row, saved or not."""
    return Rule(
        row.source_ae_title.strip(),
        row.station_name.strip(),
        row.begin,
        row.end,
        row.created_at,
        tuple(sorted(set(row.sop_instance_uids.split()))),
    )


class _Rules:
    """The enabled rules, asked for with each use, so that a change counts at once everywhere.

    One small compiled query, nearly always of no rows; they are read again only where they differ.
    """

    def __init__(self) -> None:
        self._asked = Prepared(PolarityRule.objects.filter(enabled=True).values_list(), [])
        self._read: tuple[list[tuple[Any, ...]], tuple[Rule, ...]] = [], ()

    def __call__(self) -> tuple[Rule, ...]:
        rows = self._asked.rows()
        known, rules = self._read
        if rows != known:
            # Asked before the rules are read: a change in between is seen the next time.
            rules = tuple(map(read_rule, PolarityRule.objects.filter(enabled=True)))
            self._read = rows, rules
        return rules


polarity_rules = _Rules()


def display_variant() -> str:
    """Differs whenever pictures may look different; for tags of cached answers."""
    rules = polarity_rules()
    return EDITION + (repr(rules) if rules else "")


def variant_of(source: str, received_at: datetime) -> str:
    """The same for one instance, at most 64 letters: other sources' rules do not change it."""
    rules = [each for each in polarity_rules() if each.fits(source, received_at)]
    return hashlib.sha256(repr(rules).encode()).hexdigest() if rules else ""


def is_grey(dataset: Mapping[str, Any]) -> bool:
    """Whether the image can be turned round at all."""
    return _text(dataset, _PHOTOMETRIC).upper() in _OTHER


def rule_of(
    rules: Sequence[Rule], dataset: Mapping[str, Any], source: str, received_at: datetime
) -> Rule | None:
    """The rule that turns an image round; None where none does, or it is no grey image."""
    if not is_grey(dataset):
        return None
    meant = (each for each in rules if each.fits(source, received_at))
    return next((each for each in meant if each.covers(dataset)), None)


def shown(
    rules: Sequence[Rule], dataset: Mapping[str, Any], source: str, received_at: datetime
) -> dict[str, Any] | None:
    """The data set in DICOM JSON as it is to be shown; None where no rule turns it round."""
    rule = rule_of(rules, dataset, source, received_at)
    return None if rule is None else turned(dataset, rule)


def turned(dataset: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
    """The data set of a grey image as the rule says that it is to be shown."""
    stated = _text(dataset, _PHOTOMETRIC).upper()
    # Either of the two says that the smallest value is white (PS3.3 C.7.6.3.1.2, C.11.6).
    white = stated == "MONOCHROME1" or _text(dataset, _SHAPE).upper() == "INVERSE"
    meant = "MONOCHROME2" if white else "MONOCHROME1"
    changed = dict(dataset) | {_PHOTOMETRIC: _code(meant)}
    before = {_PHOTOMETRIC: dataset[_PHOTOMETRIC]}
    if _SHAPE in dataset:
        changed[_SHAPE] = _code(_SHAPE_OF[meant])
        before[_SHAPE] = dataset[_SHAPE]
    earlier = list(dataset.get(_ORIGINAL, {}).get("Value") or [])
    changed[_ORIGINAL] = {"vr": "SQ", "Value": [*earlier, _original(rule, before)]}
    return dict(sorted(changed.items()))


def shown_fragments(rules: Sequence[Rule], rows: QuerySet[Instance]) -> Iterator[bytes]:
    """Metadata fragments of the instances in order, those a rule turns round rewritten."""
    fields = ("metadata__fragment", "source_ae_title", "received_at")
    for fragment, source, received_at in rows.values_list(*fields).iterator(chunk_size=500):
        if fragment is None:
            continue
        known = bytes(fragment)
        if any(rule.fits(source, received_at) for rule in rules):
            known = _rewritten(rules, known, source, received_at)
        yield known


def _rewritten(rules: Sequence[Rule], fragment: bytes, source: str, received_at: datetime) -> bytes:
    dataset = shown(rules, orjson.loads(plain(fragment, _BASE)), source, received_at)
    if dataset is None:
        return fragment
    return pack(tuple(orjson.dumps(dataset).split(_BASE)))


def _original(rule: Rule, before: Mapping[str, Any]) -> dict[str, Any]:
    """An item of the Original Attributes Sequence (PS3.3 C.12.1.1.9)."""
    moment = rule.since.strftime("%Y%m%d%H%M%S+0000")
    return {
        "04000550": {"vr": "SQ", "Value": [dict(before)]},
        "04000562": {"vr": "DT", "Value": [moment]},
        "04000563": {"vr": "LO", "Value": [settings.PACSWEB.ae_title]},
        "04000564": {"vr": "LO", "Value": [rule.source]},
        "04000565": {"vr": "CS", "Value": ["CORRECT"]},
    }


def _code(value: str) -> dict[str, Any]:
    return {"vr": "CS", "Value": [value]}


def _text(dataset: Mapping[str, Any], tag: str) -> str:
    values = dataset.get(tag, {}).get("Value") or [""]
    return str(values[0]).strip()
