from django.apps import AppConfig


class ConformanceConfig(AppConfig):
    name = "apps.conformance"
    label = "conformance"
