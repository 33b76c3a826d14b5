"""Several complete objects made durable at once, for doors that answer them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from apps.errors import OutOfResources, PacsError, Unavailable
from apps.ingest import acknowledged, spool
from apps.ingest.crash_points import crash_point
from apps.ingest.foretelling import Candidate, Foreseen, foresee, foretell
from apps.ingest.outcomes import Place
from apps.ingest.receiving import Incoming
from apps.ingest.spool import SpoolName, Waiter
from apps.storage.durable import as_pacs_error, start_writing_out
from apps.storage.filesystem import OpenFile

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """A durable object: its inbox name, and its place in the archive where that is certain."""

    name: str
    place: Place | None = None


class Commit:
    """Objects on their way into the inbox: `sync`, in any thread, then `finish`.

    Together they do what `Incoming.commit` does, for a fraction of the disk's time. An object that
    the disk refuses takes none of the others with it. What failed is aborted.
    """

    def __init__(self, objects: Sequence[Incoming], waiter: Waiter = Waiter.NOBODY) -> None:
        self._objects = objects
        self._waiter = waiter
        self._foreseen: dict[Incoming, Foreseen] = {}
        self._outcomes: dict[Incoming, SpoolName | PacsError] = {}
        self._claimed: dict[Incoming, Candidate] = {}
        self._places: dict[Incoming, Place] | None = None

    def sync(self) -> None:
        """Brings the bytes to disk, and reads the objects meanwhile if a request waits for them."""
        self._begin()
        for each, name in self._kept().items():
            self._outcomes[each] = _attempt(partial(each.sync, name))

    def foretell(self) -> None:
        """Asks the database what becomes of the objects; before `sync`, the disk works meanwhile.

        Left out, `finish` does it: `sync` may have a thread without a database.
        """
        self._begin()
        self._places = self._foretold()

    def finish(self) -> list[Kept | PacsError]:
        """Makes the objects visible to the indexer; each in the order they were given."""
        if self._places is None:
            self._places = self._foretold()
        ready = self._kept()
        moved = _attempt(lambda: spool.make_ready([(e.path, n) for e, n in ready.items()]))
        if isinstance(moved, PacsError):
            self._outcomes.update(dict.fromkeys(ready, moved))
        for each, outcome in self._outcomes.items():
            if isinstance(outcome, PacsError):
                self._fail(each)
            else:
                each.close()
        crash_point("committed")
        return [self._said(each, outcome) for each, outcome in self._outcomes.items()]

    def _begin(self) -> None:
        """The last bytes to the files; and once the disk works, a look into them."""
        if self._outcomes:
            return
        for each in self._objects:
            self._outcomes[each] = _attempt(partial(each.write_out, waiter=self._waiter))
        written = self._kept()
        for each in written:
            start_writing_out(each.descriptor)
        if self._waiter.waits:
            for each in written:
                seen = foresee(OpenFile(each.descriptor))
                if seen is not None:
                    self._foreseen[each] = seen

    def _foretold(self) -> dict[Incoming, Place]:
        """Where those belong whose fate is certain; their names say from now on that it is."""
        written = self._kept()
        asked = {
            written[each].for_waiter(Waiter.ANSWERED): (
                each,
                Candidate(seen, each.path, each.number, partial(_digest, written[each])),
            )
            for each, seen in self._foreseen.items()
            if each in written
        }
        certain = foretell({name: candidate for name, (_, candidate) in asked.items()})
        for name in certain:
            each, self._claimed[each] = asked[name]
            self._outcomes[each] = name
        crash_point("foretold")
        return {asked[name][0]: place for name, place in certain.items()}

    def _fail(self, each: Incoming) -> None:
        each.abort()
        if each in self._claimed:
            acknowledged.withdraw(self._claimed[each].uid, self._claimed[each].number)

    def _said(self, each: Incoming, outcome: SpoolName | PacsError) -> Kept | PacsError:
        if isinstance(outcome, PacsError):
            return outcome
        place = self._places.get(each) if self._places else None
        claimed = self._claimed.get(each)
        if claimed and not acknowledged.is_claimed_by(claimed.uid, claimed.number):
            place = None  # it is indexed, or took so long that the claim was no longer believed
        return Kept(str(outcome), place)

    def _kept(self) -> dict[Incoming, SpoolName]:
        return {e: name for e, name in self._outcomes.items() if isinstance(name, SpoolName)}


def _digest(name: SpoolName) -> str:
    return name.dataset_sha256


def _attempt(step: Callable[[], T]) -> T | PacsError:
    try:
        with as_pacs_error("receiving an instance"):
            return step()
    except (OutOfResources, Unavailable) as failure:
        return failure
