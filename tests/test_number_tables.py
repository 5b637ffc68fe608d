"""Tables of pictures with numbers: what spreadsheets write is read, and nothing in a table is believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid as pl
from pellucid.data import DataError, Quantity, load_numbers

LINES = [
    ("", "its first line must be file,NAME"),
    ("name,age\na.png,1", "its first line must be file,NAME .* got 'name,age'"),
    ("file\na.png", "its first line must be file,NAME"),
    ("file,age,age\na.png,1,2", "two targets are called 'age'"),
    ("file,\na.png,1", "a target has no name"),
    ("file,age\n", "there is no picture in it"),
    ("file,age\na.png,1,2", r"line 2: has 3 cells, expected 2"),
    ("file,age\na.png", r"line 2: has 1 cells, expected 2"),
    ("file,age\na.png,nan", "line 2: 'nan' is no finite number"),
    ("file,age\na.png,inf", "line 2: 'inf' is no finite number"),
    ("file,age\na.png,1e999", "line 2: '1e999' is no finite number"),
    ("file,age\na.png,1_000", "line 2: '1_000' is no finite number"),
    ("file,age\na.png,\u0661", "line 2: .* is no finite number"),
    ("file,age\na.png,", "line 2: '' is no finite number"),
    ("file,age\na.png,0x10", "line 2: '0x10' is no finite number"),
    ("file,age\na.png,1\n\nb.png,2", "line 4: b.png: there is no such file"),
    ("file,age\na.png,1\n./a.png,2", "line 3: a.png stands on line 2 already"),
    ("file,age\n../a.png,1", r"line 2: '../a.png' names no file below the table's folder"),
    ("file,age\nin/../../a.png,1", "names no file below the table's folder"),
    ("file,age\n..\\a.png,1", "names no file below the table's folder"),
    ("file,age\n/etc/passwd,1", "names no file below the table's folder"),
    ("file,age\nC:\\a.png,1", "names no file below the table's folder"),
    ("file,age\n,1", "names no file below the table's folder"),
    ("file,age\nlink.png,1", "line 2: link.png leads out of the table's folder"),
    ("file,age\naway/out.png,1", "line 2: away/out.png leads out of the table's folder"),
    ("file,age\nround.png,1", "line 2: round.png"),
    ("file,age\nfolder,1", "line 2: folder: there is no such file"),
    ("file,age\na\0.png,1", r"line 2:? ?.*"),
    ("file,age\n" + "x" * 5000 + ".png,1", "line 2: x+: "),
    ('file,age\n"a.png,1', r"line \d: is no line of a CSV file"),
    ("file,age\nbad.png,1", "1 unreadable pictures:\n  bad.png"),
    ("file,age\na.png,1\nwide.png,2", "pictures have 2 sizes"),
    ("file,age\n" + "".join(f"no{k}.png,1\n" for k in range(30)), r"30 lines make no sense:(.|\n)*and 10 more"),
    ("file,age\na.png,1", "1 example is too few to cut a"),
]


@pytest.mark.parametrize(("text", "words"), LINES, ids=[f"{k} {words[:20]}" for k, (_, words) in enumerate(LINES)])
def test_tables_that_make_no_sense(text: str, words: str, tmp_path: Path) -> None:
    inside = tmp_path / "in"
    (inside / "folder").mkdir(parents=True)
    for name, wide in (("in/a.png", 8), ("a.png", 8), ("in/wide.png", 9), ("out.png", 8)):
        Image.fromarray(np.zeros((8, wide), np.uint8)).save(tmp_path / name)
    (inside / "bad.png").write_bytes(b"no picture")
    (inside / "link.png").symlink_to(tmp_path / "out.png")
    (inside / "away").symlink_to(tmp_path)
    (inside / "round.png").symlink_to(inside / "round.png")
    (inside / "t.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        load_numbers(inside / "t.csv", channels=1)


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"file,age\n\xff\xfe")
    with pytest.raises(DataError, match=r"is no text in UTF-8"):
        load_numbers(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"none.csv: cannot be read \(No such file"):
        load_numbers(tmp_path / "none.csv")
    (tmp_path / "u.csv").touch()
    with pytest.raises(DataError, match=r"need one table beside them .* found t.csv, u.csv"):
        load_numbers(tmp_path)
    with pytest.raises(DataError, match="is a table of numbers, not of classes"):
        pl.load(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv: larger than 200 MiB"), (tmp_path / "t.csv").open("r+b") as file:
        file.truncate(2**40)
        load_numbers(tmp_path / "t.csv")


def test_a_table_is_read_as_spreadsheets_write_it(tmp_path: Path) -> None:
    for k in range(8):
        Image.fromarray(np.full((8, 8), k, np.uint8)).save(tmp_path / f"a {k}, b.png")
    rows = "".join(f'"a {k}, b.png", {k}.5e0 ,-.{k}\r\n' for k in range(8))
    (tmp_path / "t.csv").write_bytes(("\ufeffFile,age [years], height\r\n" + rows + "\r\n").encode())
    data = load_numbers(tmp_path, channels=1)
    assert data.quantities == (Quantity("age", "years"), Quantity("height"))
    whole = {float(row[0]): float(row[1]) for part in data.parts().values() for row in part.targets}
    assert whole == {k + 0.5: pytest.approx(-k / 10) for k in range(8)}
