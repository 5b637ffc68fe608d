"""Models of parts found in files, folders and archives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pellucid.data.listing import listing
from pellucid.detect.config import DetectorError
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.dpm.model import PartsModel
from pellucid.detect.dpm.reading import parse_model, read_model
from pellucid.errors import listed, suggest

ENDING = ".mat"
MOST_MODELS = 1000
"""Files of a folder or an archive."""
GRAMMAR = "_grammar"
"""Models so called are of another kind than a mixture of components; a folder's are left out."""


def load_dpm(source: str | Path | Sequence[str | Path], classes: Sequence[str] = ()) -> DPMDetector:
    """Models of voc-release5: .mat files, or a folder or .zip with some; those of `classes`, all unless given.

    A folder within an archive is named like one outside: models.zip/VOC2007. Raises `DetectorError`.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    wanted = tuple(classes)
    models = [model for each in sources for model in _models(Path(each))]
    there = [model.name for model in models]
    for name in wanted:
        if name not in there:
            raise DetectorError(f"there is no model of {name!r}{suggest(name, there)}; {listed(name, there)}")
    return DPMDetector([model for model in models if not wanted or model.name in wanted])


def has_models(source: str | Path) -> bool:
    """Whether a path is that of such models: a .mat file, an archive or within one, or a folder with .mat files."""
    path = Path(source)
    if path.is_dir():
        return any(path.glob(f"*{ENDING}")) or any(path.glob(f"*/*{ENDING}"))
    return path.suffix.lower() == ENDING or _archive(path) is not None


def _archive(path: Path) -> Path | None:
    """The archive that a path is, or lies in."""
    return next((one for one in (path, *path.parents) if one.suffix.lower() == ".zip" and one.is_file()), None)


def _models(path: Path) -> list[PartsModel]:
    """Those of a file, a folder, an archive, or a folder in an archive, by the names of their files."""
    if path.is_file() and path.suffix.lower() == ENDING:
        return [read_model(path)]
    archive = _archive(path)
    inside = "" if archive is None else path.relative_to(archive).as_posix().removeprefix(".")
    if archive is None and not path.is_dir():
        raise DetectorError(f"{path}: there is no such file or folder of models ({ENDING})")
    there = listing(archive or path)
    files = [
        PurePosixPath(n) for n in there.names if PurePosixPath(n).suffix.lower() == ENDING and n.startswith(inside)
    ]
    files = sorted(f for f in files if not f.stem.removesuffix("_final").endswith(GRAMMAR))
    if not 0 < len(files) <= MOST_MODELS:
        raise DetectorError(f"{path}: wants 1 to {MOST_MODELS} models ({ENDING}), has {len(files)}")
    folders = sorted({str(f.parent) for f in files})
    if len(folders) > 1:
        named = ", ".join(str(path / Path(one).relative_to(inside)) for one in folders[:5])
        raise DetectorError(f"{path}: has models in {len(folders)} folders; name one of them: {named}")
    return [parse_model(there.read(str(f)), f"{path}: {f.name}") for f in files]
