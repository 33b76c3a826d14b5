"""What a client may ask of a picture: media types, quality, window, viewport (PS3.18 8.3.5.1)."""

from __future__ import annotations

import ctypes
import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from apps.errors import InvalidRequest, NotAcceptable, UnsupportedPixels
from apps.rendering.animation import animated, milliseconds_of
from apps.rendering.moving_jxl import moving_jxl
from apps.rendering.options import (
    GIF,
    JP2,
    JPEG,
    JPH,
    JXL,
    PNG,
    Region,
    RenderOptions,
    Viewport,
    VoiFunction,
    Window,
    parse_quality,
    parse_region,
    parse_viewport,
    parse_window,
    uri_options,
)
from apps.rendering.pictograms import pictogram, pictogram_of
from apps.rendering.render import RenderedImage, render_frame
from apps.rendering.stored import LISTED
from tests.domain.pictures import EXPLICIT, image, model, render, shown

QUARTERS = np.kron(np.array([[0, 80], [160, 240]], dtype=np.uint8), np.ones((10, 20), np.uint8))
WHOLE: dict[str, Any] = {"WindowCenter": 128, "WindowWidth": 256}


def corners(drawn: Any) -> list[int]:
    return [int(drawn[y, x]) for y in (0, -1) for x in (0, -1)]


