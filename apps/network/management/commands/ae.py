"""`manage.py ae`: the application entities we know."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.access.principals import system_principal
from apps.errors import PacsError
from apps.network.actions.register_application_entity import register_application_entity
from apps.network.actions.remove_application_entity import remove_application_entity
from apps.network.models import ApplicationEntity

_SWITCHES = (
    ("may-store", "it may store instances here"),
    ("may-query", "it may query and retrieve here"),
    ("may-worklist", "it may ask for the worklist"),
    ("may-mpps", "it may report performed procedure steps"),
    ("may-ups", "it may use unified procedure steps"),
    ("may-commit", "it may ask for storage commitment"),
    ("ask-commitment", "it is asked for storage commitment of what we sent it"),
    ("match-address", "accept it only from its host's address"),
    ("require-tls", "accept it only over TLS"),
    ("use-tls", "call it over TLS"),
    ("enabled", "accept it at all"),
)
_TEXTS = (
    ("allowed-addresses", "addresses and networks it may call from, by commas"),
    ("certificate-names", "names or sha256: fingerprints of its certificates, by commas"),
    ("allowed-sop-classes", "the only SOP Classes accepted from it, by semicolons"),
    ("preferred-transfer-syntaxes", "Transfer Syntaxes taken first, by semicolons"),
    ("forbidden-transfer-syntaxes", "Transfer Syntaxes never taken, by semicolons"),
    ("default-character-set", "Specific Character Set where its texts do not fit what it declares"),
)


class Command(BaseCommand):
    help = "Adds, lists and removes DICOM application entities."
    # The checks are for developers; they import every page, which takes a second.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="add one, or change the one with that title")
        add.add_argument("title")
        add.add_argument("host")
        add.add_argument("port", type=int)
        for name, meaning in _SWITCHES:
            add.add_argument(
                f"--{name}",
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=meaning,
            )
        for name, meaning in _TEXTS:
            add.add_argument(f"--{name}", default=argparse.SUPPRESS, help=meaning)
        remove = verbs.add_parser("remove", help="remove one")
        remove.add_argument("title")
        verbs.add_parser("list", help="list them all")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        try:
            {"add": self._add, "remove": self._remove, "list": self._list}[options["verb"]](options)
        except PacsError as error:
            raise CommandError(error.message, returncode=2) from error

    def _add(self, options: dict[str, Any]) -> None:
        names = [name.replace("-", "_") for name, _ in (*_SWITCHES, *_TEXTS)]
        outcome = register_application_entity(
            system_principal("manage.py ae"),
            title=options["title"],
            host=options["host"],
            port=options["port"],
            **{name: options[name] for name in names if name in options},
        )
        where = f"{outcome.entity.title} at {outcome.entity.host}:{outcome.entity.port}"
        if outcome.created:
            self.stdout.write(f"Added {where}.")
        elif outcome.changed:
            self.stdout.write(f"Changed {where}.")
        else:
            self.stdout.write(f"{where} was already known; nothing changed.")

    def _remove(self, options: dict[str, Any]) -> None:
        title = options["title"].strip()
        if remove_application_entity(system_principal("manage.py ae"), title=title):
            self.stdout.write(f"Removed {title}.")
        else:
            self.stdout.write(f"There is no {title}; nothing changed.")

    def _list(self, _options: dict[str, Any]) -> None:
        rows = list(ApplicationEntity.objects.all())
        if not rows:
            self.stdout.write("No application entities are known.")
        for row in rows:
            flags = [
                name
                for name, shown in (
                    ("disabled", not row.enabled),
                    ("may not store", not row.may_store),
                    ("may not query", not row.may_query),
                    ("no worklist", not row.may_worklist),
                    ("no MPPS", not row.may_mpps),
                    ("no UPS", not row.may_ups),
                    ("no commitment", not row.may_commit),
                    ("address checked", row.match_address),
                )
                if shown
            ]
            where = f"{row.host}:{row.port}" if row.port else row.host
            self.stdout.write(f"{row.title:16} {where:30} {', '.join(flags)}".rstrip())
