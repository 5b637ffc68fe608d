"""Pictures with boxes out of folders of PASCAL VOC, COCO's files and tables."""

from __future__ import annotations

from pathlib import Path

from pellucid.data import DataError
from pellucid.data.listing import is_there, shown
from pellucid.detect.pictures_with_boxes import BoxData
from pellucid.detect.reading.box_table import read_box_table
from pellucid.detect.reading.coco_file import read_coco_file
from pellucid.detect.reading.voc_folder import read_voc_folder
from pellucid.progress import long


@long
def load(source: str | Path, on_bad_box: str = "error") -> BoxData:
    """Pictures with boxes: a folder (or .zip) of PASCAL VOC, a .json file of COCO, or a .csv table file,x1,y1,x2,y2,class.

    Boxes that make no sense are listed by name, and refused or with `on_bad_box="skip"` left out. Raises `DataError`.
    """
    path = Path(source)
    if not is_there(path):
        raise DataError(f"{shown(str(source))}: there is no such folder or file")
    readers = {".json": read_coco_file, ".csv": read_box_table}
    return readers.get(path.suffix.lower() if path.is_file() else "", read_voc_folder)(path, on_bad_box)


__all__ = ["load"]
