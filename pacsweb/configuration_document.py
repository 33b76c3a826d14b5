"""docs/configuration.md, written from the fields of the environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from pacsweb.settings.environment import PROJECT_ROOT, Environment

PATH = PROJECT_ROOT / "docs" / "configuration.md"
_HEADINGS = {
    "start": "Where it runs",
    "production": "Where things are kept",
    "web": "How the web reaches it",
    "tls": "DICOM over TLS",
    "tuning": "Sizes and logs",
}
_INTRODUCTION = """# Configuration

Facts that must be known before pacsweb starts come from environment variables. Everything else
(peers, users, watermarks) is set in the administration pages while it runs.

This page is written by `make docs` from `pacsweb/settings/environment.py`; do not edit it.
"""


def document() -> str:
    """The whole page; `{data}` stands for the data folder."""
    return _INTRODUCTION + "".join(_section(group) for group in _HEADINGS)


def _section(group: str) -> str:
    head = f"\n## {_HEADINGS[group]}\n\n| variable | default | meaning |\n| --- | --- | --- |\n"
    return head + "".join(_rows(group))


def _rows(group: str) -> Iterator[str]:
    for each in fields(Environment):
        if each.metadata["group"] == group:
            name, text = each.metadata["name"], each.metadata["text"]
            yield f"| `{name}` | {_default(each.metadata['default'])} | {text} |\n"


def _default(default: str) -> str:
    text = default.replace(str(PROJECT_ROOT), ".")
    known = {
        "unix://{socket}": "a Redis of its own",
        "{after_http}": "the one after the web server's",
        "": "none",
    }
    return known.get(text, f"`{text}`")
