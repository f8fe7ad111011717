"""Encodes pictures as PNG."""

import io

from PIL import Image


def png(picture: Image.Image) -> bytes:
    """Encodes a picture as a PNG file's contents."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
