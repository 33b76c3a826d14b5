from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from apps.api.changes import ChangesView
from apps.api.session import SessionView

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("session/", SessionView.as_view(), name="session"),
    path("changes/", ChangesView.as_view(), name="changes"),
]
