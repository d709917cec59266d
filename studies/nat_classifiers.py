"""NAT classifiers on real images, several seeds each: does the paper's claim hold if the source gives nothing away?

Positives are eight classes of CIFAR-10 (JPEG). Negatives are half of Tiny ImageNet's classes without those that overlap with
CIFAR-10. Probes: the other half of those classes; the two held-out CIFAR-10 classes, which share the positives' source;
negatives used in training; unseen images of their classes; noise.

    python studies/nat_classifiers.py               train what is missing, 5 minutes per run, then write the tables
    python studies/nat_classifiers.py --seeds 3 4   only these seeds, while another process trains the others
    python studies/nat_classifiers.py --tables      only write the tables into docs/nat_study.md

Every finished run is a line in studies/nat_classifiers.jsonl. Unfinished runs keep checkpoints in
runs/nat_classifiers, and the same command continues them. Reads ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import torch

from sparring.classify.criteria import takes_negatives
from sparring.classify.data import ClassifierData, Probe, image_hashes, split_off
from sparring.classify.job import ClassifierJob
from sparring.classify.recipe import ClassifierRecipe
from sparring.classify.results import evaluate_classifier
from sparring.data import PackedImages, load, noise_batch, noise_images
from sparring.randomness import generator_for
from sparring.run.progress import no_progress
from sparring.version import commit

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
HELD_OUT = ("ship", "truck")  # the last two of CIFAR-10's classes
# Tiny ImageNet's classes that overlap CIFAR-10's, as the data's README lists them
OVERLAPPING = """Egyptian cat; tabby; Persian cat; German shepherd; Labrador retriever; golden retriever; Yorkshire terrier;
    Chihuahua; standard poodle; bullfrog; tailed frog; limousine; sports car; beach wagon; convertible; police
    van; moving van; go-kart; school bus; trolleybus; tractor; freight car; bullet train; lifeboat; gondola;
    cougar; lion; albatross; king penguin; goose; black stork; gazelle; ox; bison; bighorn"""
SMALL_RESNET = {"kind": "resnet18", "width": 16, "blocks": [1, 1, 1]}
METHODS: dict[str, tuple[int, dict[str, Any]]] = {  # name: seeds, what it changes
    "baseline": (5, {"criterion": "baseline"}),
    "NAT, 32 negatives": (5, {"criterion": "nat", "negatives.per_batch": 32}),
    "extra class, 32 negatives": (3, {"criterion": "extra_class", "negatives.per_batch": 32}),
    "NAT, 8 negatives": (3, {"criterion": "nat", "negatives.per_batch": 8}),
    "NAT, 64 negatives": (3, {"criterion": "nat", "negatives.per_batch": 64}),
    "NAT, 32 noise negatives": (3, {"criterion": "nat", "negatives.per_batch": 32, "negatives.source": "noise"}),
}
APART = 0.2  # of shares: above it a table shows every seed
T_95 = {2: 4.303, 4: 2.776}  # Student's t for a two-sided 95% interval, by degrees of freedom


def recipe_of(method: str, seed: int) -> ClassifierRecipe:
    shared = {
        "name": f"{method}, seed {seed}",
        "data": "CIFAR-10 (JPEG), eight classes",
        "negatives": {"source": "Tiny ImageNet at 32x32, half of the classes that do not overlap", "per_batch": 32},
        "network": SMALL_RESNET,
        "steps": 1_000,
        "optimizer": {"lr": 0.1},
        "batch_size": 128,
        "augment": {"crop_padding": 4, "flip": True},
        "validation": 0.05,
        "log_every": 50,
        "checkpoint_every": 50,
        "threads": 1,
    }
    return ClassifierRecipe.load(shared, {**METHODS[method][1], "seed": seed})


class Images:
    """All the images that the study needs, decoded once."""

    def __init__(self) -> None:
        cifar, tiny = DATA / "cifar10.zip", DATA / "tiny-imagenet-32.zip"
        whole = load(cifar, split="train", channels=3)
        kept = [name for name in whole.class_names if name not in HELD_OUT]
        tested = load(cifar, split="test", channels=3)
        self.train, self.test = whole.select_classes(kept), tested.select_classes(kept)
        overlapping = {" ".join(name.split()) for name in OVERLAPPING.split(";")}
        order = [line.split("\t") for line in (DATA / "tiny-imagenet-classes.tsv").read_text().splitlines()]
        missing = overlapping - {names.split(",")[0] for _, names in order}
        if missing:
            raise SystemExit(f"classes that are not in the list: {sorted(missing)}")
        self.classes = [wnid for wnid, names in order if names.split(",")[0] not in overlapping]
        seen, unseen = self.classes[::2], self.classes[1::2]
        tiny_train = load(tiny, split="train", channels=3)
        tiny_val = load(tiny, split="val", channels=3)
        self.negatives = tiny_train.select_classes(seen)
        self.noise = noise_images("normal", 10_000, 3, 32)
        trained_on = self.negatives.take(
            torch.randperm(len(self.negatives), generator=generator_for("seen probe"))[:2_000]
        )
        self.probes: tuple[Probe, ...] = (
            Probe("Tiny ImageNet, unseen classes", "tiny-imagenet-32.zip val", tiny_val.select_classes(unseen)),
            Probe("CIFAR-10, held-out classes", "cifar10.zip test", tested.select_classes(list(HELD_OUT))),
            Probe(
                "Tiny ImageNet, trained classes, unseen images",
                "tiny-imagenet-32.zip val",
                tiny_val.select_classes(seen),
            ),
            Probe("Tiny ImageNet, trained on", "tiny-imagenet-32.zip train", trained_on, 1.0),
            Probe("noise N(0, 1)", "noise:normal", noise_batch("normal", 2_000, 3, 32, "probe")),
        )
        positives = set(image_hashes(self.train)) | set(image_hashes(self.test))
        self.shared = sum(h in positives for h in image_hashes(self.negatives))

    def of(self, recipe: ClassifierRecipe, noise: bool) -> ClassifierData:
        train, validation = split_off(self.train, recipe.validation, recipe.seed, "validation")
        negatives: PackedImages = self.noise if noise else self.negatives
        return ClassifierData(train, validation, self.test, negatives, self.probes)


def missing_runs(done: list[dict[str, Any]], among: Iterable[int]) -> Iterator[tuple[str, int]]:
    """Seed after seed, so that a study that is cut short has whole pairs."""
    finished = {(row["method"], row["seed"]) for row in done}
    for seed in among:
        for method, (seeds, _) in METHODS.items():
            if seed < seeds and (method, seed) not in finished:
                yield method, seed


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def run(results: Path, seeds: Iterable[int]) -> None:
    torch.set_num_threads(1)
    waiting = list(missing_runs(rows_of(results), seeds))
    images = Images() if waiting else None
    for method, seed in waiting:
        assert images is not None
        recipe = recipe_of(method, seed)
        data = images.of(recipe, noise="noise" in method)
        started, cpu = time.perf_counter(), time.process_time()
        training = ClassifierJob(recipe, recipe.criterion, data)
        folder = ROOT / "runs" / "nat_classifiers" / f"{method.replace(', ', '-').replace(' ', '-')}-{seed}"
        training.run(folder, no_progress, print)
        found = evaluate_classifier(
            training.classifier,
            data,
            thresholds=recipe.thresholds,
            false_alarm_rate=recipe.false_alarm_rate,
            mistakes=0,
            saw_negatives=takes_negatives(recipe.criterion.kind),
        )
        row = {
            "method": method,
            "seed": seed,
            "steps": recipe.steps,
            "network": recipe.network.model_dump(),
            "parameters": sum(p.numel() for p in training.classifier.parameters()),
            "n_train": len(data.train),
            "n_negatives": len(data.negatives or []),
            "negatives_that_are_positives": images.shared,
            "seconds": round(time.perf_counter() - started, 1),
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "date": date.today().isoformat(),
            "commit": commit(),
            "hardware": f"{platform.machine()}, 1 thread",
            **found.numbers,
        }
        with results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{method}, seed {seed}: accuracy {row['accuracy']:.3f}, {row['seconds']:.0f} s", flush=True)


# --- tables ---

Row = dict[str, Any]
DOCS = ROOT / "docs" / "nat_study.md"


def accuracy(row: Row) -> float:
    return row["accuracy"]


def spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}"
    text = f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
    if max(values) - min(values) > APART:  # the mean of two clusters of runs describes neither
        text += f", median {statistics.median(values):.3f} of " + ", ".join(f"{value:.2f}" for value in sorted(values))
    return text


def paired(found: list[Row], base: dict[int, Row], value: Callable[[Row], float]) -> str:
    """Mean difference from the baseline of the same seed, with a 95% t interval. Empty for the baseline."""
    differences = [value(row) - value(base[row["seed"]]) for row in found if row["seed"] in base]
    if not differences or all(row is base.get(row["seed"]) for row in found):
        return ""
    mean, freedom = statistics.mean(differences), len(differences) - 1
    if freedom not in T_95:
        return f"{mean:+.3f}"
    half = T_95[freedom] * statistics.stdev(differences) / math.sqrt(len(differences))
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def tables(rows: list[Row]) -> str:
    """All results, as Markdown."""
    by_method = {m: sorted((r for r in rows if r["method"] == m), key=lambda r: r["seed"]) for m in METHODS}
    by_method = {m: found for m, found in by_method.items() if found}
    base = {row["seed"]: row for row in by_method["baseline"]}
    first, last = rows[0], rows[-1]
    cpu = statistics.median(row["cpu_seconds"] for row in rows)
    commits = " and ".join(sorted({f"`{row['commit']}`" for row in rows}))
    counts = {method: found[0]["n_negatives"] for method, found in by_method.items()}
    other = [f"{n:,} for '{method}'" for method, n in counts.items() if n != first["n_negatives"]]
    others = f" ({', '.join(other)})" if other else ""
    planned = sum(seeds for seeds, _ in METHODS.values())
    lines = [
        f"{len(rows)} of {planned} runs: {first['steps']} steps of 128 positives, network `{json.dumps(first['network'])}`, "
        f"{first['n_train']:,} training images, {first['n_negatives']:,} negatives{others}, of which "
        f"{first['negatives_that_are_positives']} are identical to a positive; {first['hardware']}, {cpu:.0f} CPU seconds "
        f"per run; {last['date']}, commits {commits}. Mean ± standard deviation over seeds, with the median and every "
        f"seed's value if these are more than {APART:g} apart. Differences from the baseline "
        "are paired by seed, with 95% intervals from Student's t for 3 or 5 pairs.",
        "",
    ]
    columns = ["classifier", "seeds", "accuracy", "against the baseline", "ECE", "positives above 0.4", "above 0.9"]
    found_rows = []
    for method, found in by_method.items():
        coverage = [spread([r["coverage"][t] for r in found]) for t in ("0.4", "0.9")]
        head = [method, str(len(found)), spread(list(map(accuracy, found))), paired(found, base, accuracy)]
        found_rows.append([*head, spread([r["ece"] for r in found]), *coverage])
    lines += table(columns, found_rows)
    for probe, numbers in first["probes"].items():
        lines += ["", f"**{probe}** ({numbers['n']:,} images)", "", *probe_table(probe, by_method, base)]
    return "\n".join(lines) + "\n"


def probe_table(probe: str, by_method: dict[str, list[Row]], base: dict[int, Row]) -> list[str]:
    def ncr(threshold: str) -> Callable[[Row], float]:
        return lambda row: row["probes"][probe]["ncr"][threshold]

    def auroc(row: Row) -> float:
        return row["probes"][probe]["auroc"]

    columns = ["classifier", *(f"NCR {t}" for t in ("0.4", "0.6", "0.8", "0.9")), "AUROC", "FPR95"]
    columns += ["NCR 0.4 against the baseline", "AUROC against the baseline"]
    rows = []
    for method, found in by_method.items():
        rates = [spread(list(map(ncr(t), found))) for t in ("0.4", "0.6", "0.8", "0.9")]
        rates += [spread(list(map(auroc, found))), spread([r["probes"][probe]["fpr95"] for r in found])]
        rows.append([method, *rates, paired(found, base, ncr("0.4")), paired(found, base, auroc)])
    return table(columns, rows)


def write_tables(rows: list[Row]) -> None:
    """Write the tables between their marks in the docs."""
    start, end = "<!-- tables -->\n", "<!-- end of tables -->"
    text = DOCS.read_text(encoding="utf-8")
    before, after = text.index(start) + len(start), text.index(end)
    DOCS.write_text(text[:before] + tables(rows) + text[after:], encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", action="store_true", help="only write the tables of finished runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    chosen = parser.parse_args()
    results = ROOT / "studies" / "nat_classifiers.jsonl"
    if not chosen.tables:
        if not (DATA / "cifar10.zip").is_file():
            raise SystemExit(f"skipped: there is no {DATA / 'cifar10.zip'}")
        run(results, chosen.seeds)
    rows = rows_of(results)
    if rows:
        write_tables(rows)
        print(f"tables in {DOCS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
