"""Section 4 of the statement, Networking (PS3.2 A.4), from the tables of the network code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.conf import settings

from apps.conformance import claims
from apps.conformance.answers import answer_tables
from apps.conformance.coercion import COERCION, coercion_tables
from apps.conformance.commitment import commitment_tables
from apps.conformance.data_flow import Flow, diagram
from apps.conformance.document import Row, Section, Table
from apps.conformance.initiated import TABLE as INITIATED
from apps.conformance.initiated import initiation
from apps.conformance.query_keys import KEYS_OF, no_keys, query_retrieve
from apps.dicom import command_set, uids
from apps.dicom.sop_classes import PRIVATE_SERVICES
from apps.dimse import admission, offered
from apps.dimse.receiver import MAXIMUM_PDU_BYTES, Limits
from apps.dimse.service import Service
from apps.dimse.store import STATUSES as STORE_STATUSES
from apps.network.explanation import words_of
from apps.network.peers import Right
from apps.network.selectors import network_policy

_STORAGE: Final = "Storage"
_REJECTIONS: Final = tuple(
    each for each in vars(admission).values() if isinstance(each, admission.Rejection)
)


def networking() -> Section:
    """All of section 4."""
    return Section(
        "4",
        "Networking",
        parts=(
            Section("4.1", "Implementation model", parts=_model()),
            Section("4.2", "AE specification", parts=_specification()),
            _interfaces(),
            _configuration(),
        ),
    )


def service_names() -> list[str]:
    """Storage, then the services of the table."""
    return [_STORAGE, *(service.name for service in offered.TABLE)]


def overview() -> Table:
    """Which network services there are, and in which role (PS3.2 A.1)."""
    asked = {each.service for each in INITIATED}
    asked_for = {each.sop_class for each in INITIATED}
    rows = [Row((_STORAGE, _yes(_STORAGE in asked), "yes"))]
    for service in offered.TABLE:
        # The row's role is the caller's; ours is the other one.
        user = service.role.scp or bool(asked_for.intersection(service.abstract_syntaxes))
        rows.append(Row((service.name, _yes(user), _yes(service.role.scu))))
    rows += [
        Row((each.service, "yes", "no"))
        for each in INITIATED
        if each.sop_class and each.sop_class not in offered.BY_ABSTRACT_SYNTAX
    ]
    return Table("Network services", ("service", "SCU", "SCP"), tuple(rows))


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _model() -> tuple[Section, ...]:
    title = settings.PACSWEB.ae_title
    return (
        Section(
            "4.1.1",
            "Application data flow",
            (
                (
                    f"One Application Entity, {title}, answers all callers. A received instance "
                    "is written to a durable inbox and synchronised to disk before it is "
                    "acknowledged; a worker indexes it from there, usually within a second. "
                    "Queries read the index, retrieval reads the stored instances. In the "
                    "diagram arrows point from who opens an association to who accepts it; the "
                    "line is the DICOM standard interface."
                ),
            ),
            diagram=diagram(title, _flows()),
        ),
        Section(
            "4.1.2",
            "Functional definition of AEs",
            (
                (
                    f"{title} waits for associations on the configured ports, in several "
                    f"processes, and offers: {', '.join(service_names())}."
                ),
            ),
        ),
        Section(
            "4.1.3",
            "Sequencing of real-world activities",
            ("Instances may arrive in any order; orders and procedure steps before or after.",),
        ),
    )


def _flows() -> tuple[Flow, ...]:
    """From the tables: first what others ask of us, then what we ask of others."""
    incoming = dict.fromkeys(
        _GROUPS.get(service.right, service.name) for service in offered.TABLE if service.right
    )
    return (
        Flow("Keep instances", "Send instances", opened_by_us=False),
        *(Flow(f"Answer: {name}", f"Ask: {name}", opened_by_us=False) for name in incoming),
        *(
            Flow(f"Ask: {name}", f"Answer: {name}", opened_by_us=True)
            for name in dict.fromkeys(_short(each.service) for each in INITIATED)
        ),
    )


_GROUPS: Final = {
    Right.STORE: "storage",
    Right.QUERY: "query and retrieve",
    Right.COMMIT: "storage commitment",
    Right.WORKLIST: "worklist",
    Right.MPPS: "performed steps",
    Right.UPS: "unified steps",
}


def _short(service: str) -> str:
    for long, short in _SHORTER:
        service = service.replace(long, short)
    return service


_SHORTER: Final = (
    ("Procedure Step", "Step"),
    ("Modality ", ""),
    (" Push Model", ""),
    (" Notification", ""),
)


def _specification() -> tuple[Section, ...]:
    return (
        Section(
            "4.2.1",
            settings.PACSWEB.ae_title,
            parts=(
                Section("4.2.1.1", "SOP Classes", tables=tuple(_sop_classes())),
                _association_policies(),
                _acceptance(),
                _presentation_contexts(),
                *_behaviours(),
            ),
        ),
    )


def _sop_classes() -> Iterator[Table]:
    asked = {each.service for each in INITIATED}
    asked_for = {each.sop_class for each in INITIATED}
    rows = tuple(
        Row((uids.name_of(uid), uid, _yes(_STORAGE in asked), "yes"), claim)
        for uid, claim in ((str(each.facts["abstract_syntax"]), each) for each in claims.storage())
    )
    head = ("SOP Class", "UID", "SCU", "SCP")
    yield Table("Storage", head, rows)
    other = [
        Row(
            (
                uids.name_of(str(claim.facts["abstract_syntax"])),
                str(claim.facts["abstract_syntax"]),
                _yes(service.role.scp or claim.facts["abstract_syntax"] in asked_for),
                _yes(service.role.scu),
            ),
            claim,
        )
        for service, claim in claims.services()
    ]
    other += [
        Row((uids.name_of(uid), uid, "yes", "no"))
        for uid in sorted(asked_for - {""} - set(offered.BY_ABSTRACT_SYNTAX))
    ]
    yield Table("Other services", head, tuple(other))
    yield Table(
        "What is not offered",
        ("rule",),
        (Row((claims.nothing_else().text,), claims.nothing_else()),),
    )


def _association_policies() -> Section:
    policy = network_policy()
    limits = Limits()
    return Section(
        "4.2.1.2",
        "Association policies",
        tables=(
            Table(
                "Association policies",
                ("property", "value"),
                (
                    Row(("Application Context Name", admission.APPLICATION_CONTEXT)),
                    Row(("Associations accepted at a time", str(policy.max_associations))),
                    Row(("Asynchronous operations window", "1, not negotiated")),
                    Row(("Implementation Class UID", uids.IMPLEMENTATION_CLASS_UID)),
                    Row(("Implementation Version Name", uids.IMPLEMENTATION_VERSION_NAME)),
                    Row(("Maximum PDU length announced", f"{MAXIMUM_PDU_BYTES} bytes")),
                    Row(("Maximum PDU length sent", "as the peer announces; 0 is unlimited")),
                    Row(("ARTIM time-out", f"{limits.artim:g} s")),
                    Row(("Idle association", f"aborted after {limits.idle:g} s")),
                    Row(("No byte inside a message", f"aborted after {limits.stall:g} s")),
                    Row(("User identity", "user name, and user name with passcode")),
                ),
            ),
        ),
    )


def _acceptance() -> Section:
    policy = network_policy()
    checks = "is checked" if policy.check_called_title else "is not checked"
    return Section(
        "4.2.1.3",
        "Association acceptance policy",
        (
            (
                f"The called AE title {checks}. Unknown calling AE titles are accepted: "
                f"{policy.get_unknown_callers_display()}. For each known AE its addresses, "
                "certificates, services, SOP Classes and Transfer Syntaxes can be limited. "
                f"TLS is {'required' if policy.require_tls else 'not required'} of every caller."
            ),
        ),
        (
            Table(
                "Association rejection reasons",
                ("result", "source", "reason", "explanation"),
                tuple(
                    Row((str(each.result), str(each.source), str(each.reason), each.words))
                    for each in _REJECTIONS
                ),
            ),
        ),
    )


def _presentation_contexts() -> Section:
    return Section(
        "4.2.1.4",
        "Presentation contexts accepted",
        (
            (
                "Each presentation context is answered on its own. The caller's first known "
                "Transfer Syntax is taken, unless the rules for that AE prefer or forbid some. "
                "For storage a Transfer Syntax we do not know is taken where no known one is "
                "offered. Private SOP Classes are accepted for storage, save those known as "
                "services ("
                + "; ".join(f"{name}, {uid}" for uid, name in PRIVATE_SERVICES.items())
                + ") and those the network policy refuses. The retired "
                "Transfer Syntaxes are accepted for storage."
            ),
        ),
        (
            Table(
                "Transfer Syntaxes for storage",
                ("name", "UID"),
                tuple(Row((uids.name_of(uid), uid)) for uid in claims.ALL_TRANSFER_SYNTAXES),
            ),
            Table(
                "Other presentation contexts",
                ("abstract syntax", "Transfer Syntaxes", "caller's role", "right needed"),
                tuple(
                    Row(
                        (
                            uids.name_of(str(claim.facts["abstract_syntax"])),
                            ", ".join(map(uids.name_of, claim.facts["transfer_syntaxes"])),
                            claims.roles(service),
                            _right(service.right),
                        )
                    )
                    for service, claim in claims.services()
                ),
            ),
        ),
    )


def _right(right: Right | None) -> str:
    return "none" if right is None else _GROUPS[right]


def _behaviours() -> Iterator[Section]:
    number = 5
    yield Section(
        f"4.2.1.{number}",
        "SOP-specific behaviour: Storage as SCP",
        (
            (
                "Level 2 (Full) storage: every attribute, private ones too, is kept as received. "
                "Success means that the instance is on disk. The same instance sent again is a "
                "success; another one under the same SOP Instance UID is kept in quarantine and "
                "the first stays, unless the rule for its sender's AE title exchanges, drops or "
                "refuses it. UIDs in command and data set must agree."
            ),
            COERCION,
        ),
        (
            Table(
                "C-STORE response status",
                ("status", "meaning", "when"),
                tuple(
                    Row((f"{code:04X}", words_of(f"{code:04X}"), when))
                    for code, when in STORE_STATUSES
                ),
            ),
            *coercion_tables(),
        ),
    )
    for service in offered.TABLE:
        number += 1
        yield Section(
            f"4.2.1.{number}",
            f"SOP-specific behaviour: {service.name}",
            tables=tuple(_service_tables(service)),
        )
    yield query_retrieve(number + 1)
    yield initiation(f"4.2.1.{number + 2}")


def _service_tables(service: Service) -> Iterator[Table]:
    yield from answer_tables(service)
    if service.right is Right.COMMIT:
        yield from commitment_tables()
    if command_set.C_FIND_RQ in service.handlers:
        yield from KEYS_OF.get(service.right, no_keys)()


def _interfaces() -> Section:
    return Section(
        "4.3",
        "Network interfaces",
        ("TCP/IP over IPv4 and IPv6 from the operating system; no other stack.",),
    )


def _configuration() -> Section:
    environment = settings.PACSWEB
    tls = str(environment.dicom_tls_port) if environment.dicom_tls_port else "none"
    return Section(
        "4.4",
        "Configuration",
        ("AE titles, hosts and ports of peers are set in the administration pages.",),
        (
            Table(
                "Local configuration",
                ("property", "value"),
                (
                    Row(("AE title", environment.ae_title)),
                    Row(("Port", str(environment.dicom_port))),
                    Row(("Port for TLS", tls)),
                ),
            ),
        ),
    )
