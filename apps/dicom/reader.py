"""InstanceReader: one scan of an object's bytes gives all we ever need to know about it.

The scan yields the indexed attributes, the finished DICOM JSON and the frame table in one pass over
raw elements (`apps.dicom.elements`); Pixel Data is never loaded. Reading is tolerant as the field
expects: what is odd but clear becomes a warning, what cannot be understood raises
UnreadableInstance with one plain sentence, and nothing else is ever raised.
"""

from __future__ import annotations

from collections.abc import Iterator

from apps.dicom.bulk_elements import BulkElement, bulk_elements
from apps.dicom.deflated import InflatedSource
from apps.dicom.element_listing import Element, listed_elements, located
from apps.dicom.element_shapes import (
    Encoding,
)
from apps.dicom.elements import ElementWalk
from apps.dicom.frames import (
    RandomAccess,
)
from apps.dicom.part10 import HEAD_LENGTH, looks_like, read_file_meta
from apps.dicom.passages import (
    PassageMemory,
)
from apps.dicom.scanning import InstanceScan, Scanning
from apps.dicom.transfer_syntaxes import TransferSyntax, transfer_syntax


class InstanceReader:
    """Reads one object from anything with `size` and `read_at`.

    `fallback_character_set` is tried for text that does not fit what the object declares: the
    values of (0008,0005) that the sending source is known to mean.
    """

    def __init__(
        self, source: RandomAccess, *, fallback_character_set: tuple[str, ...] = ()
    ) -> None:
        self._source = source
        self._fallback = fallback_character_set
        head = source.read_at(0, HEAD_LENGTH)
        self.meta = read_file_meta(head)
        self.syntax: TransferSyntax = transfer_syntax(self.meta.transfer_syntax_uid)
        self.inflated = self.syntax.deflated
        self._data: RandomAccess = source
        self._start = self.meta.dataset_offset
        if self.inflated:
            self._data = InflatedSource(source, self.meta.dataset_offset)
            self._start = 0
            head = self._data.read_at(0, 16)
        seen = transfer_syntax(looks_like(head, self._start) or self.syntax.uid)
        self.encoding = Encoding(seen.implicit, seen.big_endian)
        self.head = head

    def fall_back_to(self, character_set: tuple[str, ...]) -> None:
        """As `fallback_character_set`, for who learns the source from `meta`."""
        self._fallback = character_set

    @property
    def data(self) -> RandomAccess:
        """Where element and frame offsets point: the file, or its inflated data set."""
        return self._data

    def walk(self) -> ElementWalk:
        """A fresh pass over the raw elements."""
        head = b"" if self.inflated else self.head
        return ElementWalk(self._data, self._start, self.encoding, head)

    def is_whole(self) -> bool:
        """Whether no element goes on behind the end of the bytes. Raises UnreadableInstance."""
        walk = self.walk()
        for _ in walk:
            pass
        cut = isinstance(self._data, InflatedSource) and self._data.cut
        return walk.truncated_in is None and not cut

    def elements(self) -> Iterator[Element]:
        """Every element for the header inspector, File Meta Information first, nested ones too.

        What cannot be read any more simply ends the listing.
        """
        return listed_elements(self._source, self.meta, self.walk(), self._fallback)

    def locate(self, path: tuple[str, ...]) -> tuple[int, int, str]:
        """Offset in `data`, length in bytes and VR of the value a BulkDataURI points at.

        `path` are the URI's segments: a tag of eight hexadecimal digits, or for nested values tag,
        item number from 1, tag and so on. The length of an encapsulated value includes its items
        and their headers. Raises NotFound.
        """
        return located(self.walk(), path)

    def bulk_elements(self) -> Iterator[BulkElement]:
        """Every value that the DICOM JSON leaves behind a BulkDataURI, in one pass."""
        return bulk_elements(self.walk())

    def scan(self, memory: PassageMemory | None = None) -> InstanceScan:
        """The one pass. Raises UnreadableInstance.

        With a memory, what other instances of the series have in the same bytes is not read again.
        """
        known = None
        if memory is not None and not self.inflated and not self.encoding.big_endian:
            known = memory.series_in(self.head)
        return Scanning(self, self._fallback, known).run()

    def data_set_json(self) -> tuple[str, str]:
        """DICOM JSON of a data set that need be no instance, and its Specific Character Set.

        Raises UnreadableInstance.
        """
        return Scanning(self, self._fallback, None).data_set()
