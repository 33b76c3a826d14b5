"""The edition of what is made of stored pixel data, which is part of the tags of cached answers.

A browser keeps a picture or a transcoded frame as long as its tag says that it is the same. Whoever
changes how one looks, or its bytes, raises the number; else people go on seeing the old one.
"""

from __future__ import annotations

from typing import Final

# 2: frames of compressed YBR_FULL_422 that are asked uncompressed come as RGB.
EDITION: Final = "2"
