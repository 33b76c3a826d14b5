"""ICC profiles in pictures (PS3.18 8.3.5.1.5): the image's own, or sRGB."""

from __future__ import annotations

import io
from functools import cache
from typing import Final

from PIL import Image, ImageCms

from apps.errors import InvalidRequest
from apps.rendering.options import GIF

PROFILES: Final = ("no", "yes", "srgb")
"""What `iccprofile` may be here; the standard's adobergb, rommrgb and displayp3 are refused."""


def parse_profile(text: str, media_type: str) -> str:
    """`iccprofile=`; raises InvalidRequest for unknown ones and types that embed none."""
    profile = text.lower()
    if profile not in PROFILES:
        raise InvalidRequest(
            f"iccprofile may be {', '.join(PROFILES)} here.", offending=("iccprofile",)
        )
    if profile != "no" and media_type == GIF:
        raise InvalidRequest("GIF cannot hold an ICC profile.", offending=("iccprofile",))
    return profile


@cache
def srgb() -> bytes:
    """The profile of IEC 61966-2-1."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def with_profile(image: Image.Image, profile: str, own: bytes) -> tuple[Image.Image, bytes]:
    """The picture and the profile to embed in it.

    `own` is the image's ICC Profile (0028,2000), empty where it has none. `yes` embeds that, or
    sRGB; `srgb` converts to it.
    """
    if image.mode != "RGB":
        image = image.convert("RGB")
    if not own or not _usable(own):
        return image, srgb()
    if profile == "yes":
        return image, own
    source = ImageCms.ImageCmsProfile(io.BytesIO(own))
    target = ImageCms.ImageCmsProfile(io.BytesIO(srgb()))
    converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    return (converted or image), srgb()


def _usable(own: bytes) -> bool:
    """Whether the profile is one that colours in RGB can be read by."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(own))
    except (OSError, ImageCms.PyCMSError):
        return False
    return profile.profile.xcolor_space.strip() == "RGB"
