"""Keep the statement as a new version when it claims something else than the last one."""

from __future__ import annotations

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.conformance.document import Statement
from apps.conformance.models import StatementVersion
from apps.events.log import NewEvent, record


def record_statement(principal: Principal, statement: Statement) -> StatementVersion:
    """The version that says this, made if it is new. Raises NotPermitted."""
    permit(principal, Permission.ADMINISTER)
    digest = statement.digest
    with transaction.atomic():
        newest = StatementVersion.objects.order_by("-pk").first()
        if newest is not None and newest.digest == digest:
            return newest
        version = StatementVersion.objects.create(digest=digest, claims=statement.said())
        payload = {"version": version.pk}
        record([NewEvent("ConformanceStatementChanged", actor_of(principal), payload=payload)])
    return version
