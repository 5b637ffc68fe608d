"""Where the lab is: a port that may be taken, by whom; a folder that has one lab at a time, which others find."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.locks import HeldError, held, holder

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""This machine's names for itself."""
LOCK = ".pellucid-lab"
"""The file in the lab's folder that says where it is, to its owner alone: there is a token in the address."""


class LabError(PellucidError, OSError):
    """The lab cannot be started; the message says why and what to do."""


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises `LabError` where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # the protocol is named: else answers wait 40 ms
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            who = listener(port) or "another program"
            raise LabError(f"port {port} of {host} is taken by {who}; take a free one: --port 0") from error
        raise LabError(f"{host}:{port}: cannot be listened to ({error.strerror})") from error
    return made


def require_free(folder: Path) -> None:
    """Raise `LabError` where a lab of this folder is running, with its address."""
    if who := holder(folder / LOCK):
        raise _taken(folder, who)


@contextmanager
def kept(folder: Path, address: str) -> Generator[None]:
    """Meanwhile others find the lab of the folder at `address`. Raises `LabError` where there is one already."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(folder / LOCK, f"{address} (process {os.getpid()})", 0o600))
        except HeldError as error:
            raise _taken(folder, error.who) from error
        except OSError as error:  # nothing can be written here, so no run can be trained either
            print(
                f"pellucid: {folder}: cannot be written in ({error.strerror}); no run can be trained", file=sys.stderr
            )
        yield


def _taken(folder: Path, who: str) -> LabError:
    return LabError(f"the lab of {folder.resolve()} is there already, at {who}: open that, or end it first (Ctrl-C)")


def listener(port: int) -> str:
    """The process that listens at a port, in words; "" where that cannot be known: of others' processes, or off Linux."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mine = any(os.readlink(link) in sockets for link in (process / "fd").iterdir())
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it has ended, or is another's
            continue
        if mine:
            return f"process {process.name}" + (f" ({words:.100})" if words else "")
    return ""


def _inodes(port: int) -> set[str]:
    """The sockets that listen at a port, as the system numbers them."""
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if len(fields) > 9 and fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found
