from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from apps.api.associations import (
    AssociationsExportView,
    AssociationsView,
    AssociationView,
)
from apps.api.changes import ChangesView
from apps.api.instances import HeaderView, ReportView
from apps.api.session import SessionView
from apps.api.studies import DemoView, StudiesView

_INSTANCE = "studies/<str:study>/series/<str:series>/instances/<str:instance>/"

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("session/", SessionView.as_view(), name="session"),
    path("changes/", ChangesView.as_view(), name="changes"),
    path("associations/", AssociationsView.as_view(), name="associations"),
    path("associations/export/", AssociationsExportView.as_view(), name="associations-export"),
    path("associations/<int:association>/", AssociationView.as_view(), name="association"),
    path("studies/", StudiesView.as_view(), name="studies"),
    path("demo/", DemoView.as_view(), name="demo"),
    path(_INSTANCE + "header/", HeaderView.as_view(), name="header"),
    path(_INSTANCE + "report/", ReportView.as_view(), name="report"),
]
