"""ICC profiles in pictures (PS3.18 8.3.5.1.5): the image's own, or one that is asked for."""

from __future__ import annotations

import io
from functools import cache
from typing import Final

from PIL import Image, ImageCms

from apps.errors import InvalidRequest
from apps.rendering.options import JPEG, PNG
from apps.rendering.rgb_spaces import SPACES, profile_of

PROFILES: Final = ("no", "yes", "srgb", *SPACES)
"""What `iccprofile` may be."""

_EMBEDDING: Final = frozenset({JPEG, PNG})


def parse_profile(text: str, media_type: str) -> str:
    """`iccprofile=`; raises InvalidRequest for unknown ones and types that embed none."""
    profile = text.lower()
    if profile not in PROFILES:
        raise InvalidRequest(f"iccprofile may be {', '.join(PROFILES)}.", offending=("iccprofile",))
    if profile != "no" and media_type not in _EMBEDDING:
        raise InvalidRequest(
            "An ICC profile can be embedded in JPEG and PNG only.", offending=("iccprofile",)
        )
    return profile


@cache
def srgb() -> bytes:
    """The profile of IEC 61966-2-1."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def with_profile(image: Image.Image, profile: str, own: bytes) -> tuple[Image.Image, bytes]:
    """The picture and the profile to embed in it.

    `own` is the image's ICC Profile (0028,2000), empty where it has none; such an image is taken as
    sRGB. `yes` embeds what the image has; any other converts the colours to it.
    """
    if image.mode != "RGB":
        image = image.convert("RGB")
    stated = own if own and _usable(own) else srgb()
    if profile == "yes":
        return image, stated
    wanted = srgb() if profile == "srgb" else profile_of(profile)
    if wanted == stated:
        return image, wanted
    source = ImageCms.ImageCmsProfile(io.BytesIO(stated))
    target = ImageCms.ImageCmsProfile(io.BytesIO(wanted))
    converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    return (converted or image), wanted


def _usable(own: bytes) -> bool:
    """Whether the profile is one that colours in RGB can be read by."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(own))
    except (OSError, ImageCms.PyCMSError):
        return False
    return profile.profile.xcolor_space.strip() == "RGB"
