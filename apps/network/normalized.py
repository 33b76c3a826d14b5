"""Normalized services we ask of a peer (PS3.7 10.1): N-CREATE, N-SET, N-EVENT-REPORT as SCU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_role

from apps.dicom import uids
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from apps.errors import NotAcceptable, Unavailable

# Data sets are patient data, and the library logs them by default (rule NEG-12).
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

_CONNECT_SECONDS: Final = 10
_ANSWER_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to call: AE title, host, port; `own_title` is what we call ourselves."""

    title: str
    host: str
    port: int
    own_title: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the peer answered: a DIMSE status, and its Error Comment if it gave one."""

    status: int
    comment: str = ""

    @property
    def accepted(self) -> bool:
        """Success or a warning (PS3.7 C.1, C.3)."""
        return self.status in {0x0000, 0x0001, 0x0107, 0x0116} or 0xB000 <= self.status <= 0xBFFF  # noqa: PLR2004


class NormalizedAssociation:
    """An association with one SOP Class accepted."""

    def __init__(self, association: Any, sop_class_uid: str) -> None:
        self._association = association
        self._sop_class_uid = sop_class_uid

    def create(self, sop_instance_uid: str, data_set: Dataset) -> Outcome:
        """N-CREATE. Raises Unavailable when the association breaks."""
        status, _ = self._association.send_n_create(data_set, self._sop_class_uid, sop_instance_uid)
        return _outcome(status)

    def set(self, sop_instance_uid: str, data_set: Dataset) -> Outcome:
        """N-SET. Raises Unavailable when the association breaks."""
        status, _ = self._association.send_n_set(data_set, self._sop_class_uid, sop_instance_uid)
        return _outcome(status)

    def report(self, sop_instance_uid: str, event_type: int, data_set: Dataset | None) -> Outcome:
        """N-EVENT-REPORT. Raises Unavailable when the association breaks."""
        status, _ = self._association.send_n_event_report(
            data_set, event_type, self._sop_class_uid, sop_instance_uid
        )
        return _outcome(status)


@contextlib.contextmanager
def normalized_association(
    peer: Peer, sop_class_uid: str, *, as_scp: bool = False
) -> Iterator[NormalizedAssociation]:
    """Opens and releases; `as_scp` for events that the SCP of a class reports.

    Raises Unavailable when the peer cannot be reached, NotAcceptable when it will not have this
    service.
    """
    entity = AE(ae_title=peer.own_title)
    entity.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = uids.IMPLEMENTATION_VERSION_NAME
    entity.connection_timeout = entity.acse_timeout = _CONNECT_SECONDS
    entity.dimse_timeout = entity.network_timeout = _ANSWER_SECONDS
    entity.add_requested_context(
        sop_class_uid, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]
    )
    roles = [build_role(sop_class_uid, scp_role=True)] if as_scp else []
    association = entity.associate(peer.host, peer.port, ae_title=peer.title, ext_neg=roles)
    try:
        if association.is_rejected:
            raise Unavailable(f"{peer.title} rejected the association.")
        if not association.is_established:
            if association.rejected_contexts:
                raise NotAcceptable(f"{peer.title} does not accept this service.")
            raise Unavailable(f"{peer.title} does not answer at {peer.host}:{peer.port}.")
        yield NormalizedAssociation(association, sop_class_uid)
    finally:
        if association.is_established:
            association.release()


def _outcome(status: Dataset) -> Outcome:
    if "Status" not in status:
        raise Unavailable("The association ended before an answer came.")
    return Outcome(int(status.Status), str(status.get("ErrorComment", "")))
