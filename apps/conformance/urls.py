"""The pages of `/conformance/`."""

from __future__ import annotations

from django.urls import path

from apps.conformance.readiness_views import readiness
from apps.conformance.views import statement

app_name = "conformance"

urlpatterns = [
    path("", statement, name="statement"),
    path("readiness/", readiness, name="readiness"),
]
