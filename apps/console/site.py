"""The admin site, grouped as an administrator thinks."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from apps.console.latest import latest_calls
from apps.console.today import today

# TABLE: the groups of the index page, and the models in each, by label.
GROUPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "Network",
        (
            "network.ApplicationEntity",
            "network.WebArchive",
            "network.AssociationRecord",
            "coercion.CoercionRule",
            "polarity.PolarityFinding",
            "polarity.PolarityObservation",
            "network.PolarityRule",
            "forwarding.ForwardingRule",
            "forwarding.PrefetchRule",
            "forwarding.Prefetch",
            "network.NetworkPolicy",
        ),
    ),
    (
        "Archive",
        (
            "archive.Patient",
            "archive.Study",
            "archive.Series",
            "archive.Instance",
            "archive.NonPatientInstance",
            "archive.PrivateAttribute",
            "ingest.QuarantinedInstance",
            "ingest.ImportJob",
            "commitment.CommitmentRequest",
            "commitment.CommitmentInquiry",
            "commitment.ScrubRun",
            "compression.CompressionRule",
            "compression.CompressionRun",
            "archive.CompressedInstance",
        ),
    ),
    (
        "Worklist",
        (
            "worklist.ScheduledProcedureStep",
            "worklist.ServiceRequest",
            "worklist.PerformedProcedureStep",
            "worklist.UnlinkedStudy",
            "worklist.StudyLink",
            "worklist.WorkItem",
            "worklist.WorkItemSubscription",
            "worklist.WorkflowPeer",
            "worklist.Delivery",
        ),
    ),
    (
        "People",
        (
            "access.User",
            "auth.Group",
            "access.ApiToken",
            "axes.AccessAttempt",
            "axes.AccessFailureLog",
            "axes.AccessLog",
        ),
    ),
    (
        "System",
        (
            "storage.StoragePolicy",
            "ingest.IngestPolicy",
            "commitment.CommitmentPolicy",
            "rendering.ThumbnailPolicy",
            "compression.CompressionPolicy",
            "events.Event",
        ),
    ),
)

# TABLE: models of others under the names that people here use.
NAMES: Final = {
    "auth.Group": "Roles",
    "access.ApiToken": "API tokens",
    "axes.AccessAttempt": "Paused sign-ins",
    "axes.AccessFailureLog": "Failed sign-ins",
    "axes.AccessLog": "Sign-ins",
}


class ConsoleSite(AdminSite):
    """Django's admin under our name, with today's state on its first page."""

    site_header = "pacsweb"
    site_title = "pacsweb"
    index_title = "Today"
    index_template = "console/index.html"
    enable_nav_sidebar = True
    site_url = None  # the header has its own way back to the study list

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The models in our groups; whatever the table does not name comes last."""
        stock = super().get_app_list(request, app_label)
        if app_label is not None:
            return stock
        names = {each["model"]._meta.label: each["name"] for app in stock for each in app["models"]}
        models = {each["model"]._meta.label: each for app in stock for each in app["models"]}
        grouped = []
        for name, labels in GROUPS:
            members = [
                {**models.pop(label), "name": NAMES.get(label, names.get(label))}
                for label in labels
                if label in models
            ]
            if members:
                grouped.append(self._group(name, members))
        if models:
            grouped.append(self._group("More", list(models.values())))
        return grouped

    def _group(self, name: str, members: list[Any]) -> dict[str, Any]:
        return {
            "name": name,
            "app_label": name.lower(),
            "app_url": reverse(f"{self.name}:index"),
            "has_module_perms": True,
            "models": members,
        }

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The state of the node above the groups."""
        return super().index(
            request, {**(extra_context or {}), "today": today(), "calls": latest_calls()}
        )

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One sign-in page for the whole product; it is throttled."""
        if request.user.is_authenticated:
            return super().login(request, extra_context)
        target = request.GET.get("next", reverse(f"{self.name}:index"))
        return redirect_to_login(target)
