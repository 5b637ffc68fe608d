"""The files below a folder or in a .zip: what is there to be seen, read one at a time and never more than a limit."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from pellucid.data.errors import DataError
from pellucid.files import reason_of

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".heic",
    ".heif", ".hif", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx")  # fmt: skip
HIDDEN = ("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "lost+found", "@eadir")
MAX_FILE_BYTES = 100 * 2**20
MAX_LINKED = 10_000  # folders below links
MAX_RATIO = 1100  # deflate never makes less than a 1032nd of anything


@dataclass(frozen=True)
class Listing:
    """Names of files and folders, sorted, with `/` between folders; those that are left out are told in `notes`."""

    names: Sequence[str]
    folders: Sequence[str]
    notes: Sequence[str]
    read: Callable[[str], bytes]
    """What is in the file of a name; raises `DataError` where that cannot be read, is damaged or too large."""


def listing(path: Path) -> Listing:
    """What is below a folder, links followed, or in a .zip, without what is hidden."""
    return _folder(path) if path.is_dir() else _archive(path)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that systems and tools put beside those of people."""
    return name.startswith(".") or name.lower() in HIDDEN


def is_image_name(name: str) -> bool:
    """Whether a file's name ends like that of a picture."""
    return name.lower().endswith(SUFFIXES)


def other_files(names: Iterable[str]) -> list[str]:
    """A word about files among `names` that do not end as pictures do, by ending; none where there are none."""
    others = [name for name in names if not is_image_name(name)]
    if not others:
        return []
    endings = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in others)
    counts = ", ".join(f"{count} {shown(ending)}" for ending, count in endings.most_common(5))
    more = f" and {len(endings) - 5} more endings" if len(endings) > 5 else ""
    does = "file left out, as it does" if len(others) == 1 else "files left out, as they do"
    named = f"{', '.join(map(shown, others[:3]))}{', ...' if len(others) > 3 else ''}"
    return [f"{len(others)} {does} not end as pictures do ({counts}{more}): {named}"]


def some(names: Sequence[str], what: str, most: int = 5) -> str:
    """`3 pictures are new: a.png, b.png, c.png`, for `what` "pictures are new"."""
    named = ", ".join(map(shown, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
    return f"{len(names)} {what}: {named}"


def shown(name: str) -> str:
    """A name as it can be printed and written: bytes of it that are no UTF-8 as `\\xe9`, half signs of other texts likewise."""
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # of no file, but of a text that names what is no sign
        return name.encode("utf-8", "backslashreplace").decode()


def is_there(path: Path | str) -> bool:
    """Whether anything lies at a path; not for a text that is too long to be one."""
    try:
        return Path(path).exists()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether a file lies at a path; not for a text that is too long to be one."""
    return is_there(path) and path.is_file()


def is_folder(path: Path) -> bool:
    """Whether a folder lies at a path; not for a text that is too long to be one."""
    return is_there(path) and path.is_dir()


def read_file(path: Path, name: str = "", limit: int = MAX_FILE_BYTES) -> bytes:
    """What is in a file, its size looked at first. Raises `DataError` for one that is too large, or no file at all."""
    name = name or str(path)
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{shown(name)}: is not a file")
    if found.st_size <= limit:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
        if len(raw) <= limit:
            return raw
    raise DataError(f"{shown(name)}: larger than {limit / 2**20:.0f} MiB")


def _folder(path: Path) -> Listing:
    names, folders, notes = walk(path)
    return Listing(names, folders, notes, lambda name: read_file(path / name, name))


def walk(root: Path) -> tuple[list[str], list[str], list[str]]:
    """Names of the files and folders below `root`, and what to say of others. A link back to where it lies is left out."""
    names: list[str] = []
    folders: list[str] = []
    notes: list[str] = []
    start = root.stat()
    linked = 0
    waiting = [(root, "", frozenset({(start.st_dev, start.st_ino)}), False)]
    while waiting:
        folder, prefix, above, through_link = waiting.pop()
        linked += through_link
        if linked > MAX_LINKED:
            raise DataError(f"{shown(str(root))}: more than {MAX_LINKED:,} folders below links")
        for entry in _entries(folder):
            name = prefix + entry.name
            try:
                found = entry.stat()
            except OSError as error:
                if is_image_name(name):
                    names.append(name)  # counts as a picture that cannot be read
                else:
                    notes.append(f"{shown(name)}: left out, as it leads nowhere ({error.strerror})")
                continue
            identity = found.st_dev, found.st_ino
            if not stat.S_ISDIR(found.st_mode):
                names.append(name)
            elif identity in above:
                notes.append(f"{shown(name)}: left out, as it leads back to a folder that it lies in")
            else:
                folders.append(name)
                waiting.append((Path(entry.path), f"{name}/", above | {identity}, through_link or entry.is_symlink()))
    return sorted(names), sorted(folders), sorted(notes)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise DataError(f"{shown(str(folder))}: cannot be looked into ({error.strerror})") from error


def _archive(path: Path) -> Listing:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, MemoryError) as error:
        raise DataError(
            f"{shown(str(path))}: neither a folder nor a readable .zip file ({reason_of(error)})"
        ) from error
    members: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    outside: list[str] = []
    links: list[str] = []
    twice: list[str] = []
    for info in archive.infolist():
        place = PurePosixPath(info.filename.replace("\\", "/"))
        name = str(place)
        if any(is_hidden(part) for part in place.parts if part != ".."):
            continue
        if place.is_absolute() or ".." in place.parts or not place.parts:
            outside.append(info.filename)
        elif stat.S_ISLNK(info.external_attr >> 16):
            links.append(name)
        else:
            folders.update(map(str, place.parents))
            if info.is_dir():
                folders.add(name)
                continue
            twice += [name] * (name in members)
            members[name] = info
    _require_honest(path, members.values())
    told = (
        (outside, "names left out, as they name nothing within the archive"),
        (links, "links left out, as an archive is read in place"),
        (sorted(set(twice)), "names that are there more than once, of which the last counts"),
    )
    notes = [some(names, what) for names, what in told if names]
    return Listing(sorted(members), sorted(folders - {"."}), notes, lambda name: _member(archive, path, members[name]))


def _require_honest(path: Path, members: Iterable[zipfile.ZipInfo]) -> None:
    """Raise `DataError` for an archive that unpacks to more than an archive can: members that share bytes, sizes that lie."""
    ordered = sorted(members, key=lambda info: info.header_offset)
    for one, other in pairwise(ordered):
        if one.header_offset + 30 + one.compress_size > other.header_offset:
            raise DataError(f"{path}: {one.filename} and {other.filename} overlap; the archive was made to deceive")
    total, size = sum(info.file_size for info in ordered), path.stat().st_size
    if total > MAX_RATIO * size:
        raise DataError(f"{path}: claims to unpack to {total:,} bytes from {size:,}; the archive was made to deceive")


def _member(archive: zipfile.ZipFile, path: Path, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MAX_FILE_BYTES:
        raise DataError(f"{info.filename}: larger than {MAX_FILE_BYTES >> 20} MiB")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others cannot be unpacked within a limit
        raise DataError(f"{info.filename}: packed by method {info.compress_type}; only deflate and no packing are read")
    try:
        with archive.open(info) as member:
            return member.read(info.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise DataError(f"{info.filename}: damaged in {path.name}, or encrypted ({error})") from error
