from django.apps import AppConfig


class PolarityConfig(AppConfig):
    name = "apps.polarity"
    label = "polarity"
