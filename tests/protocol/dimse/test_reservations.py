"""Room is promised to one association at a time, before it has sent anything."""

from __future__ import annotations

from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel

from tests.protocol.dimse.conftest import DimseServer


def test_who_is_expected_to_send_too_much_is_asked_to_come_later(server: DimseServer):
    free = "INSERT INTO storage_expectedsize (ae_title, sop_class_uid, average_bytes, seen) "
    server.sql(f"{free} VALUES ('BIG', '', {10**17}, 1)")
    entity = AE(ae_title="BIG")
    entity.add_requested_context(CTImageStorage)

    def rejected() -> bool:
        association = entity.associate("127.0.0.1", server.port, ae_title="PACSWEB")
        if association.is_established:
            association.release()
        answer = association.acceptor.primitive
        return association.is_rejected and (
            answer.result,
            answer.result_source,
            answer.diagnostic,
        ) == (2, 3, 2)

    server.wait_for(rejected)
    other = AE(ae_title="SMALL")
    other.add_requested_context(CTImageStorage)
    association = other.associate("127.0.0.1", server.port, ae_title="PACSWEB")
    assert association.is_established
    assert (server.folder / "inbox" / "reservations").stat().st_size % 56 == 0
    association.release()
    # Who also wants something else gets that, and no room.
    entity.add_requested_context(StorageCommitmentPushModel)

    def accepted_without_room() -> bool:
        association = entity.associate("127.0.0.1", server.port, ae_title="PACSWEB")
        assert association.is_established
        accepted = [each.abstract_syntax for each in association.accepted_contexts]
        association.release()
        return accepted == [StorageCommitmentPushModel]

    # Each receiver process learns of the expected size on its own.
    server.wait_for(accepted_without_room)
