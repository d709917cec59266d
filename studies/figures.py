"""Draw the counterparts of the papers' result figures from small runs: docs/figures/*.png and their numbers.

    python studies/figures.py                 # train what is missing (about an hour on one core) and draw all figures
    python studies/figures.py as-gan-2        # draw one figure, and train the runs that it needs
    python studies/figures.py --help          # list all names, and the paths of images that do not ship with the package

Continues after an interruption. Runs are in runs/figures. Afterwards, `python studies/figures_page.py` rewrites
docs/figures.md.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import nat_figures
import torch
from figure_parts import (
    COLUMNS,
    OUT,
    Lines,
    N,
    Numbers,
    diversity,
    diversity_beside,
    gained,
    last,
    logged,
    measured,
    opened,
    plotted,
    samples,
    save,
)
from figure_runs import COLLAPSING, NEGATIVES, RUNS, asked, lacking, print_note, train

from sparring.errors import SparringError
from sparring.evaluation.compare import ClassComparison, class_scatter, compare_classes
from sparring.files import read_rows, write_json
from sparring.microscope.gradients import common_reach, histogram, maps, summary
from sparring.microscope.sections import section
from sparring.microscope.spectrum import spectra as spectra_of
from sparring.report.plots import bars, curves, from_zero, picture_rows
from sparring.version import commit

TRAINED_APART = dict.fromkeys(("nat-1", "nat-4"), ("nat-classifiers",))  # classifiers, trained with the figure

# --- SDP ---
LAMBDAS = {"0": "wgan-gp"} | {f"{w:g}": f"wgan-gp-sdp-{w:g}" for w in (0.01, 0.03, 0.05, 0.1)}


def sdp_2() -> Numbers:
    return samples("sdp-2", "sn-gan-sdp-cifar")


def sdp_3() -> Numbers:
    words = {f"λ = {weight}": run for weight, run in LAMBDAS.items()}
    a = plotted("sdp-3a", measured(words, "fashion-FD"), "WGAN-GP with SDP: distance", "fashion-FD", logarithmic="y")
    return a | plotted("sdp-3b", logged(words, "discriminator/wasserstein"), "discriminator's loss", "loss")


def sdp_4() -> Numbers:
    a = {"WGAN-GP": "wgan-gp-lr", "WGAN-GP-SDP": "wgan-gp-lr-sdp"}
    b = {"WGAN-GP": "wgan-gp-none", "WGAN-GP-SDP": "wgan-gp-none-sdp"}
    found = plotted("sdp-4a", measured(a, "fashion-FD"), "learning rate 5 times as high", "fashion-FD", logarithmic="y")
    return found | plotted("sdp-4b", measured(b, "fashion-FD"), "without normalisation", "fashion-FD", logarithmic="y")


# --- MHGAN ---
TRIO = {"SAGAN": "sagan", "MHGAN": "mhgan", "ACGAN": "acgan"}


def mhgan_1() -> Numbers:
    return samples("mhgan-1", "mhgan")


def _intra() -> ClassComparison:
    rows = [[r for r in read_rows(RUNS / run / "metrics.jsonl") if "per_class" in r][-1] for run in ("sagan", "mhgan")]
    return compare_classes(*rows, runs=("SAGAN", "MHGAN"))


def mhgan_4() -> Numbers:
    found = plotted("mhgan-4a", measured(TRIO, "fashion-IS"), "score over training", "fashion-IS")
    found |= plotted("mhgan-4b", measured(TRIO, "fashion-FD"), "distance over training", "fashion-FD", logarithmic="y")
    both = _intra()
    save("mhgan-4c", class_scatter(both))
    return found | {
        "classes improved": f"{both.improved} of {len(both.classes)}",
        "mean change": None if both.mean_change is None else round(both.mean_change, 4),
    }


def _classes_that(name: str, order: list[int]) -> Numbers:
    both, rows = _intra(), {}
    of_run = {word: opened(run).fake(COLUMNS * 10) for word, run in (("SAGAN", "sagan"), ("MHGAN", "mhgan"))}
    for place in order:
        for word, fake in of_run.items():
            distance = (both.first if word == "SAGAN" else both.second)[place]
            rows[f"{both.names[place]}, {word}: {distance:.1f}"] = fake.pixels[fake.labels == both.classes[place]]
    save(name, picture_rows(rows, title="samples of a class, and its distance", side=0.5))
    return {both.names[i]: [round(both.first[i], 2), round(both.second[i], 2)] for i in order}


def mhgan_5() -> Numbers:
    if not (order := gained(_intra())):
        raise SparringError("no class gained from MHGAN")
    return _classes_that("mhgan-5", order)


def mhgan_6() -> Numbers:
    return _classes_that("mhgan-6", _intra().by_change()[-3:])


def mhgan_7() -> Numbers:
    over = {run: section("conditioning")([opened(run)], 1000).numbers[run]["over_training"] for run in TRIO.values()}
    words = {"held-out": "validation", "generated": "self"}
    a: Lines = {}
    for name in ("MHGAN", "ACGAN"):
        a |= {
            f"{name}, {w}": (over[TRIO[name]]["step"], over[TRIO[name]][f"classifier, {k}"]) for k, w in words.items()
        }
    b: Lines = {}
    for name in ("MHGAN", "SAGAN"):
        b |= {f"{name}, {k}": (over[TRIO[name]]["step"], over[TRIO[name]][f"real, {k}"]) for k in ("train", "held-out")}
    found = plotted("mhgan-7a", a, "accuracy of the classifier", "share")
    return found | plotted("mhgan-7b", b, "reals with a score above 0", "share")


def mhgan_8() -> Numbers:
    found = diversity_beside("mhgan-8", {"SAGAN": "sagan", "MHShared": "mhshared"})
    spectra = {run: spectra_of(opened(run).subject().judge)["embedding"] for run in ("sagan", "mhshared")}
    lines: Lines = {}
    for word, run in (("before", "sagan"), ("after", "mhshared")):
        values = spectra[run]["singular_values"]
        lines[word] = (list(range(1, len(values) + 1)), values)
    figure = curves(lines, title="spectrum of the class embedding", xlabel="rank", ylabel="singular value")
    from_zero(figure)
    save("mhgan-8-spectrum", figure)
    return found | {"effective rank": {run: round(f["effective_rank"], 2) for run, f in spectra.items()}}


def mhgan_10() -> Numbers:
    lines = measured(TRIO | {"MHGAN-SSL": "mhgan-ssl"}, "fashion-FD")
    best = {
        word: (steps, [min(values[: i + 1]) for i in range(len(values))]) for word, (steps, values) in lines.items()
    }
    return plotted("mhgan-10", best, "best distance so far", "fashion-FD", logarithmic="y")


def mhgan_11() -> Numbers:
    words = {"SAGAN": "sagan-small", "MHGAN": "mhgan-small"}
    found = plotted("mhgan-11a", measured(words, "fashion-IS"), "score, at half the width", "fashion-IS")
    return found | plotted("mhgan-11b", measured(words, "fashion-FD"), "distance, at half the width", "fashion-FD")


def mhgan_12() -> Numbers:
    runs = {"before": "sagan", "after": "mhshared"}
    spread = {word: diversity(opened(run))["features"] for word, run in runs.items()}
    rows = {}
    for part in range(2):
        for word, run in runs.items():
            label = " " * len(rows) if part else f"{word}: {spread[word]:.2f}"
            rows[label] = opened(run).fake(4 * COLUMNS).pixels[part * COLUMNS :][:COLUMNS]
    title = "the same latents and classes, and their diversity as a share of real images'"
    save("mhgan-12", picture_rows(rows, title=title, side=0.55))
    found = {metric: last(measured(runs, metric)) for metric in ("fashion-FD", "fashion-IS")}
    return {"diversity in features": spread, **found}


# --- AS-GAN ---
PLAIN, AS = "dcgan-cifar", "as-dcgan-cifar"
SETTINGS = {"DCGAN": "dcgan", "ε = 0": "as-0", "Gaussian": "as-gaussian", "ε = 1/255": "as-1", "ε = 4/255": "as-4"}


def _section(name: str, figure: str, picture: str, runs: tuple[str, ...] = (PLAIN, AS)) -> Numbers:
    found = section(name)([opened(run) for run in runs], N)
    save(picture, {name: drawn for name, drawn, _ in found.figures}[figure])
    return found.numbers


def as_gan_1() -> Numbers:
    numbers = _section("robustness", "adversarial-pairs", "as-gan-1")
    save_table(numbers)
    return {"accuracy on reals": {run: _by_eps(f["attacks"]) for run, f in numbers.items()}}


def _by_eps(attacks: list[dict[str, Any]]) -> Numbers:
    return {f"{a['attack']} {a['eps_255']:g}/255": round(a["accuracy"], 3) for a in attacks}


def save_table(numbers: Numbers) -> None:
    lines: Lines = {}
    for run, word in ((PLAIN, "GAN"), (AS, "AS-GAN")):
        for kind in ("fgsm", "pgd"):
            points = [a for a in numbers[run]["attacks"] if a["attack"] in ("none", kind)]
            lines[f"{word}, {kind.upper()}"] = ([a["eps_255"] for a in points], [a["accuracy"] for a in points])
    figure = curves(lines, title="reals that are called real under attack", xlabel="ε in 1/255", ylabel="accuracy")
    figure.axes[0].set_ylim(-0.03, 1.03)
    save("as-gan-table-2", figure)


def as_gan_2() -> Numbers:
    runs = {"GAN": opened(PLAIN), "AS-GAN": opened(AS)}
    real = runs["GAN"].real(N)
    rows = {"real": real.pixels[:9]}
    found = {}
    for word, run in runs.items():
        gradients = run.subject().gradients(real.images, real.labels)
        rows[word] = maps(gradients[:9])
        found[word] = {key: round(value, 4) for key, value in summary(gradients).items()}
    save("as-gan-2", picture_rows(rows, title="gradient of the discriminator with respect to real images", side=0.66))
    return found


def as_gan_4() -> Numbers:
    lines = measured(SETTINGS, "fashion-FD")
    best = [min(values) for _, values in lines.values()]
    end = [sum(values[-2:]) / 2 for _, values in lines.values()]
    series = {"best": best, "mean of the last two": end}
    save(
        "as-gan-4",
        bars(list(lines), series, title="distance by perturbation, one seed", ylabel="fashion-FD", size=(4.6, 2.7)),
    )
    return {"best": dict(zip(lines, [round(v, 2) for v in best], strict=True))}


def as_gan_5() -> Numbers:
    return plotted(
        "as-gan-5", measured(SETTINGS, "fashion-FD"), "distance over training", "fashion-FD", logarithmic="y"
    )


def as_gan_6() -> Numbers:
    found: Numbers = {}
    for letter, words in (
        ("a", {"DCGAN": "dcgan", "AS-DCGAN": "as-1"}),
        ("b", {"ResNet": "resnet", "AS-ResNet": "as-resnet"}),
    ):
        title = " and ".join(words)
        found |= plotted(f"as-gan-6{letter}", measured(words, "fashion-FD"), title, "fashion-FD", logarithmic="y")
    return found


def as_gan_7() -> Numbers:
    return samples("as-gan-7a", AS) | samples("as-gan-7b", "as-resnet")


def as_gan_8() -> Numbers:
    found = diversity_beside("as-gan-8", {"GAN": "no-norm-dcgan", "AS-GAN": "no-norm-as"})
    for name in COLLAPSING:
        runs = {"GAN": f"{name}-dcgan", "AS-GAN": f"{name}-as"}
        found[f"diversity in features, {name}"] = {
            word: diversity(opened(run))["features"] for word, run in runs.items()
        }
    return found


def as_gan_9() -> Numbers:
    runs = {"GAN": opened(PLAIN), "AS-GAN": opened(AS)}
    norms: Lines = {}
    entries = {}
    for word, run in runs.items():
        real = run.real(N)
        entries[word] = run.subject().gradients(real.images, real.labels)
        found = [summary(run.subject(step).gradients(real.images[:128], None)) for step in run.course()]
        norms[word] = (run.course(), [f["l1"] for f in found])  # type: ignore[assignment]
    reach = common_reach(entries.values())
    shares: Lines = {word: histogram(gradients, reach=reach) for word, gradients in entries.items()}
    save(
        "as-gan-9a", curves(shares, title="entries of the gradient", xlabel="gradient", ylabel="share", logarithmic="y")
    )
    return plotted("as-gan-9b", norms, "L1 norm of the gradient", "L1 norm")


def as_gan_10() -> Numbers:
    found = section("robustness")([opened(PLAIN), opened(AS)], N).numbers
    a: Lines = {}
    for run, word in ((PLAIN, "GAN"), (AS, "AS-GAN")):
        over = found[run]["over_training"]
        a |= {f"{word}, {side}": (over["step"], over[side]) for side in ("real", "adversarial real", "fake")}
    numbers = plotted("as-gan-10a", a, "confidence over training", "confidence", size=(4.6, 2.9))
    losses = logged({"GAN": PLAIN, "AS-GAN": AS}, "discriminator/non_saturating")
    return numbers | plotted("as-gan-10b", losses, "discriminator's loss", "loss")


# --- NAT ---
NAT_SETS = {"garments": "garments", "CIFAR-10": "cifar"}


def nat_1() -> Numbers:
    return nat_figures.predictions(OUT / "nat-1.png")


def nat_3() -> Numbers:
    return nat_figures.moments(OUT / "nat-3.png")


def nat_4() -> Numbers:
    return nat_figures.confidences(OUT / "nat-4.png")


def nat_5() -> Numbers:
    return nat_figures.comparison(OUT / "nat-5a.png", OUT / "nat-5b.png")


def nat_6() -> Numbers:
    found: Numbers = {}
    for letter, (word, data) in zip("ab", NAT_SETS.items(), strict=True):
        runs = {f"NAT-GAN_{x}": f"nat-gan-{x}-{data}" for x in NEGATIVES}
        found |= plotted(f"nat-6{letter}", logged(runs, "generator/nat_gan"), f"{word}: generator's loss", "loss")
    return found


def trained_at(runs: tuple[str, ...]) -> str | None:
    """The commits of the runs, or the current commit if a figure makes its own runs."""
    if not runs:
        return commit()
    return ", ".join(sorted({json.loads((RUNS / run / "recipe.json").read_text())["commit"] for run in runs}))


FIGURES: dict[str, tuple[Callable[[], Numbers], tuple[str, ...]]] = {
    "nat-1": (nat_1, ()),
    "nat-3": (nat_3, ()),  # of toy runs of some seconds
    "nat-4": (nat_4, ()),
    "nat-5": (nat_5, ()),
    "nat-6": (nat_6, tuple(f"nat-gan-{x}-{data}" for data in NAT_SETS.values() for x in NEGATIVES)),
    "sdp-2": (sdp_2, ("sn-gan-sdp-cifar",)),
    "sdp-3": (sdp_3, tuple(LAMBDAS.values())),
    "sdp-4": (sdp_4, ("wgan-gp-lr", "wgan-gp-lr-sdp", "wgan-gp-none", "wgan-gp-none-sdp")),
    "mhgan-1": (mhgan_1, ("mhgan",)),
    "mhgan-4": (mhgan_4, tuple(TRIO.values())),
    "mhgan-5": (mhgan_5, ("sagan", "mhgan")),
    "mhgan-6": (mhgan_6, ("sagan", "mhgan")),
    "mhgan-7": (mhgan_7, tuple(TRIO.values())),
    "mhgan-8": (mhgan_8, ("sagan", "mhshared")),
    "mhgan-10": (mhgan_10, (*TRIO.values(), "mhgan-ssl")),
    "mhgan-11": (mhgan_11, ("sagan-small", "mhgan-small")),
    "mhgan-12": (mhgan_12, ("sagan", "mhshared")),
    "as-gan-1": (as_gan_1, (PLAIN, AS)),
    "as-gan-2": (as_gan_2, (PLAIN, AS)),
    "as-gan-4": (as_gan_4, tuple(SETTINGS.values())),
    "as-gan-5": (as_gan_5, tuple(SETTINGS.values())),
    "as-gan-6": (as_gan_6, ("dcgan", "as-1", "resnet", "as-resnet")),
    "as-gan-7": (as_gan_7, (AS, "as-resnet")),
    "as-gan-8": (as_gan_8, tuple(f"{name}-{run}" for name in COLLAPSING for run in ("dcgan", "as"))),
    "as-gan-9": (as_gan_9, (PLAIN, AS)),
    "as-gan-10": (as_gan_10, (PLAIN, AS)),
}


def main(words: Sequence[str] | None = None) -> int:
    """Draw the named figures (default: all). Numbers go to docs/figures/numbers.json with date, commit and hardware.

    Missing images are reported before anything is trained. Returns 1 if a figure was not drawn.
    """
    torch.set_num_threads(1)
    names, places = asked(words, "Draw the counterparts of the papers' figures.", FIGURES)
    reasons = {run: lacking(run, places) for run in dict.fromkeys(run for name in names for run in FIGURES[name][1])}
    failed = {}
    for name in names:
        runs = FIGURES[name][1]
        reason = next((reasons[run] for run in runs if reasons[run] is not None), None)
        try:
            if reason is None and None not in [train(run, places) for run in runs]:
                draw_one(name)
                continue
        except SparringError as error:
            reason = str(error)
        failed[name] = reason or "a run of it could not be trained"
    for name, reason in failed.items():
        print_note(f"{name} is not drawn: {reason}")
    return int(bool(failed))


def draw_one(name: str) -> None:
    """Draw a figure whose runs exist, and record its numbers."""
    draw, runs = FIGURES[name]
    numbers = draw()
    path = OUT / "numbers.json"
    known: Numbers = json.loads(path.read_text()) if path.is_file() else {}
    steps = {run: opened(run).last for run in runs}
    facts = {"date": date.today().isoformat(), "hardware": f"{platform.machine()}, 1 thread"}
    at = trained_at(runs or TRAINED_APART.get(name, ()))
    known[name] = facts | {"commit": at, "steps": steps, "numbers": numbers}
    write_json(path, known)
    print(name, json.dumps(numbers, ensure_ascii=False)[:300], flush=True)


if __name__ == "__main__":
    sys.exit(main())
