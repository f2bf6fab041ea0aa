"""Pictures of pages, small enough to be kept with the documentation."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

MAX_BYTES = 150 * 1024
MAX_HEIGHT = 2400
COLOURS = (256, 128, 64, 32, 16)


def save(page: Page, path: Path) -> None:
    """
    Save a picture of a page, with as many colours as fit into 150 KB.

    :raises ValueError: if it does not become as small as that
    """
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(picture.height, MAX_HEIGHT)))
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in COLOURS:
        file = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= MAX_BYTES:
            path.write_bytes(file.getvalue())
            return
    raise ValueError(f"{path.name} has {file.tell()} bytes")