@pytest.mark.parametrize(
    "text", ["0", "101", "-1", "50.5", "high", "", "1e1", "²", "9" * 5000, "0001" + "9" * 5000]
)
def test_WAD_13_quality_must_be_an_integer_from_1_to_100(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_quality(text)


def test_WAD_13_quality_makes_jpeg_smaller_and_nothing_else() -> None:
    assert [parse_quality(text) for text in ("1", "100")] == [1, 100]
    noise = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
    sizes = [
        len(
            render_frame(noise.tobytes(), image(noise), EXPLICIT, RenderOptions(kind, quality)).body
        )
        for kind in (JPEG, PNG)
        for quality in (10, 95)
    ]
    assert sizes[0] < sizes[1]
    assert sizes[2] == sizes[3]


@pytest.mark.parametrize(
    "text",
    ["40", "40,400", "40,400,linear,1", "a,400,linear", "40,b,linear", "40,400,cubic",
     "40,0,linear", "40,0.5,linear", "40,-3,sigmoid", "nan,4,linear", "40,inf,linear",
     "40,,linear", ""],
)  # fmt: skip
def test_WAD_14_window_needs_center_width_and_a_known_function(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_window(text)


def test_WAD_14_windows_are_read_and_not_allowed_for_presentation_states() -> None:
    assert parse_window("40,400,linear") == Window(40, 400)
    assert parse_window("-1.5, 0.5 ,linear-exact") == Window(-1.5, 0.5, VoiFunction.LINEAR_EXACT)
    assert parse_window("4e1,4E2,SIGMOID") == Window(40, 400, VoiFunction.SIGMOID)
    with pytest.raises(InvalidRequest):
        parse_window("40,400,linear", for_presentation_state=True)


@pytest.mark.parametrize(
    "text",
    ["100", "100,", "0,100", "100,0", "-5,5", "1.5,5", "1,2,3", "1,2,3,4,5", "1,2,3,4,5,6,7",
     "100,100,-1,0,5,5", "100,100,0,0,0,5", "100,100,a,0,5,5", "99999,5", "", "5,5,0,0,nan,5",
     "000000001" + "9" * 5000 + ",5"],
)  # fmt: skip
def test_WAD_15_viewports_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_viewport(text)


def test_WAD_15_viewports_are_read_with_values_elided() -> None:
    assert parse_viewport("100,50") == Viewport(100, 50)
    assert parse_viewport("100,50,,,20,10") == Viewport(100, 50, Region(0, 0, 20, 10))
    assert parse_viewport("100,50,5,,-20,") == Viewport(100, 50, Region(5, 0, -20, None))
    with pytest.raises(InvalidRequest):
        parse_viewport("100,50,0,0,5,5", size_only=True)
    assert parse_viewport("100,50", size_only=True) == Viewport(100, 50)


@pytest.mark.parametrize(
    ("viewport", "size"),
    [((100, 100), (100, 50)), ((10, 100), (10, 5)), ((400, 40), (80, 40)), ((0, 10), (20, 10))],
)
def test_WAD_15_the_viewport_is_filled_with_the_aspect_kept(
    viewport: tuple[int, int], size: tuple[int, int]
) -> None:
    options = RenderOptions(PNG, viewport=Viewport(*viewport))
    rendered = render_frame(QUARTERS.tobytes(), image(QUARTERS, **WHOLE), EXPLICIT, options)
    assert (rendered.width, rendered.height) == size
    assert corners(shown(rendered)) == [0, 80, 160, 240]


def test_WAD_15_no_viewport_is_native_size() -> None:
    rendered = render_frame(
        QUARTERS.tobytes(), image(QUARTERS, **WHOLE), EXPLICIT, RenderOptions(PNG)
    )
    assert (rendered.width, rendered.height) == (40, 20)


@pytest.mark.parametrize(
    ("extent", "expected"),
    [
        ("40,20", [0, 80, 160, 240]),
        ("-40,20", [80, 0, 240, 160]),
        ("40,-20", [160, 240, 0, 80]),
        ("-40,-20", [240, 160, 80, 0]),
    ],
)
def test_WAD_15_negative_source_sizes_flip(extent: str, expected: list[int]) -> None:
    options = RenderOptions(PNG, viewport=parse_viewport(f"40,20,0,0,{extent}"))
    assert corners(render(QUARTERS, options, **WHOLE)) == expected


def test_WAD_15_a_source_region_is_cut_out_and_must_lie_inside() -> None:
    options = RenderOptions(PNG, viewport=parse_viewport("30,30,20,10,20,10"))
    drawn = render(QUARTERS, options, **WHOLE)
    assert drawn.shape == (15, 30)
    assert np.unique(drawn).tolist() == [240]
    for outside in ("30,30,40,0,1,1", "30,30,0,0,41,20", "30,30,30,0,20,20"):
        with pytest.raises(InvalidRequest):
            render(QUARTERS, RenderOptions(PNG, viewport=parse_viewport(outside)), **WHOLE)


def test_URI_02_region_is_normalised_and_window_values_go_together() -> None:
    options = uri_options({"region": "0.5,0,1,0.5", "rows": "5"}, media_type=PNG)
    drawn = render(QUARTERS, options, **WHOLE)
    assert drawn.shape == (5, 10)
    assert np.unique(drawn).tolist() == [80]
    assert uri_options({"windowCenter": "1", "windowWidth": "2"}).window == Window(1, 2)
    assert uri_options({"imageQuality": "7"}).quality == 7
    for wrong in (
        {"windowCenter": "1"},
        {"windowWidth": "1"},
        {"region": "0,0,1"},
        {"region": "0.5,0,0.5,1"},
        {"region": "0,0,1,1.1"},
        {"rows": "0"},
        {"imageQuality": "0"},
    ):
        with pytest.raises(InvalidRequest):
            uri_options(wrong)
    assert parse_region("0,0,1,1") == Region(0, 0, 1, 1, normalised=True)


@pytest.mark.parametrize("media_type", [JPEG, PNG, GIF])
@pytest.mark.parametrize("color", [False, True])
def test_WAD_18_jpeg_png_and_gif_of_8_bits(media_type: str, *, color: bool) -> None:
    """8.7.4: JPEG is the default and baseline; GIF and PNG must be there; 8 bits a channel."""
    assert RenderOptions().media_type == JPEG
    pixels = np.stack([QUARTERS] * 3, axis=-1) if color else QUARTERS
    rendered = render_frame(
        pixels.tobytes(), image(pixels, **WHOLE), EXPLICIT, RenderOptions(media_type)
    )
    assert rendered.media_type == media_type
    picture = Image.open(io.BytesIO(rendered.body))
    assert picture.get_format_mimetype() == media_type
    assert (picture.width, picture.height) == (rendered.width, rendered.height) == (40, 20)
    near = np.abs(np.asarray(picture.convert("L")).astype(int) - QUARTERS)
    assert near.max() <= (0 if media_type != JPEG else 30)
    if media_type == JPEG:
        assert b"\xff\xc0" in rendered.body
        assert b"\xff\xc2" not in rendered.body


def test_WAD_18_other_media_types_are_not_acceptable() -> None:
    with pytest.raises(NotAcceptable):
        RenderOptions("image/webp")
    with pytest.raises(InvalidRequest):
        RenderOptions(quality=0)


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ({"PixelAspectRatio": [4, 3]}, (40, 27)),
        ({"PixelAspectRatio": [1, 2]}, (80, 20)),
        ({"PixelSpacing": ["2", "1"]}, (40, 40)),
        ({"PixelSpacing": ["1", "1"], "PixelAspectRatio": [4, 3]}, (40, 20)),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, (80, 20)),
        ({"PixelAspectRatio": [0, 3]}, (40, 20)),
        ({"PixelAspectRatio": [1000, 3]}, (40, 20)),
    ],
)
def test_WAD_19_pixels_become_square(attributes: dict[str, Any], size: tuple[int, int]) -> None:
    """The coarser side is enlarged, so that no detail is lost."""
    drawn = render(QUARTERS, None, **WHOLE, **attributes)
    assert (drawn.shape[1], drawn.shape[0]) == size


