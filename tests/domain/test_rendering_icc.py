"""Colours brought into the RGB spaces a client may ask for, by the spaces' published matrices."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageCms

from apps.errors import InvalidRequest
from apps.rendering.icc_profiles import PROFILES, parse_profile
from apps.rendering.options import GIF, JPEG, PNG, RenderOptions
from apps.rendering.render import render_frame
from apps.rendering.rgb_spaces import SPACES, profile_of
from tests.domain.pictures import EXPLICIT, image

# IEC 61966-2-1; Adobe RGB (1998) 4.3.6.1; W3C CSS Color 4, sections 10.6 to 10.9 and 18.
SRGB_TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
               [0.0193339, 0.1191920, 0.9503041]]  # fmt: skip
D65_TO_D50 = [[1.0479298, 0.0229468, -0.0501922], [0.0296278, 0.9904344, -0.0170738],
              [-0.0092430, 0.0150552, 0.7518743]]  # fmt: skip
FROM_XYZ = {
    "adobergb": [[2.04159, -0.56501, -0.34473], [-0.96924, 1.87597, 0.04156],
                 [0.01344, -0.11836, 1.01517]],
    "displayp3": [[2.4934969, -0.9313836, -0.4027108], [-0.8294890, 1.7626641, 0.0236247],
                  [0.0358458, -0.0761724, 0.9568845]],
    "rommrgb": [[1.3457989, -0.2555802, -0.0511063], [-0.5446225, 1.5082328, 0.0205360],
                [0.0, 0.0, 1.2119675]],
}  # fmt: skip
COLORS = np.array(
    [
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]],
        [[0, 0, 0], [128, 128, 128], [200, 100, 50], [12, 34, 56]],
        [[90, 200, 180], [3, 3, 3], [250, 240, 10], [120, 10, 200]],
    ],
    dtype=np.uint8,
)


def linear(codes: np.ndarray) -> np.ndarray:
    codes = codes / 255
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def coded(light: np.ndarray, space: str) -> np.ndarray:
    light = np.clip(light, 0, 1)
    if space == "adobergb":
        codes = light ** (256 / 563)
    elif space == "rommrgb":
        codes = np.where(light < 1 / 512, 16 * light, light ** (1 / 1.8))
    else:
        codes = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return codes * 255


def expected(space: str) -> np.ndarray:
    xyz = linear(COLORS) @ np.array(SRGB_TO_XYZ).T
    if space == "rommrgb":
        xyz = xyz @ np.array(D65_TO_D50).T
    return coded(xyz @ np.array(FROM_XYZ[space]).T, space)


def rendered(options: RenderOptions, **attributes: object) -> Image.Image:
    dataset = image(COLORS, **attributes)
    return Image.open(io.BytesIO(render_frame(COLORS.tobytes(), dataset, EXPLICIT, options).body))


@pytest.mark.parametrize("space", SPACES)
def test_WAD_17_colours_are_those_of_the_space(space: str):
    picture = rendered(RenderOptions(PNG, icc_profile=space))
    assert picture.info["icc_profile"] == profile_of(space)
    assert np.abs(np.asarray(picture) - expected(space)).max() < 1.5


@pytest.mark.parametrize("space", SPACES)
def test_a_stranger_reads_them_back_as_they_were(space: str):
    picture = rendered(RenderOptions(PNG, icc_profile=space))
    embedded = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
    assert embedded.profile.is_matrix_shaper
    assert embedded.profile.xcolor_space.strip() == "RGB"
    back = ImageCms.profileToProfile(
        picture, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    # In light, not in codes: eight bits of a wider space are coarser in the dark.
    assert np.abs(linear(np.asarray(back)) - linear(COLORS)).max() < 0.01


@pytest.mark.parametrize("space", SPACES)
def test_the_profile_says_its_white_and_its_primaries(space: str):
    profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_of(space))).profile
    colorants = [profile.red_colorant[0], profile.green_colorant[0], profile.blue_colorant[0]]
    assert np.sum(colorants, axis=0) == pytest.approx((0.9642, 1.0, 0.8249), abs=2e-4)
    stated = profile.red_primary[1][:2], profile.green_primary[1][:2], profile.blue_primary[1][:2]
    if SPACES[space].white == SPACES["rommrgb"].white:
        # No other white to adapt to: they are the published ones.
        row = SPACES[space]
        assert stated[0] == pytest.approx(row.red, abs=1e-3)
        assert stated[1] == pytest.approx(row.green, abs=1e-3)
        assert stated[2] == pytest.approx(row.blue, abs=1e-3)


def test_the_image_s_own_profile_is_where_the_colours_come_from():
    own = profile_of("displayp3")
    options = RenderOptions(PNG, icc_profile="yes")
    assert rendered(options, ICCProfile=own).info["icc_profile"] == own
    as_it_is = rendered(replace(options, icc_profile="displayp3"), ICCProfile=own)
    assert np.array_equal(np.asarray(as_it_is), COLORS)
    elsewhere = rendered(replace(options, icc_profile="adobergb"), ICCProfile=own)
    there = linear(COLORS) @ np.linalg.inv(FROM_XYZ["displayp3"]).T
    wanted = coded(there @ np.array(FROM_XYZ["adobergb"]).T, "adobergb")
    assert np.abs(np.asarray(elsewhere) - wanted).max() < 1.5


def test_grey_stays_neutral_and_jpeg_carries_the_profile():
    grey = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
    window = {"WindowCenter": 128, "WindowWidth": 256}
    options = RenderOptions(PNG, icc_profile="rommrgb")
    body = render_frame(grey.tobytes(), image(grey, **window), EXPLICIT, options).body
    shown = np.asarray(Image.open(io.BytesIO(body)))
    assert np.array_equal(shown[..., 0], shown[..., 1])
    assert np.array_equal(shown[..., 0], shown[..., 2])
    in_jpeg = rendered(RenderOptions(JPEG, icc_profile="adobergb"))
    assert in_jpeg.info["icc_profile"] == profile_of("adobergb")


def test_what_may_be_asked_for():
    assert [parse_profile(each.upper(), PNG) for each in PROFILES] == list(PROFILES)
    for name, media_type in (("prophoto", PNG), ("", PNG), ("adobergb", GIF)):
        with pytest.raises(InvalidRequest):
            parse_profile(name, media_type)
