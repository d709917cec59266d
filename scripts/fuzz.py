#!/usr/bin/env python
"""Fuzz recipes and files. Each must exit with 0, or with one line and 2, within 20 seconds and 2 GB.

    python scripts/fuzz.py --recipes 1000 --files 300 --seed 1

Prints every fault with the seed that reproduces it, and the counts. `docs/mutations.md` has the latest counts.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from random import Random

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", type=int, default=1000)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="print every outcome")
    arguments = parser.parse_args()

    from fuzzing.recipes import try_recipe
    from fuzzing.samples import make_samples, try_file
    from sparring.recipe.files import shipped_recipes

    warnings.simplefilter("ignore")
    faults = 0
    with tempfile.TemporaryDirectory() as place:
        os.environ["SPARRING_CACHE"] = f"{place}/cache"
        samples = make_samples(Path(place))
        shipped = list(shipped_recipes())
        images = Path(place) / "images.npz"
        for what, count in (("recipes", arguments.recipes), ("files", arguments.files)):
            codes: Counter[str] = Counter()
            for i in range(count):
                random = Random(f"{arguments.seed} {what} {i}")
                with tempfile.TemporaryDirectory(dir=place) as folder:
                    os.chdir(folder)
                    if what == "recipes":
                        name, outcome = try_recipe(random, shipped, images, Path(folder))
                    else:
                        name, outcome = try_file(random, samples, Path(folder))
                    os.chdir(place)
                if arguments.verbose:
                    print(f"{what} {i}: {name}: {outcome.code} {outcome.message}", flush=True)
                codes["fault" if outcome.wrong else str(outcome.code)] += 1
                if outcome.wrong:
                    print(f"--- {what} {i}: {name}\n{outcome.wrong}\n", flush=True)
            faults += codes["fault"]
            print(
                f"{what}: {count}, " + ", ".join(f"{codes[code]} {meaning}" for code, meaning in MEANINGS.items()),
                flush=True,
            )
    sys.exit(1 if faults else 0)


MEANINGS = {"2": "refused in one line", "0": "still valid", "fault": "faults"}

if __name__ == "__main__":
    main()
