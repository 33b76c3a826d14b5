"""WebArchive: another archive that speaks DICOMweb itself."""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.validators import (
    MaxValueValidator,
    MinValueValidator,
    RegexValidator,
    URLValidator,
)
from django.db import models

from apps.network.tls import TlsNotReady
from apps.network.web_tls import LONGEST, NoAuthority, checked, show_certificate

ASKED_ANEW: Final = "The secret was for another address or other authorities: give it again."


class WebArchive(models.Model):
    """Served below `/dicom-web/remotes/` by its name; we call it with credentials of our own."""

    name = models.CharField(
        max_length=32,
        unique=True,
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
                "Letters, digits, dots, hyphens and underscores, a letter or digit first.",
            )
        ],
        help_text="Its place: /dicom-web/remotes/ and this name, which no AE title should have.",
    )
    url = models.URLField(
        "address of its DICOMweb service",
        max_length=500,
        validators=[URLValidator(schemes=["http", "https"])],
        help_text="What stands before /studies. Use https outside your own network.",
    )
    description = models.CharField(max_length=200, blank=True, default="")
    user = models.CharField(
        max_length=150,
        blank=True,
        default="",
        help_text="For HTTP Basic; empty where the secret is a bearer token.",
    )
    secret = models.CharField(
        max_length=2000,
        blank=True,
        default="",
        help_text="Password or token by which we call it. Its callers here never see it.",
    )
    authorities = models.TextField(
        "its certificate authorities",
        max_length=LONGEST,
        blank=True,
        default="",
        db_default="",
        help_text=(
            "Certificates in PEM by which its own is checked, and no others; empty for those that "
            "the operating system trusts."
        ),
    )
    shows_certificate = models.BooleanField(
        "show it our certificate",
        default=False,
        db_default=False,
        help_text="The one of DICOM over TLS (PACSWEB_DICOM_TLS_CERTIFICATE).",
    )
    enabled = models.BooleanField(default=True)
    queried = models.BooleanField(
        "offer it as another archive",
        default=True,
        db_default=True,
        help_text="In the study list, beside what is stored here.",
    )
    move_destination = models.BooleanField(
        "may be a C-MOVE destination",
        default=False,
        db_default=False,
        help_text=(
            "Whoever may retrieve over DICOM may then have instances sent to it, by its name, "
            "which has 16 characters at most for that."
        ),
    )
    parallel_transfers = models.PositiveSmallIntegerField(
        "transfers at a time",
        default=2,
        db_default=2,
        validators=[MinValueValidator(1), MaxValueValidator(16)],
        help_text="How many transfers from it may run at once; others wait.",
    )

    class Meta:
        verbose_name = "DICOMweb archive"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def leads_elsewhere(self, url: str, authorities: str) -> bool:
        """Whether what we sign in with could reach another server there, or go uncovered.

        Whom the authorities vouch for is the server, whatever answers at its address. Then the
        secret is to be entered anew: who may change the address need not know it.
        """
        try:
            before, after = urlsplit(self.url), urlsplit(url)
            moved = (before.hostname, before.port) != (after.hostname, after.port)
        except ValueError:
            return True
        uncovered = (before.scheme, after.scheme) == ("https", "http")
        return uncovered or moved or self.authorities.split() != authorities.split()

    def clean(self) -> None:
        """The address is a plain one, the name no AE's, and the credentials fit into a header."""
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError:
            raise ValidationError(
                {"url": "The address cannot be read, or has no such port."}
            ) from None
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValidationError({"url": "An address without user, query and fragment is needed."})
        if ":" in self.user:
            raise ValidationError({"user": "HTTP Basic has no user with a colon."})
        if not self.user and not all("!" <= letter <= "~" for letter in self.secret):
            raise ValidationError({"secret": "A bearer token has visible ASCII letters only."})
        self._clean_tls(secured=parts.scheme == "https")
        if apps.get_model("network", "ApplicationEntity").objects.filter(title=self.name).exists():
            raise ValidationError({"name": "An application entity has this AE title."})

    def _clean_tls(self, *, secured: bool) -> None:
        """What is entered for TLS can be used, and is not entered in vain."""
        self.authorities = self.authorities.strip()
        if not secured and (self.authorities or self.shows_certificate):
            field = "authorities" if self.authorities else "shows_certificate"
            raise ValidationError({field: "Certificates are exchanged with https alone."})
        try:
            if self.authorities:
                checked(self.authorities)
        except NoAuthority as error:
            raise ValidationError({"authorities": str(error)}) from error
        try:
            if self.shows_certificate:
                show_certificate(ssl.create_default_context())
        except TlsNotReady as error:
            raise ValidationError({"shows_certificate": str(error)}) from error
