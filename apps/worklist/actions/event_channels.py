"""open_channel, take_reports, forget_channels: who listens for an AE title, and how far."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import F, Min
from django.db.models.functions import Greatest
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit, system_principal
from apps.errors import NotPermitted
from apps.events.log import NewEvent, record
from apps.network.models import ApplicationEntity
from apps.worklist.models import EventChannel, EventReport

MOST_TITLES: Final = 64
"""For how many AE titles one user may listen: each makes every event a row more."""

_TITLE_LOCKS: Final = 0x55505354
"""The first half of the keys of PostgreSQL's advisory locks for AE titles."""

KEPT: Final = timedelta(days=7)
"""How long reports wait for a listener who does not come back."""


def open_channel(principal: Principal, receiver: str) -> EventChannel:
    """The user's channel for the AE title, where it was left; a new one begins now.

    Raises NotPermitted, also for principals that are no users.
    """
    with transaction.atomic():
        channel, new = channel_of(principal, receiver)
        if new:
            payload = {"receiver": receiver}
            record([NewEvent("EventChannelOpened", actor_of(principal), payload=payload)])
    return channel


def channel_of(principal: Principal, receiver: str) -> tuple[EventChannel, bool]:
    """In another action's transaction: the channel, and whether it is new. Raises the same."""
    permit(principal, Permission.VIEW_WORKLIST)
    if principal.user_id is None:
        raise NotPermitted("Only users can listen on an event channel.")
    _in_turn(receiver)
    if not may_use(principal, receiver):
        raise NotPermitted(f"{receiver} is somebody else's AE title: subscribe under your own.")
    own = EventChannel.objects.filter(user_id=principal.user_id)
    if not own.filter(receiver=receiver).exists() and own.count() >= MOST_TITLES:
        raise NotPermitted(f"One user listens for {MOST_TITLES} AE titles at most.")
    now = timezone.now()
    newest = EventReport.objects.order_by("-pk").values_list("pk", flat=True).first()
    channel, new = EventChannel.objects.get_or_create(
        receiver=receiver,
        user_id=principal.user_id,
        defaults={"position": newest or 0, "seen_at": now},
    )
    if not new:
        EventChannel.objects.filter(pk=channel.pk).update(seen_at=now)
    return channel, new


def _in_turn(receiver: str) -> None:
    """Makes others who want the AE title wait until this transaction ends, so that one gets it.

    No row can be locked: there is none while nobody has the title. SQLite has one writer anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_TITLE_LOCKS, receiver]
            )


def may_use(principal: Principal, receiver: str) -> bool:
    """Whether a user may take the AE title for events: nobody else may have it.

    Somebody has it who listens for it, and a known AE has its own, unless the user is named like
    it. Who manages the worklist may take any. PS3.18 11.10 leaves to the origin server who may
    subscribe whom; clients of UPS-RS subscribe under a title of their own. An application entity
    may subscribe another that is known, as PS3.4 CC.2.3 provides.
    """
    if principal.may(Permission.MANAGE_WORKLIST):
        return True
    others = EventChannel.objects.filter(receiver=receiver).exclude(user_id=principal.user_id or 0)
    known = ApplicationEntity.objects.filter(title=receiver).exists()
    named = principal.name.lower() == receiver.lower()
    return not others.exists() and (named or not known)


def take_reports(channel: EventChannel, position: int) -> None:
    """All up to `position` reached the listener; what every listener has is not kept."""
    with transaction.atomic():
        own = EventChannel.objects.filter(pk=channel.pk)
        own.update(position=Greatest(F("position"), position), seen_at=timezone.now())
        all_of_them = EventChannel.objects.filter(receiver=channel.receiver)
        taken = all_of_them.aggregate(lowest=Min("position"))["lowest"]
        if taken is not None:
            EventReport.objects.filter(receiver=channel.receiver, pk__lte=taken).delete()


def forget_channels() -> int:
    """Ends channels nobody listened on for days, with what waited for them; how many ended."""
    stale = EventChannel.objects.filter(seen_at__lt=timezone.now() - KEPT).select_related("user")
    for channel in stale:
        with transaction.atomic():
            waiting = EventReport.objects.filter(
                receiver=channel.receiver, pk__gt=channel.position
            ).count()
            channel.delete()
            payload = {
                "receiver": channel.receiver,
                "user": channel.user.get_username(),
                "undelivered": waiting,
            }
            actor = actor_of(system_principal("worklist"))
            record([NewEvent("EventChannelForgotten", actor, payload=payload)])
    listening = EventChannel.objects.values("receiver")
    EventReport.objects.exclude(receiver__in=listening).delete()
    return len(stale)
