"""One of two processes that evaluate together; writes what it got. Arguments: the folder for its answer."""

import json
import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import torch.distributed as dist
from two_sets import FAKES, REALS, Corners

from sparring.metrics.pairs import evaluate_pair

if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{sys.argv[1]}/meet", rank=int(os.environ["RANK"]), world_size=2
    )
    records = evaluate_pair(
        FAKES,
        REALS,
        extractor=Corners(),
        metrics=("fd", "kd", "is", "classes"),
        batch_size=7,
        is_splits=3,
        device="cpu",
    )
    (Path(sys.argv[1]) / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(records))
    dist.destroy_process_group()
