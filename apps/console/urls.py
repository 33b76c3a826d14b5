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
    path("studies/<str:study>/", study_receipts, name="study-receipts"),
    path("studies/<str:study>/check/", check_study, name="check-study"),
    path("associations/<int:association>/", association_receipts, name="association-receipts"),
]