def test_WAD_19_a_frames_own_spacing_counts() -> None:
    from tests.domain.pictures import model

    groups = [model(PixelMeasuresSequence=[model(PixelSpacing=["3", "1"])])]
    drawn = render(QUARTERS, None, **WHOLE, PerFrameFunctionalGroupsSequence=groups)
    assert drawn.shape == (60, 40)


def test_PIX_11_pictures_say_whether_detail_was_lost_on_the_way() -> None:
    def lossy(options: RenderOptions, **attributes: Any) -> bool:
        dataset = image(QUARTERS, **attributes)
        return render_frame(QUARTERS.tobytes(), dataset, EXPLICIT, options).lossy

    assert lossy(RenderOptions(JPEG))
    assert not lossy(RenderOptions(PNG))
    assert not lossy(RenderOptions(PNG), LossyImageCompression="00")
    assert lossy(RenderOptions(PNG), LossyImageCompression="01")


def test_a_picture_that_would_be_too_large_is_refused() -> None:
    options = RenderOptions(PNG, viewport=Viewport(16384, 16384))
    with pytest.raises(UnsupportedPixels):
        render(np.zeros((10, 10), dtype=np.uint8), options)


def test_thumbnails_are_small_jpegs() -> None:
    rendered = render_frame(QUARTERS.tobytes(), image(QUARTERS, **WHOLE), EXPLICIT, LISTED)
    assert rendered.media_type == JPEG
    assert (rendered.width, rendered.height) == (152, 76)
    assert len(rendered.body) < 5000


def ticks_of(codestream: bytes) -> tuple[int, int]:
    """Ticks a second and their denominator, as libjxl's own decoder reads them (JxlBasicInfo)."""
    folder = Path(imagecodecs.__file__).parents[1] / "imagecodecs.libs"
    (library,) = folder.glob("libjxl-*.so*")
    jxl = ctypes.CDLL(str(library))
    jxl.JxlDecoderCreate.restype = ctypes.c_void_p
    decoder = ctypes.c_void_p(jxl.JxlDecoderCreate(None))
    basic_info, told = 0x40, (ctypes.c_uint32 * 128)()
    assert jxl.JxlDecoderSubscribeEvents(decoder, basic_info) == 0
    assert jxl.JxlDecoderSetInput(decoder, codestream, ctypes.c_size_t(len(codestream))) == 0
    assert jxl.JxlDecoderProcessInput(decoder) == basic_info
    assert jxl.JxlDecoderGetBasicInfo(decoder, ctypes.byref(told)) == 0
    jxl.JxlDecoderDestroy(decoder)
    return told[20], told[21]


