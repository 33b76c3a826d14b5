"""Where radiographs are shown in both polarities, for all who may see images."""

from django.urls import path

from apps.console.both_polarities import decide, finding_page, study_page

urlpatterns = [
    path("findings/<int:finding>/", finding_page, name="polarity-finding"),
    path("findings/<int:finding>/decide/", decide, name="polarity-decide"),
    path("studies/<uid:study>/", study_page, name="polarity-study"),
]
