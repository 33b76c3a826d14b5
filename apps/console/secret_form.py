"""Forms of rows that hold a secret: it can be entered, and is never shown again."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from apps.network.models import WebArchive
from apps.network.web_archive import ASKED_ANEW

_KEPT: Final = "Not shown. Left empty, it stays as it is."


class SecretForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in its stubs alone
    """The field `secret` keeps what it has unless something is entered."""

    secret = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "vTextField"}),
    )
    remove_secret = forms.BooleanField(required=False, label="Remove the secret")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        field = type(self.instance)._meta.get_field("secret")
        known = bool(self.instance.pk and self.instance.secret)
        meaning = str(getattr(field, "help_text", ""))
        self.fields["secret"].help_text = f"{meaning} {_KEPT}" if known else meaning
        if not known or not getattr(field, "blank", False):
            self.fields["remove_secret"].widget = forms.HiddenInput()

    def clean(self) -> dict[str, Any]:
        """With the secret that is to be kept."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        row = self.instance
        if cleaned.pop("remove_secret", False):
            cleaned["secret"] = ""
        elif not cleaned.get("secret"):
            if isinstance(row, WebArchive) and row.pk and row.secret:
                stored = WebArchive.objects.get(pk=row.pk)
                asked = (
                    cleaned.get(each, getattr(stored, each)) for each in ("url", "authorities")
                )
                if stored.leads_elsewhere(*asked):
                    self.add_error("secret", ASKED_ANEW)
            cleaned["secret"] = row.secret
        return cleaned
