"""Where the doors and the faces are mounted."""

from django.contrib import admin
from django.urls import include, path

from pacsweb.metrics import metrics

urlpatterns = [
    path("metrics", metrics, name="metrics"),
    path("", include("apps.access.urls")),
    path("admin/", admin.site.urls),
    path("api/", include("apps.api.urls")),
    path("dicom-web/", include("apps.dicomweb.urls")),
    path("", include("apps.viewer.urls")),
]
