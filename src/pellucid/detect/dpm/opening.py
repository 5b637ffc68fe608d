"""Models of parts found in files, folders and archives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pellucid.data.listing import is_file, is_folder, listing
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.dpm.keeping import models_of
from pellucid.detect.dpm.model import PartsModel
from pellucid.detect.dpm.reading import parse_model, read_model
from pellucid.detect.errors import DetectorError
from pellucid.detect.recognizing import DETECTOR, MODELS, archive_of, detector_file, read_file
from pellucid.errors import listed, suggest

MOST_MODELS = 1000
"""Files of a folder or an archive."""
GRAMMAR = "_grammar"
"""Models so called are of another kind than a mixture of components; a folder's are left out."""


def load_dpm(source: str | Path | Sequence[str | Path], classes: Sequence[str] = ()) -> DPMDetector:
    """Models of voc-release5: .mat files, or a folder or .zip with some; those of `classes`, all unless given.

    A run of `dpm` has models too, without what `context_rescoring` learned of their boxes. A folder within an archive is named like one
    outside: models.zip/VOC2007. Raises `DetectorError`.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    wanted = tuple(classes)
    models = [model for each in sources for model in _models(Path(each))]
    there = [model.name for model in models]
    for name in wanted:
        if name not in there:
            raise DetectorError(f"there is no model of {name!r}{suggest(name, there)}; {listed(name, there)}")
    return DPMDetector([model for model in models if not wanted or model.name in wanted])


def _models(path: Path) -> list[PartsModel]:
    """Those of a file, a folder, an archive, or a folder in an archive, by the names of their files."""
    if path.suffix.lower() == MODELS and is_file(path):
        return [read_model(path)]
    kept = detector_file(path)
    if kept.suffix == Path(DETECTOR).suffix and is_file(kept):
        return _of_run(kept)
    archive = archive_of(path)
    inside = "" if archive is None else path.relative_to(archive).as_posix().removeprefix(".")
    if archive is None and not is_folder(path):
        raise DetectorError(f"{path}: there is no such file or folder of models ({MODELS}), and no such run")
    there = listing(archive or path)
    files = [
        PurePosixPath(n) for n in there.names if PurePosixPath(n).suffix.lower() == MODELS and n.startswith(inside)
    ]
    files = sorted(f for f in files if not f.stem.removesuffix("_final").endswith(GRAMMAR))
    if not 0 < len(files) <= MOST_MODELS:
        raise DetectorError(f"{path}: wants 1 to {MOST_MODELS} models ({MODELS}), has {len(files)}")
    folders = sorted({str(f.parent) for f in files})
    if len(folders) > 1:
        named = ", ".join(str(path / Path(one).relative_to(inside)) for one in folders[:5])
        raise DetectorError(f"{path}: has models in {len(folders)} folders; name one of them: {named}")
    return [parse_model(there.read(str(f)), f"{path}: {f.name}") for f in files]


def _of_run(file: Path) -> list[PartsModel]:
    """Those that a training learned."""
    arrays, told = read_file(file)
    if told["system"] != DPMDetector.system:
        raise DetectorError(
            f"{file}: is a {told['system']}; wants models of parts, which a run of {DPMDetector.system} has"
        )
    return models_of(arrays, told.get("models"))
