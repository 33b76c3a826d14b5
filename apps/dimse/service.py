"""What a DIMSE service is made of: its row, the requests it gets and the responses it gives.

Adding a service
----------------
1. Write a handler in a module of its own: `handle_n_create(request: Request) -> Response`, or one
   that yields responses where there are several (C-FIND, C-GET, C-MOVE). It translates and calls
   an action or a selector with `request.session.principal`; it decides nothing.
2. Add a row to `apps.dimse.offered.TABLE`. Negotiation, roles, admission, dispatch and the
   conformance statement derive from it.
3. A failure is an exception: any PacsError becomes the status `apps.dimse.status` gives it, or
   raise `Refused` with a status of one's own. Whatever else is raised is answered 0110 and logged
   without its text, which may hold patient data.
4. Look at `request.cancelled` between two steps of anything long, and stop where it is set; yield
   responses as they come, sending one waits while the peer does not read.

The handler runs on the association's own thread; database connections are looked after outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final, Protocol

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from apps.access.principals import Principal
from apps.dicom import command_set
from apps.dicom.command_set import CommandSetError, Value
from apps.dicom.transfer_syntaxes import TABLE as TRANSFER_SYNTAXES
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.network.association_note import AssociationNote
from apps.network.peers import Right

PLAIN_TRANSFER_SYNTAXES: Final = frozenset(
    row.uid for row in TRANSFER_SYNTAXES if row.codec == "native" and not row.encapsulated
)


@dataclass(frozen=True, slots=True)
class Role:
    """SCP/SCU role of the requestor for one SOP Class (PS3.7 D.3.3.4)."""

    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """A presentation context as accepted; `role` is what the requestor may be in it."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    role: Role


@dataclass(frozen=True, slots=True)
class Reply:
    """The peer's response to a request of ours on its association."""

    status: int
    elements: Mapping[int, bytes]
    data: bytes


class Peer(Protocol):
    """The other end of the association, for services that send requests themselves."""

    maximum: int
    """Longest P-DATA-TF it takes, 0 for any."""

    def new_message_id(self) -> int: ...

    def send(self, chunk: bytes | memoryview) -> None:
        """PDUs to the wire; waits while the peer does not read. Raises ConnectionLostError."""

    def reply(self, message_id: int, timeout: float | None = None) -> Reply:
        """Waits for the response to a request sent, `timeout` s at most; any thread may.

        Raises ConnectionLostError.
        """

    def abort(self) -> None:
        """Ends the association: a message cannot be completed, so nothing may follow."""

    def is_cancelled(self, message_id: int) -> bool: ...

    def is_over(self) -> bool:
        """True when the association has ended, however."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a handler may know of the association its request came by.

    `extended` is the SOP Class Extended Negotiation as answered, by abstract syntax. `note` is what
    the association recorder keeps: responses are counted for it, patient data never goes there.
    """

    principal: Principal
    calling_ae_title: str
    called_ae_title: str
    address: str
    contexts: Mapping[int, AcceptedContext]
    extended: Mapping[str, bytes]
    note: AssociationNote
    peer: Peer


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the peer. `elements` are those of the command set, `data` as received."""

    command_field: int
    message_id: int
    context: AcceptedContext
    elements: Mapping[int, bytes]
    data: bytes
    session: Session

    @property
    def sop_class_uid(self) -> str:
        """Affected or Requested SOP Class UID."""
        return self.text(command_set.AFFECTED_SOP_CLASS_UID) or self.text(
            command_set.REQUESTED_SOP_CLASS_UID
        )

    @property
    def sop_instance_uid(self) -> str:
        """Affected or Requested SOP Instance UID, `""` where there is none."""
        return self.text(command_set.AFFECTED_SOP_INSTANCE_UID) or self.text(
            command_set.REQUESTED_SOP_INSTANCE_UID
        )

    @property
    def cancelled(self) -> bool:
        """True once the peer has sent C-CANCEL for this request, or the association is over."""
        return self.session.peer.is_cancelled(self.message_id)

    @property
    def abandoned(self) -> bool:
        """True when the association is over: nobody will hear of the outcome."""
        return self.session.peer.is_over()

    def text(self, element: int) -> str:
        """Text of the command element (0000,`element`), `""` where it is missing."""
        return command_set.text(self.elements, element)

    def number(self, element: int) -> int | None:
        """The number in the command element (0000,`element`), None where it is missing."""
        try:
            return command_set.number(self.elements, element)
        except CommandSetError:
            return None

    def dataset(self) -> Dataset:
        """The data set, decoded. Raises what pydicom raises: the dispatcher answers for that."""
        syntax = transfer_syntax(self.context.transfer_syntax)
        return read_dataset(BytesIO(self.data), syntax.implicit, not syntax.big_endian)

    def encoded(self, dataset: Dataset) -> bytes:
        """A data set in the context's Transfer Syntax, for a response."""
        syntax = transfer_syntax(self.context.transfer_syntax)
        dataset.is_little_endian = not syntax.big_endian
        dataset.is_implicit_VR = syntax.implicit
        buffer = _writable(implicit=syntax.implicit, little_endian=not syntax.big_endian)
        write_dataset(buffer, dataset)
        return bytes(buffer.getvalue())


def _writable(*, implicit: bool, little_endian: bool) -> Any:
    from pydicom.filebase import DicomBytesIO

    buffer = DicomBytesIO()
    buffer.is_implicit_VR = implicit
    buffer.is_little_endian = little_endian
    return buffer


@dataclass(frozen=True, slots=True)
class Response:
    """One response; `data` is an encoded data set, `values` further command elements.

    Message id, command field, SOP Class and, for DIMSE-N, SOP Instance of the request are put in
    when it is sent.
    """

    status: int
    data: bytes | None = None
    comment: str = ""
    values: Mapping[int, Value] = field(default_factory=dict)


Handler = Callable[[Request], Response | Iterable[Response]]


@dataclass(frozen=True, slots=True)
class Service:
    """A row of the table of offered services.

    `right` is what the caller needs, None for nothing. `role` is what the requestor may be; SCU
    alone is what PS3.7 assumes without negotiation. `handlers` are by Command Field of the request.
    `extend` answers the Service-class-application-information of SOP Class Extended Negotiation.
    """

    name: str
    abstract_syntaxes: tuple[str, ...]
    right: Right | None
    handlers: Mapping[int, Handler]
    role: Role = Role(scu=True, scp=False)
    transfer_syntaxes: frozenset[str] = PLAIN_TRANSFER_SYNTAXES
    extend: Callable[[bytes], bytes] | None = None


def responses_of(outcome: Response | Iterable[Response]) -> Iterator[Response]:
    """What a handler gave, as an iterator."""
    return iter((outcome,)) if isinstance(outcome, Response) else iter(outcome)
