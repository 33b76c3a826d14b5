"""DICOM JSON prepared for serving: deflated once at ingest, joined without touching it again.

A fragment is one instance's JSON object in pieces, cut where the service's base URL belongs (the
URL is known only when somebody asks). Each piece is a run of raw deflate blocks that ends in a full
flush, so that pieces, stored blocks holding the URL, and separators concatenate to one valid
deflate stream (RFC 1951).

The gzip trailer needs the CRC-32 of everything (RFC 1952). CRC-32 is linear: with lengths in bytes,
crc(a + b) = crc(a) * x^(8 * len(b)) + crc(b) in GF(2)[x] modulo the CRC polynomial. A piece
therefore carries its CRC and the power of x, both already moved over the pieces behind it; what
depends on the URL is multiplied by table. Joining costs one full multiplication a fragment.

Packed form, little endian: format byte 1, number of pieces (4); for each piece its length before
deflating (4), after (4), its CRC times x^(8 * r) (4) and x^(8 * (length + r)) (4), where r is the
length of all pieces behind it; then the deflated pieces.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct, pack_into, unpack_from
from typing import Final

_FORMAT: Final = 1
_HEAD: Final = Struct("<BI")
_PIECE: Final = Struct("<4I")
_STORED: Final = Struct("<BHH")
_TRAILER: Final = Struct("<II")
_GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_LAST_BLOCK: Final = b"\x03\0"  # an empty block with fixed codes, marked as the last
_LONGEST_STORED: Final = 0xFFFF
# Half the time of level 6 for a tenth more bytes; deflating is a quarter of indexing.
_LEVEL: Final = 2
_BATCH: Final = 256 * 1024

# CRC-32 writes polynomials with their bits reversed: bit 31 is x^0 (RFC 1952, section 8).
_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 0x80000000


def _multiplied(a: int, b: int) -> int:
    """The product of two polynomials modulo that of CRC-32."""
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = a << 1 & 0xFFFFFFFF
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


def _squares() -> tuple[int, ...]:
    """x^(8 * 2^n) for n from 0 to 63."""
    power = _ONE >> 8
    out = []
    for _ in range(64):
        out.append(power)
        power = _multiplied(power, power)
    return tuple(out)


_SQUARES: Final = _squares()


@lru_cache(maxsize=4096)
def _power(length: int) -> int:
    """x^(8 * length): what the CRC of all that stands before `length` bytes is multiplied by."""
    power, n = _ONE, 0
    while length:
        if length & 1:
            power = _multiplied(power, _SQUARES[n])
        length >>= 1
        n += 1
    return power


def _table(factor: int) -> tuple[tuple[int, ...], ...]:
    """Products of `factor` with every byte in each of the four places of a polynomial."""
    bits = [_multiplied(1 << bit, factor) for bit in range(32)]
    places = []
    for place in range(4):
        products = [0] * 256
        for value in range(1, 256):
            low = value & -value
            products[value] = products[value ^ low] ^ bits[8 * place + low.bit_length() - 1]
        places.append(tuple(products))
    return tuple(places)


def _moved_over(crc: int, length: int) -> int:
    """A CRC times x^(8 * length): that of what stands before so many bytes."""
    if length > len(_ZEROS):
        return _multiplied(_power(length), crc)
    # The CRC is affine in where it begins: what follows from the zeros themselves cancels out.
    zeros = _ZEROS[:length]
    return zlib.crc32(zeros, crc) ^ zlib.crc32(zeros)


_ZEROS: Final = memoryview(bytes(4096))


class _Deflating(threading.local):
    """This thread's compressor: making one takes five times as long as it works on a document.

    A full flush forgets what stood before, so each text stands alone in what comes out.
    """

    def __init__(self) -> None:
        self._compressor = _compressor()

    def __call__(self, text: bytes) -> bytes:
        try:
            return self._compressor.compress(text) + self._compressor.flush(zlib.Z_FULL_FLUSH)
        except BaseException:
            self._compressor = _compressor()  # what was not fetched would come with the next text
            raise


def _compressor() -> zlib._Compress:
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, 8)


_deflated: Final = _Deflating()


def _body(piece: bytes) -> bytes:
    """Deflate blocks that inflate to the piece, and need nothing of what stands before them.

    A short piece is the rest of an address: what its series has in common is deflated once, and the
    digits that follow, which hardly deflate, are stored.
    """
    cut = piece.rfind(_OF_SERIES, 0, _SHORT_PIECE) + len(_OF_SERIES)
    if len(piece) > _SHORT_PIECE or cut < len(_OF_SERIES):
        return _deflated(piece)
    return _deflated_once(piece[:cut]) + _stored(piece[cut:])


_OF_SERIES: Final = b"/instances/"
_SHORT_PIECE: Final = 400


@lru_cache(maxsize=256)
def _deflated_once(beginning: bytes) -> bytes:
    return _deflated(beginning)


def pack(pieces: tuple[bytes, ...]) -> bytes:
    """The value of Metadata.fragment for the pieces of `InstanceScan.json`."""
    head = bytearray(_HEAD.size + _PIECE.size * len(pieces))
    _HEAD.pack_into(head, 0, _FORMAT, len(pieces))
    bodies = [_body(piece) for piece in pieces]
    behind = 0
    for index in reversed(range(len(pieces))):
        piece, body = pieces[index], bodies[index]
        crc = _moved_over(zlib.crc32(piece), behind)
        behind += len(piece)
        at = _HEAD.size + _PIECE.size * index
        pack_into("<4I", head, at, len(piece), len(body), crc, _power(behind))
    return b"".join([head, *bodies])


def _opened(fragment: bytes) -> tuple[tuple[int, ...], list[bytes]]:
    """The four numbers of each piece in a row, and the deflated pieces; raises ValueError."""
    fragment = bytes(fragment)
    form, count = _HEAD.unpack_from(fragment)
    if form != _FORMAT:
        raise ValueError("this is no metadata fragment")
    numbers = unpack_from(f"<{4 * count}I", fragment, _HEAD.size)
    at = _HEAD.size + _PIECE.size * count
    bodies = []
    for length in numbers[1::4]:
        bodies.append(fragment[at : at + length])
        at += length
    return numbers, bodies


def _stored(text: bytes) -> bytes:
    """Text in stored blocks, which need no compressing (RFC 1951 3.2.4)."""
    blocks = []
    for at in range(0, len(text), _LONGEST_STORED):
        part = text[at : at + _LONGEST_STORED]
        blocks.append(_STORED.pack(0, len(part), len(part) ^ 0xFFFF) + part)
    return b"".join(blocks)


@dataclass(frozen=True)
class _Insert:
    """A short text put between pieces: as deflate blocks, and what it does to the CRC.

    `over` multiplies by x^(8 * length), `by_crc` by the text's own CRC, both by table.
    """

    length: int
    blocks: bytes
    crc: int
    over: tuple[tuple[int, ...], ...]
    by_crc: tuple[tuple[int, ...], ...]


@lru_cache(maxsize=64)
def _insert(text: bytes) -> _Insert:
    crc = zlib.crc32(text)
    return _Insert(len(text), _stored(text), crc, _table(_power(len(text))), _table(crc))


def _times(table: tuple[tuple[int, ...], ...], value: int) -> int:
    """`value` multiplied by the factor the table was made for."""
    a, b, c, d = table
    return a[value & 255] ^ b[value >> 8 & 255] ^ c[value >> 16 & 255] ^ d[value >> 24]


def join_gzip(fragments: Iterable[bytes], base_url: bytes) -> Iterator[bytes]:
    """One gzip member holding the JSON array of the fragments, in chunks of some 256 KiB.

    Nothing is inflated or compressed. `base_url` must be JSON text already: no quotes, no
    backslashes, no control characters.
    """
    url, separator = _insert(base_url), _insert(b"[")
    out, size = [_GZIP_HEADER], 0
    crc = total = 0
    for fragment in fragments:
        numbers, bodies = _opened(fragment)
        crc = _times(separator.over, crc) ^ separator.crc
        crc = _crc_behind(crc, numbers, url)
        total += separator.length + sum(numbers[::4]) + url.length * (len(bodies) - 1)
        part = separator.blocks + url.blocks.join(bodies)
        out.append(part)
        size += len(part)
        if size > _BATCH:
            yield b"".join(out)
            out, size = [], 0
        separator = _insert(b",")
    ending = b"]" if separator.blocks == _stored(b",") else b"[]"
    last = _insert(ending)
    crc = _times(last.over, crc) ^ last.crc
    total += last.length
    yield b"".join([*out, last.blocks, _LAST_BLOCK, _TRAILER.pack(crc, total & 0xFFFFFFFF)])


def _crc_behind(crc: int, numbers: tuple[int, ...], url: _Insert) -> int:
    """The CRC of all so far and this fragment, its pieces joined by the URL.

    With U = x^(8 * len(url)) and n pieces, the sum of every term times U to the number of URLs
    behind it, by Horner's rule: once for what was before and the pieces, once for the URLs.
    """
    crc = _multiplied(numbers[3], crc) ^ numbers[2] if crc else numbers[2]
    urls = 0
    over = url.over
    for at in range(6, len(numbers), 4):
        crc = _times(over, crc) ^ numbers[at]
        urls = _times(over, urls) ^ numbers[at + 1]
    return crc ^ _times(url.by_crc, urls) if urls else crc


def join_plain(fragments: Iterable[bytes], base_url: bytes) -> Iterator[bytes]:
    """The same JSON array as text, one chunk a fragment."""
    separator = b"["
    for fragment in fragments:
        yield separator + plain(fragment, base_url)
        separator = b","
    yield b"[]" if separator == b"[" else b"]"


def plain(fragment: bytes, base_url: bytes = b"") -> bytes:
    """One instance's JSON object as text."""
    return base_url.join(unpacked(fragment))


def unpacked(fragment: bytes) -> tuple[bytes, ...]:
    """The pieces that `pack` was given."""
    _, bodies = _opened(fragment)
    return tuple(zlib.decompress(body + _LAST_BLOCK, -zlib.MAX_WBITS) for body in bodies)
