"""Addresses of the front end; its own router knows the same two."""

from django.urls import path

from apps.viewer.views import front_end

app_name = "viewer"
urlpatterns = [
    path("", front_end, name="study-list"),
    path("viewer/<uid:study_instance_uid>", front_end, name="study"),
]
