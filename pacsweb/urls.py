"""Where the doors and the faces are mounted."""

from django.contrib import admin
from django.urls import include, path

from apps.dicomweb.capabilities import openapi_document
from apps.dicomweb.door import resource
from apps.dicomweb.wado_uri import retrieve_by_uri
from pacsweb.metrics import metrics

admin.autodiscover()

handler400 = "pacsweb.refusals.bad_request"
handler403 = "pacsweb.refusals.not_permitted"
handler404 = "pacsweb.refusals.not_found"
handler500 = "pacsweb.refusals.failed"

urlpatterns = [
    path("metrics", metrics, name="metrics"),
    path("", include("apps.access.urls")),
    path("admin/", admin.site.urls),
    path("api/", include("apps.api.urls")),
    path("conformance/", include("apps.conformance.urls")),
    path("fhir/", include("apps.dicomweb.fhir.urls")),
    path("dicom-web", resource(GET=openapi_document)),
    path("dicom-web/", include("apps.dicomweb.urls")),
    path("dicom-web/", include("apps.dicomweb.slashed_urls")),
    path("wado", resource(GET=retrieve_by_uri), name="wado"),
    path("polarity/", include("apps.console.polarity_urls")),
    path("receipts/", include("apps.console.urls")),
    path("", include("apps.viewer.urls")),
]
