"""Room for what is about to be sent: asked before sending, and reserved."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.audit import actor_of
from apps.access.principals import Permission
from apps.api.principal import PrincipalView
from apps.errors import InvalidRequest
from apps.events.log import NewEvent, record
from apps.storage.capacity import capacity
from apps.storage.expected import instances_bytes
from apps.storage.reservations import release, reserve, reserved_bytes

_LONGEST_SECONDS: Final = 3600
_DEFAULT_SECONDS: Final = 600
_MOST: Final = 2**62


class CapacityQuestion(serializers.Serializer[dict[str, Any]]):
    """How much is to come: in bytes, or as a number of instances of a sender and a SOP Class."""

    expected_bytes = serializers.IntegerField(min_value=0, max_value=_MOST, required=False)
    expected_instances = serializers.IntegerField(min_value=0, max_value=10**9, required=False)
    ae_title = serializers.CharField(
        max_length=16, required=False, default="", help_text="Who will send, where it is an AE."
    )
    sop_class = serializers.CharField(max_length=64, required=False, default="")


class ReservationQuestion(CapacityQuestion):
    """The same, and for how long the room is to be held."""

    seconds = serializers.IntegerField(
        min_value=1, max_value=_LONGEST_SECONDS, required=False, default=_DEFAULT_SECONDS
    )


class CapacityView(PrincipalView):
    """`GET` and `POST /api/capacity/`."""

    permission = Permission.STORE_INSTANCES

    @extend_schema(
        parameters=[
            OpenApiParameter("expected_bytes", int),
            OpenApiParameter("expected_instances", int),
            OpenApiParameter("ae_title", str),
            OpenApiParameter("sop_class", str),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Free and reserved room, the watermarks, and whether what is expected fits."""
        asked = _checked(CapacityQuestion(data=request.query_params.dict()))
        return Response(_state(_expected(asked)))

    @extend_schema(request=ReservationQuestion, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        """Reserves the room for a while; 507 where there is not enough.

        The next association of `ae_title` takes the reservation over.
        """
        asked = _checked(ReservationQuestion(data=request.data))
        expected = _expected(asked)
        if not expected:
            raise InvalidRequest(
                "`expected_bytes` must be given, or `expected_instances` of a kind that was "
                "received before.",
                offending=("expected_bytes",),
            )
        holder = asked["ae_title"].strip() or self.principal.name
        made = reserve(expected, holder, asked["seconds"], announced=True)
        told = {"bytes": made.bytes, "holder": holder, "seconds": asked["seconds"]}
        record([NewEvent("RoomReserved", actor_of(self.principal), payload=told)])
        body = {"reservation": made.identifier, "bytes": made.bytes, "expires_at": made.expires_at}
        return Response({**body, **_state(0)}, status=201)


class ReservationView(PrincipalView):
    """`DELETE /api/capacity/{reservation}/`."""

    permission = Permission.STORE_INSTANCES

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, reservation: str) -> Response:
        """Gives the room back before its time; who knows the identifier may."""
        release(reservation)
        return Response(status=204)


def _checked(question: serializers.Serializer[Any]) -> dict[str, Any]:
    if not question.is_valid():
        name, problems = next(iter(question.errors.items()))
        raise InvalidRequest(f"{name}: {problems[0]}", offending=(str(name),))
    return dict(question.validated_data)


def _expected(asked: dict[str, Any]) -> int:
    """In bytes."""
    if "expected_bytes" in asked:
        return int(asked["expected_bytes"])
    count = asked.get("expected_instances", 0)
    return instances_bytes(count, asked["ae_title"].strip(), asked["sop_class"])


def _state(expected: int) -> dict[str, Any]:
    room, reserved = capacity(), reserved_bytes()
    return {
        "total_bytes": room.total_bytes,
        "free_bytes": room.free_bytes,
        "free_percent": round(room.free_percent, 3),
        "reserved_bytes": reserved,
        "refuse_associations_below_percent": room.refuse_associations_below,
        "refuse_instances_below_percent": room.refuse_instances_below,
        "accepts_associations": room.accepts_associations,
        "accepts_instances": room.accepts_instances,
        "expected_bytes": expected,
        "accepted": room.has_room_for(reserved + expected),
        "message": room.message,
    }
