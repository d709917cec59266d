"""A sequence of pictures as a film: mp4 if ffmpeg is available, else gif or apng by Pillow."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from PIL import Image
from torch import Tensor

from sparring.errors import SparringError
from sparring.files import write_atomically
from sparring.report.plots import image_grid

Kind = Literal["auto", "mp4", "gif", "apng", "none"]
KINDS = ("auto", "mp4", "gif", "apng", "none")
ENDINGS = {"mp4": ".mp4", "gif": ".gif", "apng": ".png"}
FRAME_PIXELS = 256  # of an image that fills a frame
FRAMES_PER_SECOND = 12
HOLD = 18  # frames for which the last picture is held by default
COLOURS = 224  # of a gif
ASKED = 8  # frames of the film from which its palette is made


def find_ffmpeg() -> str | None:
    """The ffmpeg on the path, or that of the package imageio-ffmpeg; None if there is neither."""
    found = shutil.which("ffmpeg")
    if found is None:
        try:
            import imageio_ffmpeg

            found = imageio_ffmpeg.get_ffmpeg_exe()
        except (ImportError, RuntimeError):
            return None
    return found


def film_kind(wanted: str) -> str:
    """The kind that will be written. Raises SparringError for an unknown one, and for mp4 without an ffmpeg."""
    if wanted not in KINDS:
        raise SparringError(f"a film is one of {', '.join(KINDS)}, got '{wanted}'")
    if wanted == "auto":
        return "mp4" if find_ffmpeg() else "gif"
    if wanted == "mp4" and not find_ffmpeg():
        raise SparringError("mp4 needs an ffmpeg: install one, or the extra sparring[film]; or write a gif")
    return wanted


def frames_of(images: Tensor) -> list[Image.Image]:
    """Images uint8 [N, C, H, W] as frames, enlarged by a whole number to about 256 pixels."""
    scale = max(1, round(FRAME_PIXELS / max(images.shape[2:])))
    return [image_grid(images[i : i + 1], scale=scale).convert("RGB") for i in range(len(images))]


def write_film(
    frames: list[Image.Image], path: Path, kind: str, *, rate: int = FRAMES_PER_SECOND, hold: int = HOLD
) -> Path:
    """Write RGB pictures of one size as path + the kind's ending, atomically; returns the path.

    rate: frames per second. hold: for how many frames the last picture is shown.
    """
    if not frames:
        raise SparringError("a film has at least one frame, got none")
    path = path.with_name(path.name + ENDINGS[kind])
    if kind == "mp4":
        write_atomically(path, _mp4(frames, rate, hold))
        return path
    content = io.BytesIO()
    durations = [round(1000 / rate)] * (len(frames) - 1) + [round(1000 / rate) * hold]
    if kind == "gif":
        palette = _side_by_side(frames).quantize(COLOURS, method=Image.Quantize.MEDIANCUT)  # one for all, so no flicker
        indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
        indexed[0].save(
            content, "GIF", save_all=True, append_images=indexed[1:], duration=durations, loop=0, optimize=False
        )
    else:
        frames[0].save(content, "PNG", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    write_atomically(path, content.getvalue())
    return path


def _side_by_side(frames: list[Image.Image]) -> Image.Image:
    """Some frames of the film in one picture, for a palette that suits all of it."""
    count = min(ASKED, len(frames))
    chosen = [frames[round(i * (len(frames) - 1) / max(count - 1, 1))] for i in range(count)]
    width, height = frames[0].size
    together = Image.new("RGB", (width * count, height))
    for i, frame in enumerate(chosen):
        together.paste(frame, (i * width, 0))
    return together


def _mp4(frames: list[Image.Image], rate: int, hold: int) -> bytes:
    """H.264 that browsers play: even sides, 4:2:0. Raises SparringError if ffmpeg fails."""
    program = find_ffmpeg()
    assert program is not None
    width, height = (side - side % 2 for side in frames[0].size)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "film.mp4"
        words = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        words += ["-r", str(rate), "-i", "-", "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-threads", "1"]
        words += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-bitexact", str(target)]
        cut = [frame.crop((0, 0, width, height)).tobytes() for frame in frames]
        done = subprocess.run(words, input=b"".join(cut + [cut[-1]] * (hold - 1)), capture_output=True, check=False)
        if done.returncode:
            reason = (done.stderr.decode(errors="replace").strip() or "no reason given").splitlines()[-1]
            raise SparringError(f"ffmpeg could not write the film: {reason}; write a gif")
        return target.read_bytes()
