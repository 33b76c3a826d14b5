from django.apps import AppConfig


class RetrieveConfig(AppConfig):
    name = "apps.retrieve"
    label = "retrieve"
