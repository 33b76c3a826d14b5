from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConsoleConfig(AppConfig):
    """Registers every ModelAdmin of the product."""

    name = "apps.console"
    label = "console"
    default = True


class ConsoleAdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site in place of the stock one."""

    default_site = "apps.console.site.ConsoleSite"
    default = False
