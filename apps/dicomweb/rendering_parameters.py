"""Query parameters of rendered resources (PS3.18 8.3.5.1) to RenderOptions."""

from __future__ import annotations

import re
from dataclasses import replace

from django.http import HttpRequest, HttpResponseBase

from apps.dicomweb.links import base_url
from apps.rendering.burned_in import parse_annotation
from apps.rendering.icc_profiles import parse_profile
from apps.rendering.options import (
    RenderOptions,
    parse_polarity,
    parse_quality,
    parse_viewport,
    parse_window,
)


def rendering_options(
    request: HttpRequest,
    media_type: str,
    *,
    thumbnail: bool = False,
    presentation_state: bool = False,
) -> RenderOptions:
    """What the query asks for. Raises InvalidRequest, naming the parameter at fault.

    Thumbnails and Presentation States take a viewport's size only; a state has its own window.
    """
    asked = request.GET
    options = RenderOptions(media_type)
    size_only = thumbnail or presentation_state
    if "viewport" in asked:
        viewport = parse_viewport(asked["viewport"], size_only=size_only)
        options = replace(options, viewport=viewport)
    if "window" in asked:
        window = parse_window(asked["window"], for_presentation_state=presentation_state)
        options = replace(options, window=window)
    if "quality" in asked:
        options = replace(options, quality=parse_quality(asked["quality"]))
    if "polarity" in asked and not presentation_state:
        options = replace(options, opposite=parse_polarity(asked["polarity"]))
    profile = parse_profile(asked.get("iccprofile", "no"), media_type)
    annotation, _ = parse_annotation(asked.get("annotation", ""))
    if thumbnail or presentation_state:
        annotation = ()
    return replace(options, icc_profile=profile, annotation=annotation)


def warn_of_ignored(request: HttpRequest, response: HttpResponseBase) -> None:
    """What is not known is ignored, and said (PS3.18 8.3.5.1.1)."""
    _, unknown = parse_annotation(request.GET.get("annotation", ""))
    if unknown:
        named = ",".join(_plain(each) for each in unknown)
        response["Warning"] = (
            f'299 {base_url(request)}: "The following annotation values are not supported: {named}"'
        )


def _plain(text: str) -> str:
    """What a header may carry of it."""
    return re.sub(r"[^A-Za-z0-9_-]", "", text[:40])
