"""Ranks wait for one that works, however long it takes, and not for one that is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path


def test_ranks_wait_for_work_and_give_up_a_lost_rank(tmp_path):
    worker = Path(__file__).with_name("signs_worker.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, worker, tmp_path, str(rank)], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    try:
        first = (tmp_path / "together", tmp_path / "silent")
        until = time.monotonic() + 120
        while not all(path.exists() for path in first) and time.monotonic() < until and ranks[0].poll() is None:
            time.sleep(0.05)
        ranks[1].kill()  # which a step notices at once
        assert ranks[0].wait(30) == 0, ranks[0].communicate()[1][-2000:]
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()
    assert all(float((tmp_path / f"waited-{rank}").read_text()) > 7 for rank in (0, 1))
    for name, least, most in (("together", 1.0, 60), ("step", 0, 60)):
        seconds, said = (tmp_path / name).read_text().split(" ", 1)
        assert least < float(seconds) < most, name
        assert (
            said
            == "rank 0 lost another rank of this run, which has died or cannot be reached: continue it with --resume"
        )
