"""Writing files: whole or not at all, through links as ordinary tools do, and through nobody else's."""

from __future__ import annotations

import os
import secrets
import stat
import threading
from pathlib import Path

import pytest

from pellucid.errors import WriteError
from pellucid.files import told, write_atomically

OLD, NEW = b"old", b"new" * 1000


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_what_the_umask_leaves_and_an_old_one_what_it_had(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "new", NEW)
        (tmp_path / "old").write_bytes(OLD)
        (tmp_path / "old").chmod(0o640)
        write_atomically(tmp_path / "old", NEW)
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o666 & ~umask
    assert mode(tmp_path / "old") == 0o640


def test_links_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name, target in [("to a file", "there/file"), ("to nothing yet", "there/new"), ("twice", "to a file")]:
        (tmp_path / name).symlink_to(tmp_path / target)
    (tmp_path / "there/file").write_bytes(OLD)
    for name in ("to a file", "to nothing yet", "twice"):
        write_atomically(tmp_path / name, NEW + name.encode())
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == NEW + name.encode()
    assert sorted(p.name for p in (tmp_path / "there").iterdir()) == ["file", "new"]


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(OLD)
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    (tmp_path / ".file.guessed.part").symlink_to(tmp_path / "secret")
    with pytest.raises(WriteError, match="File exists"):
        write_atomically(tmp_path / "file", NEW)
    assert (tmp_path / "secret").read_bytes() == OLD


def test_threads_that_write_one_path_end_whole(tmp_path: Path) -> None:
    contents = [bytes([65 + k]) * 200_000 for k in range(4)]
    threads = [
        threading.Thread(target=lambda c=c: [write_atomically(tmp_path / "file", c) for _ in range(10)])
        for c in contents
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (tmp_path / "file").exists():
            assert (tmp_path / "file").read_bytes() in contents
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/file", "No such file or directory"),
        ("a file/file", "Not a directory"),
        ("folder", "Is a directory"),
        ("zero\0byte", "null byte"),
        ("circle", "its links lead in a circle"),
        ("n" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_written_says_why_and_leaves_nothing(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a file").write_bytes(OLD)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WriteError, match=words):
        write_atomically(tmp_path / name, NEW)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(OLD)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"No space left on device.*what was there before is kept"):
        write_atomically(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == OLD
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_protected_against_writing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "file").chmod(0o444)
    with pytest.raises(WriteError, match="protected against writing"):
        write_atomically(tmp_path / "file", NEW)


def test_a_long_name_and_a_pipe(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("n" * 255), NEW)
    assert (tmp_path / ("n" * 255)).read_bytes() == NEW
    write_atomically(tmp_path / ("日" * 85), NEW)
    write_atomically(Path("/dev/null"), NEW)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_folders_are_made_where_that_is_asked_for(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a/b/file", NEW, folders=True)
    assert (tmp_path / "a/b/file").read_bytes() == NEW
    for name in ("a/b/file/x", "a/b/file/x/y"):
        with pytest.raises(WriteError, match=r"cannot be written \(Not a directory\)"):
            write_atomically(tmp_path / name, NEW, folders=True)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file or directory", "x.png"), "x.png: No such file or directory"),
        (OSError(18, "Invalid cross-device link", b"a", None, "b"), "a and b: Invalid cross-device link"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("the disk is gone"), "the disk is gone"),
    ],
)
def test_an_error_of_the_system_in_words(error: OSError, words: str) -> None:
    assert told(error) == words
