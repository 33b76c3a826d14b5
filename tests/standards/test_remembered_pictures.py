"""Finished pictures: made once however many ask, bounded, and asked for again after a failure."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.dicomweb.pictures import REMEMBERED_BYTES, Pictures
from apps.errors import UnsupportedPixels
from apps.rendering.options import RenderOptions
from apps.rendering.render import RenderedImage


def picture(size: int = 10) -> RenderedImage:
    return RenderedImage("image/png", b"x" * size, 1, 1, lossy=False)


def key(number: int) -> tuple[str, int, RenderOptions, str]:
    return ("digest", number, RenderOptions(), "")


def test_eight_who_ask_at_once_get_one_picture() -> None:
    pictures, begun, go, made = Pictures(), threading.Event(), threading.Event(), []

    def make() -> RenderedImage:
        begun.set()
        assert go.wait(10)
        made.append(picture())
        return made[-1]

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(pictures.get_or_make, key(1), make) for _ in range(8)]
        assert begun.wait(10)
        go.set()
        given = [each.result(10) for each in asked]
    assert len(made) == 1
    assert all(each is made[0] for each in given)


def test_a_failure_is_not_remembered() -> None:
    pictures = Pictures()

    def fail() -> RenderedImage:
        raise UnsupportedPixels("These pixels cannot be read.")

    with pytest.raises(UnsupportedPixels):
        pictures.get_or_make(key(1), fail)
    assert pictures.get_or_make(key(1), picture).body == b"x" * 10


def test_the_oldest_make_room() -> None:
    pictures = Pictures()
    size = REMEMBERED_BYTES // 8
    first = pictures.get_or_make(key(0), lambda: picture(size))
    for number in range(1, 8):
        pictures.get_or_make(key(number), lambda: picture(size))
    assert pictures.get_or_make(key(0), picture) is first
    pictures.get_or_make(key(8), lambda: picture(size))  # number 1 was used longest ago
    assert pictures.get_or_make(key(0), picture) is first
    assert len(pictures.get_or_make(key(1), picture).body) == 10
