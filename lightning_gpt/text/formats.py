"""Names files that are no plain text by their first bytes, and what makes a text of them. Reads no file."""

import shlex
from pathlib import Path

HEAD = 512  # bytes that are looked at

UNPACK_7Z = "unpack it (7z x {file}) and name what was in it"
PANDOC = "make a text of it: pandoc {file} -t plain -o {text}"
NO_TEXT = "there is no text to read in it"
EXPORT = "write its texts into a .txt file first"
# (where, bytes, name, what to do); the first that fits
MAGICS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x1f\x8b", "gzip", "unpack it: gzip -dc {file} > {text}"),
    (0, b"\xfd7zXZ\0", "xz", "unpack it: xz -dc {file} > {text}"),
    (0, b"\x28\xb5\x2f\xfd", "zstd", "unpack it: zstd -dc {file} > {text}"),
    (0, b"\x04\x22\x4d\x18", "lz4", "unpack it: lz4 -dc {file} > {text}"),
    (0, b"\x1f\x9d", "compress", "unpack it: gzip -dc {file} > {text}"),
    (4, b"1AY&SY", "bzip2", "unpack it: bzip2 -dc {file} > {text}"),
    (4, b"\x17\x72\x45\x38\x50\x90", "bzip2", "unpack it: bzip2 -dc {file} > {text}"),  # of nothing
    (0, b"7z\xbc\xaf\x27\x1c", "7z", UNPACK_7Z),
    (0, b"Rar!\x1a\x07", "RAR", UNPACK_7Z),
    (257, b"ustar", "tar", "unpack it (tar -xf {file}) and name the folder"),
    (30, b"mimetypeapplication/epub+zip", "EPUB", PANDOC),
    (30, b"mimetypeapplication/vnd.oasis", "OpenDocument", PANDOC),
    (30, b"[Content_Types].xml", "docx (Office)", PANDOC),
    (30, b"word/", "docx", PANDOC),
    (0, b"PK\x03\x04", "zip", "unpack it (unzip {file}) and name what was in it"),
    (0, b"PK\x05\x06", "zip", "there is nothing in it"),
    (0, b"%PDF-", "PDF", "make a text of it: pdftotext {file} {text}"),
    (0, b"{\\rtf", "RTF", PANDOC),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc (Office)", "save it as plain text"),
    (60, b"BOOKMOBI", "MOBI", "make a text of it: ebook-convert {file} {text}"),
    (0, b"\x89PNG\r\n", "PNG", NO_TEXT),
    (0, b"\xff\xd8\xff", "JPEG", NO_TEXT),
    (0, b"GIF87a", "GIF", NO_TEXT),
    (0, b"GIF89a", "GIF", NO_TEXT),
    (0, b"II*\0", "TIFF", NO_TEXT),
    (0, b"MM\0*", "TIFF", NO_TEXT),
    (0, b"RIFF", "RIFF (sound or pictures)", NO_TEXT),
    (0, b"OggS", "Ogg", NO_TEXT),
    (0, b"fLaC", "FLAC", NO_TEXT),
    (0, b"ID3", "MP3", NO_TEXT),
    (4, b"ftyp", "MP4", NO_TEXT),
    (0, b"SQLite format 3\0", "SQLite", EXPORT),
    (0, b"PAR1", "Parquet", EXPORT),
    (0, b"ARROW1", "Arrow", EXPORT),
    (0, b"\x93NUMPY", "NumPy", EXPORT),
    (0, b"\x89HDF\r\n", "HDF5", EXPORT),
    (0, b"\x7fELF", "a program (ELF)", NO_TEXT),
)
ENOUGH = (b"%PDF-", b"{\\rtf")  # no text begins so


def other_format(head: bytes, path: str) -> str | None:
    """Names the format that a file's first HEAD bytes are of, with the remedy; None: none that is known.

    A magic that a text might have, too, as "RIFF", counts only where a byte is near that no text has.
    """
    for start, magic, name, remedy in MAGICS:
        if head.startswith(magic, start) and (magic in ENOUGH or not _is_plain(magic) or not _is_plain(head)):
            text = Path(path).with_suffix("")
            text = text if text.suffix else text.with_suffix(".txt")
            return f"{name}: {remedy.format(file=shlex.quote(path), text=shlex.quote(str(text)))}"
    return None


def _is_plain(data: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\f\r" for byte in data)
