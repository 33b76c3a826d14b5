"""The admin site, grouped as an administrator thinks."""

from django.contrib.admin import AdminSite


class ConsoleSite(AdminSite):
    """Django's admin under our name."""

    site_header = "pacsweb"
    site_title = "pacsweb"
    index_title = "Administration"
