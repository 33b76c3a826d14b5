"""UIDs in the paths of URLs: those from the field may hold anything, a slash too.

The web server decodes `%2F` before anybody sees it. So a UID may have slashes here, as few as make
the path one that is known. One that itself reads like a path, such as `1/series/2`, is taken apart.
"""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import StringConverter


class UidConverter(StringConverter):
    """`<uid:study>`: of a bounded length, so that no path takes long to be taken apart."""

    regex = ".{1,128}?"


class LastUidConverter(StringConverter):
    """The same at the end of a path, where a slash behind it is a slip and no part of the UID."""

    regex = ".{0,127}?[^/]"


def register_converters() -> None:
    """For all that has UIDs in its paths, before it is imported."""
    register_converter(UidConverter, "uid")
    register_converter(LastUidConverter, "last_uid")
