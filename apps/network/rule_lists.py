"""Lists in the rules of an application entity, as people write them: one a line, or by commas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from django.core.exceptions import ValidationError

from apps.dicom import sop_classes, transfer_syntaxes
from apps.dicom.character_sets import DEFINED_TERMS
from apps.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from apps.dicom.uids import is_valid, name_of

_FINGERPRINT: Final = re.compile(r"sha256:[0-9a-f]{64}").fullmatch


def items(text: str) -> tuple[str, ...]:
    """The entries without blanks and repetitions, in order."""
    return tuple(dict.fromkeys(part.strip() for part in re.split(r"[\n;]", text) if part.strip()))


def transfer_syntax_uids(text: str) -> tuple[str, ...]:
    """UIDs of the Transfer Syntaxes named by UID or name. Raises ValidationError."""
    return tuple(_uid(each, _transfer_syntaxes(), "Transfer Syntax") for each in items(text))


def sop_class_uids(text: str) -> tuple[str, ...]:
    """UIDs of the SOP Classes named by UID, keyword or name. Raises ValidationError."""
    return tuple(_uid(each, _sop_classes(), "SOP Class") for each in items(text))


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses and networks (`10.1.0.0/16`). Raises ValidationError."""
    found = []
    for each in items(text.replace(",", "\n")):
        try:
            found.append(ip_network(each, strict=False))
        except ValueError:
            raise ValidationError(f"{each} is neither an address nor a network.") from None
    return tuple(found)


def certificate_names(text: str) -> frozenset[str]:
    """Common names, DNS names, and `sha256:` fingerprints, lower case."""
    names = set()
    for each in items(text.replace(",", "\n")):
        plain = each.lower()
        if plain.startswith("sha256:"):
            plain = "sha256:" + plain.removeprefix("sha256:").replace(":", "")
            if not _FINGERPRINT(plain):
                raise ValidationError(f"{each} is no SHA-256 fingerprint (64 hexadecimal digits).")
        names.add(plain)
    return frozenset(names)


def forbidden_transfer_syntax_uids(text: str) -> frozenset[str]:
    """As `transfer_syntax_uids`; the default one cannot be forbidden (PS3.5 10.1)."""
    uids = transfer_syntax_uids(text)
    if IMPLICIT_VR_LITTLE_ENDIAN in uids:
        raise ValidationError(
            "Implicit VR Little Endian is what every application entity must accept "
            "(PS3.5 10.1); prefer another one instead."
        )
    return frozenset(uids)


def character_set_terms(text: str) -> tuple[str, ...]:
    """Defined terms of Specific Character Set, the first of several may be empty.

    Raises ValidationError.
    """
    terms = tuple(part.strip() for part in text.split("\\"))
    for place, term in enumerate(terms):
        if term not in DEFINED_TERMS and (term or place):
            raise ValidationError(f"{term} is no defined term of Specific Character Set.")
    return terms


# Validators of model fields; a function with a name, so that migrations can point to it.


def validate_transfer_syntaxes(text: str) -> None:
    transfer_syntax_uids(text)


def validate_forbidden_transfer_syntaxes(text: str) -> None:
    forbidden_transfer_syntax_uids(text)


def validate_sop_classes(text: str) -> None:
    sop_class_uids(text)


def validate_networks(text: str) -> None:
    networks(text)


def validate_character_set(text: str) -> None:
    character_set_terms(text)


def validate_certificate_names(text: str) -> None:
    certificate_names(text)


def _uid(entry: str, known: Mapping[str, str], kind: str) -> str:
    # `1.2.840.… a name after it` is how an export of ours may look.
    first = entry.split(maxsplit=1)[0]
    if is_valid(first) and "." in first:
        return first
    uid = known.get(entry.lower())
    if uid is None:
        raise ValidationError(f"{entry} is no {kind} we know; give its UID.")
    return uid


@cache
def _transfer_syntaxes() -> dict[str, str]:
    return {row.name.lower(): row.uid for row in transfer_syntaxes.TABLE}


@cache
def _sop_classes() -> dict[str, str]:
    names: dict[str, str] = {}
    for row in sop_classes.TABLE:
        names |= {row.keyword.lower(): row.uid, row.name.lower(): row.uid}
        names[name_of(row.uid).lower()] = row.uid
    return names
