"""Bytes that are filled where they stand, so that what is read is written to memory once.

Python's own ways to a `bytes` of half a megabyte either fill it with zeros first or copy it once
more. Its C API has the third way: make the object without contents, fill it before anybody else
holds it (https://docs.python.org/3/c-api/bytes.html, PyBytes_FromStringAndSize with NULL).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

_WRITABLE: Final = 0x200  # PyBUF_WRITE

_new_bytes: Callable[[None, int], bytes] = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t
)(("PyBytes_FromStringAndSize", ctypes.pythonapi))
_view: Callable[[bytes, int, int], memoryview] = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_char_p, ctypes.c_ssize_t, ctypes.c_int
)(("PyMemoryView_FromMemory", ctypes.pythonapi))


def unfilled(length: int) -> tuple[bytes, memoryview]:
    """At least two bytes whose contents are still whatever was in memory, and the way to them.

    Whoever asks fills all of them and releases the view before the bytes are given to anybody.
    """
    # The empty and the one-byte objects are shared by the whole interpreter.
    if length <= 1:
        raise ValueError("such short bytes are shared and must not be written to")
    made = _new_bytes(None, length)
    return made, _view(made, length, _WRITABLE)
