"""Finds the files of a text: from paths, patterns and folders, or several of them. Reads none of them.

What is no text is left out of folders, and counted: hidden files and folders, other endings, files met before.
"""

import errno
import glob
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from lightning_gpt.errors import UserError

Named = str | Sequence[str]
LONGEST = 4096  # characters: a checkpoint's record holds no longer name
LONGEST_NAME = 80  # characters
MOST_COMMAS = 15  # in a path
LEFT_BEHIND = ("__MACOSX",)  # folders that unpacking leaves; a hidden one, as .ipynb_checkpoints, is no text anyway
KINDS = {
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISDIR: "a folder",
}


@dataclass
class Found:
    """The files that were found.

    Attributes:
        name: what to call them all.
        files: in the order in which they are read, each real file once.
        left_out: how many were left out, by reason.
        other: how many of those had another ending, by ending.
    """

    name: str
    files: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        left_out = sum(self.left_out.values())
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.left_out.items()))
        said = f"reads {len(self.files):,} file{'s' if len(self.files) != 1 else ''}"
        return f"{said}, leaves out {left_out:,} ({reasons})" if left_out else said


def written(named: Named) -> str:
    """Writes what names a text as one string; `find_files` finds the same by it."""
    return named if isinstance(named, str) else ",".join(named)


def checked_endings(endings: str) -> tuple[str, ...]:
    """Splits endings as `.txt,.md`; a dot that is missing is added.

    Raises:
        UserError: one is no ending of a file's name.
    """
    found = [ending.strip().lower() for ending in endings.split(",")]
    if not all(ending.strip(".") and ending.isprintable() and not set(ending) & set("/\\*") for ending in found):
        raise UserError(f"data.endings takes the endings of files in folders, as .txt,.md, not {endings[:40]!r}")
    return tuple(ending if ending.startswith(".") else f".{ending}" for ending in found)


def find_files(named: Named, endings: Sequence[str], names: Sequence[str] = ()) -> Found:
    """Finds the files that paths and patterns name, folders with all below them.

    Args:
        named: a path, a pattern as `books/*.txt`, or several of them with commas in between, or a list of them. A path
            that is there is taken as it is, be there a comma or a star in its name.
        endings: of files in folders, in lower case; a file that is named itself may have any.
        names: of texts that are no files, for complaints.

    Raises:
        UserError: one is not there, is no file, can't be read, or there is no text.
    """
    text = written(named)
    if not text.strip():
        raise UserError("the corpus has no name: give a path, or several with commas in between")
    if len(text) > LONGEST:
        raise UserError(f"the corpus has too long a name, {len(text):,} characters: name a folder or a pattern")
    try:
        items = list(_items(named))
        matches = [_matches(item, names) for item in items]
        said = [paths[0].resolve().name if _there(item) else item for item, paths in zip(items, matches, strict=True)]
        name = said[0] if len(said) == 1 else ",".join(Path(item).name for item in said)
        if len(name) > LONGEST_NAME:
            name = f"{name[:LONGEST_NAME]}…"
        walk = _Walk(Found(name), endings)
        for path in chain.from_iterable(matches):
            walk.take(path)
    except OSError as error:
        raise UserError(f"can't read {error.filename or text}: {error.strerror or error}") from error
    if not walk.found.files:
        raise UserError(_nothing(text, walk.found, endings))
    return walk.found


def must_be_a_file(path: Path) -> None:
    """Checks that what is at a path can be read again and again, as a text is.

    Raises:
        UserError: it is something else than a file.
        OSError: it is not there, or can't be read.
    """
    mode = path.stat().st_mode  # not opened before this is known: a pipe would wait
    if stat.S_ISFIFO(mode):
        raise UserError(
            f"{path} is a pipe, which can be read only once, and a text is read again by every run that goes on: "
            "save it to a file, as in: zcat book.txt.gz > book.txt"
        )
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in KINDS.items() if test(mode)), "no file")
        raise UserError(f"{path} is {kind}: a text is a file, or a folder of files")
    path.open("rb").close()