@pytest.mark.parametrize(
    ("shape", "milliseconds", "ticks"),
    [
        ((3, 64, 64), 40, 25),
        ((2, 40, 56, 3), 33, 30),
        ((2, 33, 517), 100, 10),
        ((5, 300, 10, 3), 20, 50),
        ((2, 2000, 9), 2500, 1),
    ],
)
def test_a_moving_jpeg_xl_keeps_every_value_and_its_frame_time(
    shape: tuple[int, ...], milliseconds: int, ticks: int
) -> None:
    frames = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    written = moving_jxl(frames, None, milliseconds)
    assert np.array_equal(imagecodecs.jpegxl_decode(written), frames)
    assert ticks_of(written) == (ticks, 1)
    assert len(moving_jxl(frames, 20, milliseconds)) < len(written)


@pytest.mark.parametrize("media_type", [JP2, JPH, JXL])
@pytest.mark.parametrize("shape", [(64, 48), (64, 48, 3)])
def test_jpeg_2000_and_jpeg_xl_keep_every_value_unless_a_quality_is_named(
    media_type: str, shape: tuple[int, ...]
) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    smooth = np.sort(pixels, axis=0)

    def rendered(quality: int | None) -> RenderedImage:
        options = RenderOptions(media_type, quality)
        return render_frame(smooth.tobytes(), image(smooth, **WHOLE), EXPLICIT, options)

    decode = imagecodecs.jpegxl_decode if media_type == JXL else imagecodecs.jpeg2k_decode
    kept, fine, coarse = rendered(None), rendered(95), rendered(20)
    assert (kept.media_type, kept.lossy, fine.lossy) == (media_type, False, True)
    assert np.array_equal(decode(kept.body), smooth)
    assert len(coarse.body) < len(fine.body) < len(kept.body)
    far = np.abs(decode(fine.body).astype(int) - smooth).mean()
    assert 0 < far < np.abs(decode(coarse.body).astype(int) - smooth).mean() < 20


@pytest.mark.parametrize("size", [32, 128, 192, 256])
def test_pictograms_are_dark_and_differ_by_kind(size: int) -> None:
    kinds = ["report", "key-object", "presentation", "ecg", "pdf", "rt", "segmentation", "unknown"]
    bodies = set()
    for kind in kinds:
        rendered = pictogram(kind, size)
        picture = np.asarray(Image.open(io.BytesIO(rendered.body)).convert("L"))
        assert picture.shape == (size, size)
        assert rendered.media_type == PNG
        assert picture.mean() < 60
        assert picture.max() > 100
        bodies.add(rendered.body)
    assert len(bodies) == len(kinds)


def test_pictograms_know_sop_classes() -> None:
    storage = "1.2.840.10008.5.1.4.1.1."
    assert pictogram_of(storage + "104.1") == pictogram("pdf")
    assert pictogram_of(storage + "104.2") == pictogram("document")
    assert pictogram_of(storage + "9.1.1") == pictogram("ecg")
    assert pictogram_of(storage + "88.59") == pictogram("key-object")
    assert pictogram_of("1.2.3") == pictogram("unknown")


def test_frames_of_a_gif_stand_as_long_as_the_vector_says() -> None:
    timed = model(FrameTimeVector=["0", "50", "200"])
    assert milliseconds_of(timed, [1, 2, 3]) == [50, 200, 120]
    assert milliseconds_of(timed, [2, 1]) == [200, 50]
    assert milliseconds_of(model(FrameTime="40", FrameTimeVector=["0", "9"]), [1, 2]) == [40, 40]
    assert milliseconds_of(model(), [1]) == [100]
    assert milliseconds_of({"00181063": {"vr": "DS", "Value": ["NaN"]}}, [1]) == [100]


def test_a_picture_that_stands_too_long_for_a_gif_is_said() -> None:
    body = io.BytesIO()
    Image.new("L", (2, 2)).save(body, "PNG")
    one = RenderedImage(PNG, body.getvalue(), 2, 2, lossy=False)
    with pytest.raises(NotAcceptable, match="longer than a GIF"):
        animated([one] * 70, [10_000] * 70)
