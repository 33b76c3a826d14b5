"""Pages beside the admin site, for people who are no administrators."""

from django.urls import path

from apps.console.receipts import (
    association_receipts,
    check_study,
    receipts,
    study_receipts,
)

urlpatterns = [
    path("", receipts, name="receipts-page"),
    path("studies/<uid:study>/check/", check_study, name="check-study"),
    path("studies/<uid:study>/", study_receipts, name="study-receipts"),
    path("associations/<int:association>/", association_receipts, name="association-receipts"),
]
