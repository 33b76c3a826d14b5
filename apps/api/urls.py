from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from apps.api.associations import (
    AssociationsExportView,
    AssociationsView,
    AssociationView,
)
from apps.api.capacity import CapacityView, ReservationView
from apps.api.changes import ChangesView
from apps.api.compression import CompressionsView, CompressionView, OriginalsView
from apps.api.filters import SavedFiltersView, SavedFilterView
from apps.api.instances import HeaderView, ReportView
from apps.api.measurements import MeasurementsView
from apps.api.peers import (
    ArchiveEchoView,
    ArchiveSearchesView,
    ArchiveSearchView,
    PeerEchoView,
    PeerSearchesView,
    PeerSearchPageView,
    PeerSearchView,
    PeersView,
)
from apps.api.performed_steps import (
    AssignmentView,
    PerformedStepsView,
    PerformedStepView,
    UnlinkedStudiesView,
)
from apps.api.preferences import PreferenceView
from apps.api.private_attributes import CollectionView
from apps.api.quarantine import (
    QuarantinedBytesView,
    QuarantinedDecisionView,
    QuarantinedView,
    QuarantineView,
)
from apps.api.read_marks import ReadMarkView
from apps.api.receipts import AssociationReceiptsView, ReceiptsView, StudyReceiptsView
from apps.api.rules import PREVIEWS as RULE_PREVIEWS
from apps.api.rules import VIEWS as RULE_VIEWS
from apps.api.session import SessionView
from apps.api.studies import DemoView, StudiesView
from apps.api.transfers import (
    FetchesView,
    TransferInstancesView,
    TransferRetryView,
    TransfersView,
    TransferView,
)
from apps.api.worklist import EntriesView, EntryStatusView, EntryView

_INSTANCE = "studies/<uid:study>/series/<uid:series>/instances/<uid:instance>/"
_QUARANTINED = "quarantine/<int:quarantined_id>/"

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("session/", SessionView.as_view(), name="session"),
    path("capacity", CapacityView.as_view()),
    path("capacity/", CapacityView.as_view(), name="capacity"),
    path("capacity/<str:reservation>/", ReservationView.as_view(), name="reservation"),
    path("changes/", ChangesView.as_view(), name="changes"),
    path("associations/", AssociationsView.as_view(), name="associations"),
    path("associations/export/", AssociationsExportView.as_view(), name="associations-export"),
    path("associations/<int:association>/", AssociationView.as_view(), name="association"),
    path("studies/", StudiesView.as_view(), name="studies"),
    path("studies/<uid:study>/read/", ReadMarkView.as_view(), name="read-mark"),
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
    path("studies/<uid:study>/measurements/", MeasurementsView.as_view(), name="measurements"),
    path("studies/<uid:study>/originals/", OriginalsView.as_view(), name="originals"),
    path("compressions/", CompressionsView.as_view(), name="compressions"),
    path("compressions/<int:key>/", CompressionView.as_view(), name="compression"),
    path(
        "private-attributes/<int:key>/collection/",
        CollectionView.as_view(),
        name="private-attribute-collection",
    ),
    path("receipts/", ReceiptsView.as_view(), name="receipts"),
    path("receipts/studies/<uid:study>/", StudyReceiptsView.as_view(), name="api-study-receipts"),
    path(
        "receipts/associations/<int:association>/",
        AssociationReceiptsView.as_view(),
        name="api-association-receipts",
    ),
    path("worklist/entries/", EntriesView.as_view(), name="worklist-entries"),
    path("worklist/entries/<int:entry>/", EntryView.as_view(), name="worklist-entry"),
    path(
        "worklist/entries/<int:entry>/status/",
        EntryStatusView.as_view(),
        name="worklist-entry-status",
    ),
    path("worklist/performed-steps/", PerformedStepsView.as_view(), name="performed-steps"),
    path("worklist/performed-steps/<str:uid>/", PerformedStepView.as_view(), name="performed-step"),
    path("worklist/unlinked-studies/", UnlinkedStudiesView.as_view(), name="unlinked-studies"),
    path("worklist/studies/<uid:study>/order/", AssignmentView.as_view(), name="study-order"),
    path("transfers/", TransfersView.as_view(), name="transfers"),
    path("transfers/fetch/", FetchesView.as_view(), name="fetches"),
    path("transfers/<int:transfer>/", TransferView.as_view(), name="transfer"),
    path("transfers/<int:transfer>/retry/", TransferRetryView.as_view(), name="transfer-retry"),
    path(
        "transfers/<int:transfer>/instances/",
        TransferInstancesView.as_view(),
        name="transfer-instances",
    ),
    path("peers/", PeersView.as_view(), name="peers"),
    path("peers/<str:title>/echo/", PeerEchoView.as_view(), name="peer-echo"),
    path("peers/<str:title>/search/", PeerSearchView.as_view(), name="peer-search"),
    path("peers/<str:title>/searches/", PeerSearchesView.as_view(), name="peer-searches"),
    path("archives/<str:name>/echo/", ArchiveEchoView.as_view(), name="archive-echo"),
    path("archives/<str:name>/search/", ArchiveSearchView.as_view(), name="archive-search"),
    path("archives/<str:name>/searches/", ArchiveSearchesView.as_view(), name="archive-searches"),
    path("peer-searches/<str:search>/", PeerSearchPageView.as_view(), name="peer-search-page"),
    path("demo/", DemoView.as_view(), name="demo"),
    path(_INSTANCE + "header/", HeaderView.as_view(), name="header"),
    path(_INSTANCE + "report/", ReportView.as_view(), name="report"),
]
for _path, (_all, _one) in RULE_VIEWS.items():
    urlpatterns += [
        path(f"{_path}/", _all.as_view(), name=_path.replace("/", "-")),
        path(f"{_path}/<int:key>/", _one.as_view(), name=f"{_path.replace('/', '-')}-one"),
    ]
urlpatterns += [
    path(f"{_path}/preview/", _view.as_view(), name=f"{_path.replace('/', '-')}-preview")
    for _path, _view in RULE_PREVIEWS.items()
]
