"""Trying a rule before it is saved: what it would have done with what came last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from apps.access.authentication import principal_of
from apps.access.principals import Principal
from apps.console.rule_admin import RuleAdmin
from apps.errors import PacsError


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What a rule would have done with one thing; `changes` are keyword, before and after."""

    about: str
    told: str
    fits: bool
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class PreviewedRuleAdmin(RuleAdmin):
    """A form with a button that tries what stands in it, saved or not."""

    change_form_template = "console/rule_form.html"
    preview_words = ""

    def preview_rows(self, principal: Principal, row: Any) -> list[PreviewRow]:
        """What the rule would have done. Raises PacsError."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        """The preview stands beside the list."""
        options = self.model._meta
        name = f"{options.app_label}_{options.model_name}_preview"
        view = self.admin_site.admin_view(self.preview)
        return [path("preview/", view, name=name), *super().get_urls()]

    def preview(self, request: HttpRequest) -> HttpResponse:
        """The posted form, checked and tried; nothing is saved."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        key = request.GET.get("row", "")
        known = self.get_object(request, key) if key else None
        form = self.get_form(request, known)(request.POST, instance=known)
        rows: list[PreviewRow] = []
        problems = [str(each) for errors in form.errors.values() for each in errors]
        if form.is_valid():
            try:
                rows = self.preview_rows(principal_of(request, "admin"), form.instance)
            except PacsError as error:
                problems = [error.message]
        context = {
            **self.admin_site.each_context(request),
            "title": "What the rule would have done",
            "opts": self.model._meta,
            "words": self.preview_words,
            "rows": rows,
            "problems": problems,
        }
        return TemplateResponse(request, "console/rule_preview.html", context)
