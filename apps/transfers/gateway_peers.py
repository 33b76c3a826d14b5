"""Other archives that are served over DICOMweb: those an administrator has opened, by AE title."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db.models import QuerySet

from apps.access.principals import Permission, Principal, permit
from apps.errors import InvalidRequest, NotFound, Unavailable
from apps.network.associate_items import Remote
from apps.network.models import ApplicationEntity, WebArchive
from apps.network.scu import PeerRefused
from apps.transfers.remote import remote_for

_NOT_SUPPORTED: Final = 0x0122


def gateway_peers(principal: Principal) -> QuerySet[ApplicationEntity]:
    """All that are open. Raises NotPermitted."""
    permit(principal, Permission.VIEW_IMAGES)
    permit(principal, Permission.TRANSFER_STUDIES)
    closed = ApplicationEntity.Gateway.CLOSED
    return ApplicationEntity.objects.filter(enabled=True).exclude(gateway=closed)


def gateway_peer(principal: Principal, title: str) -> ApplicationEntity:
    """One of them. A title that is known and not open is answered as one that is not known."""
    peer = gateway_peers(principal).filter(title=title).first()
    if peer is None:
        raise NotFound("There is no remote archive of that name.")
    return peer


def web_archives(principal: Principal) -> QuerySet[WebArchive]:
    """Those that speak DICOMweb themselves. Raises NotPermitted."""
    permit(principal, Permission.VIEW_IMAGES)
    permit(principal, Permission.TRANSFER_STUDIES)
    return WebArchive.objects.filter(enabled=True)


def address_of(peer: ApplicationEntity) -> Remote:
    """Where it listens. Raises Unavailable where nobody has entered that."""
    if not peer.host or not peer.port:
        raise Unavailable(f"It is not known where {peer.title} listens.")
    return remote_for(peer)


@contextmanager
def as_refusal() -> Iterator[None]:
    """A service that was not accepted is the peer's refusal, no fault of who asked us."""
    try:
        yield
    except InvalidRequest as error:
        raise PeerRefused(error.message, _NOT_SUPPORTED) from error
