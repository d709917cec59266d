"""One of two ranks that wait for each other, for test_together.py. Arguments: FOLDER RANK."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist

from sparring.errors import SparringError
from sparring.run import together
from sparring.run.runtime import Runtime


def main(folder: Path, rank: int) -> None:
    together.SIGN_EVERY, together.SIGN_WAIT = 0.2, timedelta(seconds=5)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    together.prepare_signs()
    runtime = Runtime(rank=rank, world=2)
    began = time.monotonic()
    with runtime.together():
        time.sleep(8 * runtime.is_main)  # longer than a silence may last
    (folder / f"waited-{rank}").write_text(str(time.monotonic() - began))
    if rank == 1:
        (folder / "silent").touch()
        time.sleep(60)  # says nothing more; the test ends it
    for name in ("together", "step"):
        began = time.monotonic()
        try:
            if name == "together":
                with runtime.together():
                    pass
            else:
                runtime.agree(True)
            said = "no error"
        except SparringError as error:
            said = str(error)
        (folder / name).write_text(f"{time.monotonic() - began} {said}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
