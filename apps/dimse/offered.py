"""TABLE: the DIMSE services we offer to those who call. See `apps.dimse.service` to add one.

Storage has no row: it is whatever is not known to be something else (each storage row of the table
of SOP Classes, and every UID that is neither of the standard nor in its list of private services),
takes any Transfer Syntax, and its
C-STORE never comes to a handler but is read off the socket (`apps.dimse.store`).
"""

from __future__ import annotations

from typing import Final

from pydicom.uid import UID_dictionary

from apps.dicom import sop_classes
from apps.dicom.command_set import (
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    N_ACTION_RQ,
    N_CREATE_RQ,
    N_EVENT_REPORT_RQ,
    N_GET_RQ,
    N_SET_RQ,
)
from apps.dicom.storage_commitment import PUSH_MODEL_CLASS
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from apps.dicom.ups import PULL as UPS_PULL
from apps.dicom.ups import PUSH as UPS_PUSH
from apps.dicom.ups import QUERY as UPS_QUERY
from apps.dicom.ups import WATCH as UPS_WATCH
from apps.dimse import mpps, query_models, ups, worklist
from apps.dimse.commitment import handle_n_action, handle_n_event_report
from apps.dimse.echo import handle_c_echo
from apps.dimse.find import handle_c_find
from apps.dimse.get import handle_c_get
from apps.dimse.move import handle_c_move
from apps.dimse.service import Role, Service
from apps.network.peers import Right

VERIFICATION: Final = "1.2.840.10008.1.1"

TABLE: Final[tuple[Service, ...]] = (
    Service("Verification", (VERIFICATION,), None, {C_ECHO_RQ: handle_c_echo}),
    *(
        Service(
            f"Query ({model.name})",
            (model.find,),
            Right.QUERY,
            {C_FIND_RQ: handle_c_find},
            extend=query_models.extension(query_models.find_options(model)),
        )
        for model in query_models.TABLE
    ),
    Service(
        "Retrieve (C-GET)",
        tuple(model.get for model in query_models.TABLE),
        Right.QUERY,
        {C_GET_RQ: handle_c_get},
        extend=query_models.extension(query_models.RETRIEVE_OPTIONS),
    ),
    Service(
        "Retrieve (C-MOVE)",
        tuple(model.move for model in query_models.TABLE),
        Right.QUERY,
        {C_MOVE_RQ: handle_c_move},
        extend=query_models.extension(query_models.RETRIEVE_OPTIONS),
    ),
    # A peer that asks is SCU; one that reports to us on an association of its own is SCP.
    Service(
        "Storage Commitment Push Model",
        (PUSH_MODEL_CLASS,),
        Right.COMMIT,
        {N_ACTION_RQ: handle_n_action, N_EVENT_REPORT_RQ: handle_n_event_report},
        role=Role(scu=True, scp=True),
        transfer_syntaxes=frozenset({EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN}),
    ),
    Service(
        "Modality Worklist", (worklist.FIND,), Right.WORKLIST, {C_FIND_RQ: worklist.handle_c_find}
    ),
    Service(
        "Modality Performed Procedure Step",
        (mpps.PERFORMED_STEP,),
        Right.MPPS,
        {N_CREATE_RQ: mpps.handle_n_create, N_SET_RQ: mpps.handle_n_set},
    ),
    Service(
        "Modality Performed Procedure Step Retrieve",
        (mpps.RETRIEVE,),
        Right.MPPS,
        {N_GET_RQ: mpps.handle_n_get},
    ),
    Service(
        "Unified Procedure Step - Push",
        (UPS_PUSH,),
        Right.UPS,
        {
            N_CREATE_RQ: ups.handle_n_create,
            N_ACTION_RQ: ups.handle_n_action,
            N_GET_RQ: ups.handle_n_get,
        },
    ),
    Service(
        "Unified Procedure Step - Pull",
        (UPS_PULL,),
        Right.UPS,
        {
            C_FIND_RQ: ups.handle_c_find,
            N_GET_RQ: ups.handle_n_get,
            N_SET_RQ: ups.handle_n_set,
            N_ACTION_RQ: ups.handle_n_action,
        },
    ),
    Service(
        "Unified Procedure Step - Watch",
        (UPS_WATCH,),
        Right.UPS,
        {
            C_FIND_RQ: ups.handle_c_find,
            N_GET_RQ: ups.handle_n_get,
            N_ACTION_RQ: ups.handle_n_action,
        },
    ),
    Service(
        "Unified Procedure Step - Query", (UPS_QUERY,), Right.UPS, {C_FIND_RQ: ups.handle_c_find}
    ),
)

BY_ABSTRACT_SYNTAX: Final[dict[str, Service]] = {
    uid: service for service in TABLE for uid in service.abstract_syntaxes
}


def is_storage(abstract_syntax: str) -> bool:
    """True for what C-STORE may carry: known storage classes, private and unknown ones."""
    row = sop_classes.BY_UID.get(abstract_syntax)
    if row is not None:
        return row.storage
    known = abstract_syntax in UID_dictionary or sop_classes.is_private_service(abstract_syntax)
    return bool(abstract_syntax) and not known
