from django.apps import AppConfig


class CommitmentConfig(AppConfig):
    name = "apps.commitment"
    label = "commitment"
