from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConsoleConfig(AppConfig):
    """Registers every ModelAdmin of the product."""

    name = "apps.console"
    label = "console"
    default = True


class ConsoleAdminConfig(admin_apps.SimpleAdminConfig):
    """Django's admin with our site in place of the stock one.

    Only the processes that serve it import it, with the URLs: it takes a third of the start of
    every other one.
    """

    default_site = "apps.console.site.ConsoleSite"
    default = False
