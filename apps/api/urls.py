from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from apps.api.associations import (
    AssociationsExportView,
    AssociationsView,
    AssociationView,
)
from apps.api.changes import ChangesView
from apps.api.filters import SavedFiltersView, SavedFilterView
from apps.api.instances import HeaderView, ReportView
from apps.api.measurements import MeasurementsView
from apps.api.preferences import PreferenceView
from apps.api.quarantine import (
    QuarantinedBytesView,
    QuarantinedDecisionView,
    QuarantinedView,
    QuarantineView,
)
from apps.api.read_marks import ReadMarkView
from apps.api.receipts import AssociationReceiptsView, ReceiptsView, StudyReceiptsView
from apps.api.session import SessionView
from apps.api.studies import DemoView, StudiesView

_INSTANCE = "studies/<str:study>/series/<str:series>/instances/<str:instance>/"
_QUARANTINED = "quarantine/<int:quarantined_id>/"

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("session/", SessionView.as_view(), name="session"),
    path("changes/", ChangesView.as_view(), name="changes"),
    path("associations/", AssociationsView.as_view(), name="associations"),
    path("associations/export/", AssociationsExportView.as_view(), name="associations-export"),
    path("associations/<int:association>/", AssociationView.as_view(), name="association"),
    path("studies/", StudiesView.as_view(), name="studies"),
    path("studies/<str:study>/read/", ReadMarkView.as_view(), name="read-mark"),
    path("saved-filters/", SavedFiltersView.as_view(), name="saved-filters"),
    path("saved-filters/<int:filter_id>/", SavedFilterView.as_view(), name="saved-filter"),
    path("preferences/<str:name>/", PreferenceView.as_view(), name="preference"),
    path("quarantine/", QuarantineView.as_view(), name="quarantine"),
    path(_QUARANTINED, QuarantinedView.as_view(), name="quarantined"),
    path(_QUARANTINED + "bytes/", QuarantinedBytesView.as_view(), name="quarantined-bytes"),
    path(
        _QUARANTINED + "<str:decision>/",
        QuarantinedDecisionView.as_view(),
        name="quarantined-decision",
    ),
    path("studies/<str:study>/measurements/", MeasurementsView.as_view(), name="measurements"),
    path("receipts/", ReceiptsView.as_view(), name="receipts"),
    path("receipts/studies/<str:study>/", StudyReceiptsView.as_view(), name="api-study-receipts"),
    path(
        "receipts/associations/<int:association>/",
        AssociationReceiptsView.as_view(),
        name="api-association-receipts",
    ),
    path("demo/", DemoView.as_view(), name="demo"),
    path(_INSTANCE + "header/", HeaderView.as_view(), name="header"),
    path(_INSTANCE + "report/", ReportView.as_view(), name="report"),
]
