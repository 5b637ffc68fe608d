"""Writing files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from pellucid.errors import WriteError


def write_atomically(path: Path, data: bytes, keep: Path | None = None) -> None:
    """Put `data` at `path`, whole or not at all; with `keep` the old file stays there. Raises `WriteError`."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None:
            os.replace(path, keep)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WriteError(
            f"{path}: cannot be written ({error.strerror or error}); what was there before is kept"
        ) from error
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
