from django.apps import AppConfig


class CoercionConfig(AppConfig):
    name = "apps.coercion"
    label = "coercion"
