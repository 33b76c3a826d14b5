"""User Identity Negotiation (PS3.7 D.3.3.7): user names and passcodes are those of our accounts."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import authenticate
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

USER_NAME = 1
USER_NAME_AND_PASSCODE = 2


@dataclass(frozen=True, slots=True)
class ConfirmedIdentity:
    """The outcome. `response` is the server response where one is due, else None."""

    accepted: bool
    user: str = ""
    response: bytes | None = None


def confirm(
    kind: int, primary: bytes, secondary: bytes, *, address: str, response_requested: bool
) -> ConfirmedIdentity:
    """Accepts or not.

    A name without passcode proves nothing and opens nothing: it is acknowledged and not used. A
    passcode is checked like a log-in, with the same throttle. Kerberos, SAML and JWT are not
    supported, which PS3.7 D.3.3.7 expresses by accepting without a response.
    """
    response = b"" if response_requested else None
    if kind == USER_NAME:
        return ConfirmedIdentity(accepted=True, response=response)
    if kind != USER_NAME_AND_PASSCODE:
        return ConfirmedIdentity(accepted=True)
    request = HttpRequest()
    request.method = "ASSOCIATE"
    request.META = {"REMOTE_ADDR": address, "PATH_INFO": "/dimse", "HTTP_USER_AGENT": "DIMSE"}
    try:
        user = authenticate(
            request,
            username=primary.decode("utf-8", "replace"),
            password=secondary.decode("utf-8", "replace"),
        )
    except PermissionDenied:
        user = None
    if user is None:
        return ConfirmedIdentity(accepted=False)
    return ConfirmedIdentity(accepted=True, user=user.get_username(), response=response)
