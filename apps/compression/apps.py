from django.apps import AppConfig


class CompressionConfig(AppConfig):
    name = "apps.compression"
    label = "compression"
