"""The parts of pynetdicom that `apps/dimse/fast_path.py` stands on, as they were when it was made.

A failure here means: the library has changed under the receiver. Read the changed function, check
what `fast_path` replaces or calls, run all of tests/protocol, and only then note the new digest.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import pynetdicom
import pytest
from pynetdicom import _config, acse, association, dimse, dul, fsm, transport

from apps.dimse.fast_path import TESTED_VERSION

DIGESTS: dict[Callable[..., Any], str] = {
    # replaced
    dul.DULServiceProvider._is_transport_event: "8725ed03bb8fbdef",
    dul.DULServiceProvider._read_pdu_data: "19f2d4e38c13c835",
    dul.DULServiceProvider._process_recv_primitive: "4c0ebbb3e646e35e",
    dul.DULServiceProvider._send: "a850a7919e68484e",
    dul.DULServiceProvider.kill_dul: "5ceccf8dd01c2072",
    dul.DULServiceProvider.stop_dul: "28a7e0be126e7b30",
    dul.DULServiceProvider.idle_timer_expired: "0150c19fda68f6e9",
    acse.ACSE._negotiate_as_acceptor: "fffd360957c42a8e",
    acse.ACSE._check_user_identity: "a890d3db8e5bfdaf",
    transport.AssociationSocket.ready.fget: "3eb58e3d39dc076d",
    transport.AssociationSocket.send: "1ea8158c0b51faca",
    association.Association._serve_request: "2f24c1759cdf6c8c",
    # called, or relied on
    dul.DULServiceProvider.__init__: "c82dafa9438ddf70",
    dul.DULServiceProvider.run_reactor: "e3a10eb3a0931e48",
    dul.DULServiceProvider._decode_pdu: "fc71dd1bf853e1ce",
    dul.DULServiceProvider.send_pdu: "7cbce5da8594124e",
    transport.AssociationSocket.__init__: "1f0325fdef2cc353",
    transport.AssociationSocket.close: "c726c8db53813d55",
    transport.RequestHandler._create_association: "05c8d12b79863cdb",
    association.Association.__init__: "eb07516b8009ad8f",
    association.Association.run_reactor: "ed8bbbe3b3d6ddae",
    association.Association._run_reactor: "f28838c5559e462a",
    association.Association.kill: "8f9713666a7f4cff",
    association.Association.set_socket: "235681dc751728fb",
    acse.ACSE.send_accept: "c03855deabefe975",
    acse.ACSE.send_reject: "700998293bbcb6c9",
    dimse.DIMSEServiceProvider.get_msg: "890e3e04283f5aeb",
    fsm.StateMachine.do_action: "9a883f44c7f31641",
    fsm.AA_1: "8495a4665f7ad3c9",
    fsm.AA_8: "06c83317f08831fd",
    fsm.AE_6: "385d595ed49432af",
}


def digest(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


def test_the_library_is_the_version_the_fast_path_was_made_for() -> None:
    assert pynetdicom.__version__ == TESTED_VERSION


@pytest.mark.parametrize("function", list(DIGESTS), ids=lambda each: each.__qualname__)
def test_a_part_the_fast_path_stands_on_is_unchanged(function: Callable[..., Any]) -> None:
    assert digest(function) == DIGESTS[function], function.__qualname__


def test_the_transition_table_is_unchanged() -> None:
    table = repr(sorted(fsm.TRANSITION_TABLE.items()))
    assert hashlib.sha256(table.encode()).hexdigest()[:16] == "73f9bd6de4b8d8ee"


def test_identifiers_are_not_logged() -> None:
    assert _config.LOG_REQUEST_IDENTIFIERS is False
    assert _config.LOG_RESPONSE_IDENTIFIERS is False
    assert _config.LOG_HANDLER_LEVEL == "none"
