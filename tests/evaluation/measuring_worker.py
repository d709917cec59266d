"""One of two processes that evaluate together; writes what it got. Arguments: the folder for its answer, and a run."""

import json
import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import torch.distributed as dist
from two_sets import FAKES, REALS, Corners

from sparring.evaluation import protocol as measure
from sparring.evaluation.evaluate import evaluate_pair, evaluate_run


class Counting(Corners):
    """Counts the images that this process looks at."""

    seen = 0

    def __call__(self, images):
        Counting.seen += len(images)
        return super().__call__(images)


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.environ["SPARRING_CACHE"] = f"{sys.argv[1]}/cache-{os.environ['RANK']}"  # rank 1's stays empty
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
    measure.extractor_for = lambda *args, **options: Counting()  # which a recipe could not name
    protocol = {"n": 300, "metrics": ("fd", "kd", "classes"), "batch_size": 100}
    of_run = evaluate_run(sys.argv[2], [], protocol, device="cpu")
    (Path(sys.argv[1]) / f"run-{os.environ['RANK']}.json").write_text(json.dumps([Counting.seen, of_run]))
    Counting.seen = 0
    (again,) = evaluate_run(sys.argv[2], [], {"n": 300, "metrics": ("fd",), "batch_size": 100}, device="cpu")
    (Path(sys.argv[1]) / f"again-{os.environ['RANK']}.json").write_text(json.dumps([Counting.seen, again["value"]]))
    (Path(sys.argv[1]) / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(records))
    dist.destroy_process_group()