def _items(named: Named) -> Iterator[str]:
    """Yields what stands between commas, the longest stretch first that is a path; a list's entries as they are."""
    if not isinstance(named, str):
        yield from named
        return
    words = named.split(",")
    while words:
        longest = min(len(words), MOST_COMMAS + 1)
        end = next((end for end in range(longest, 1, -1) if _there(",".join(words[:end]))), 1)
        yield ",".join(words[:end])
        words = words[end:]


def _matches(item: str, names: Sequence[str]) -> list[Path]:
    """Lists what one item names, at least one path.

    Raises:
        UserError: nothing.
    """
    for name in (item, item.strip()):  # "a.txt, b.txt"
        if name and _there(name):
            return [_path(name)]
    pattern = str(_path(item.strip()))
    if item.strip() and glob.has_magic(pattern) and "\0" not in pattern:
        found = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207  a Path globs only below itself
        if paths := sorted(path for path in found if not _is_no_text(path.name)):
            return paths
        raise UserError(f"no file matches {item.strip()!r}")
    if item.strip() in names:
        raise UserError(f"{item.strip()} is a text by itself, not one of several: name its file instead")
    one_of = f", nor one of {', '.join(names)}" if names else ""
    raise UserError(f"no corpus {item[:LONGEST_NAME]!r}: it is neither a file, nor a folder{one_of}")


def _path(name: str) -> Path:
    path = Path(name)
    with suppress(RuntimeError):  # ~nobody: there is no such user, but may be such a file
        path = path.expanduser()
    return path


def _there(name: str) -> bool:
    try:
        return _path(name).exists()
    except ValueError:  # a NUL
        return False
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # several, maybe
            return False
        raise


def _is_no_text(name: str) -> bool:
    return name.startswith(".") or name in LEFT_BEHIND


class _Walk:
    """Takes files and all below folders, every real file and folder once."""

    def __init__(self, found: Found, endings: Sequence[str]) -> None:
        self.found = found
        self.endings = tuple(endings)
        self._seen: set[tuple[int, int]] = set()

    def take(self, path: Path) -> None:
        """Adds a file, or the files of a folder in the order of their paths.

        Links wait until all else has been walked, so that a file is read where it really lies.
        """
        if not path.is_dir():
            must_be_a_file(path)
            if self._is_new(path):
                self.found.files.append(path)
            return
        files, links = self._walked(path)
        while links:
            link = links.pop(0)
            if not link.exists():
                self.found.left_out["broken links"] += 1
            elif link.is_dir():
                more, others = self._walked(link)
                files += more
                links += others
            elif self._is_wanted(link):
                files.append(link)
        self.found.files += sorted(files)

    def _walked(self, root: Path) -> tuple[list[Path], list[Path]]:
        """Lists the files below a folder, and the links that were not followed, in order."""
        files, links, folders = list[Path](), list[Path](), [root]
        while folders:
            folder = folders.pop()
            if not self._is_new(folder):
                continue
            for path in sorted(folder.iterdir()):
                if _is_no_text(path.name):
                    self.found.left_out["hidden"] += 1
                elif path.is_symlink():
                    links.append(path)
                elif path.is_dir():
                    folders.append(path)
                elif self._is_wanted(path):
                    files.append(path)
        return files, sorted(links)

    def _is_wanted(self, path: Path) -> bool:
        """Tells whether a file in a folder is to be read."""
        if not path.name.lower().endswith(self.endings):
            self.found.left_out["other endings"] += 1
            self.found.other[path.suffix] += 1
        elif not stat.S_ISREG(path.stat().st_mode):
            self.found.left_out["no files"] += 1
        elif self._is_new(path):
            path.open("rb").close()  # one that can't be read is no silent gap
            return True
        return False

    def _is_new(self, path: Path) -> bool:
        status = path.stat()
        identity = status.st_dev, status.st_ino
        if identity in self._seen:
            self.found.left_out["read already"] += 1
            return False
        self._seen.add(identity)
        return True


def _nothing(text: str, found: Found, endings: Sequence[str]) -> str:
    """Says that there is no file to read, and what there is instead."""
    said = f"no {' or '.join(endings)} file in the folder {text}"
    for ending, count in found.other.most_common(1):
        if ending:
            return f"{said}, but {count:,} of {ending}: --data.endings {ending}"
    return f"{said} ({found})" if found.left_out else said
