"""What a toy run trains with: the recipe that all toy runs share, and methods by name.

`ring-8 sdp objective.sdp.k=5 world.std=0.1`: a word without `=` is a method, `world.*` keys go to the world, and all
others are keys of the recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sparring.errors import SparringError, nearest
from sparring.networks import BACKBONES, GENERATORS
from sparring.recipe.files import agreed, merge, nested, parse_overrides
from sparring.recipe.gan import Recipe
from sparring.toy.worlds import World

READ = (  # keys of a recipe that a toy run follows or records
    *("name", "about", "generator", "discriminator", "objective", "augment", "step", "precision"),
    *("steps", "batch_size", "d_steps", "accumulate", "seed"),
)
OF_THE_WORLD = ("data", "negatives", "unlabelled")
UNREAD = (  # it has one thread, no start, its own measurements and files
    *("threads", "start_from", "evaluation", "log_every", "samples_every", "checkpoint_every", "keep_checkpoints"),
    *("freeze", "deterministic", "compile", "paper", "run_in_full", "extends"),
)
CHANGEABLE = (  # while a run trains
    *("objective", "d_steps", "batch_size", "accumulate", "augment", "generator.optimizer", "generator.batch_size"),
    *("generator.ema", "generator.network.conditioning", "discriminator.optimizer", "discriminator.conditioning"),
    *("discriminator.clip_weights",),
)
_CHANGEABLE = "the objective, an optimiser, d_steps or batch_size"
STEPS = 1000
BATCH = 128
SDP_START, SDP_GROWTH = 0.03, 0.05  # of a run's length: the paper's 3,000 and 5,000 of 100,000
LECAM_START = 0.03  # of a run's discriminator updates, as SDP's
AS_WARMUP = 0.002  # of a run's discriminator updates: the paper's 300 of 156,400
# of the data's scale: 1/255 is that share of the standard deviation of CIFAR-10's pixels, 0.5 in [-1, 1]
AS_EPS = 0.008


@dataclass(frozen=True)
class Method:
    """Changes to the shared recipe, and the method to compare with."""

    about: str
    objective: Mapping[str, Any]
    baseline: str | None = None
    conditional: bool = False  # the generator gets the class, and the discriminator projects on it
    labelled: bool = False  # needs a world with classes
    changes: Mapping[str, Any] = field(default_factory=dict)


METHODS: dict[str, Method] = {
    "non_saturating": Method("the original GAN", {"non_saturating": {}}),
    "hinge": Method("hinge loss", {"hinge": {}}),
    "least_squares": Method("least squares", {"least_squares": {}}),
    "wgan-gp": Method(
        "Wasserstein loss, gradient penalty",
        {"wasserstein": {}, "gradient_penalty": {"weight": 1.0}},
        changes={"d_steps": 3},
    ),
    "r1": Method("the original GAN with R1", {"non_saturating": {}, "r1": {"weight": 0.1}}),
    "negatives": Method(
        "NAT on a sigmoid: negatives join the fake side",
        {"non_saturating": {}, "negatives": {"per_batch": BATCH}},
        baseline="non_saturating",
    ),
    "sdp": Method("SDP on the original GAN", {"non_saturating": {}, "sdp": {}}, baseline="non_saturating"),
    "sdp-hinge": Method("SDP on hinge", {"hinge": {}, "sdp": {}}, baseline="hinge"),
    "as_gan": Method("AS-GAN", {"non_saturating": {}, "as_gan": {}}, baseline="non_saturating"),
    "am_gan": Method("AM-GAN", {"am_gan": {}}, labelled=True),
    "nat_gan": Method("NAT-GAN without negatives", {"nat_gan": {}}, baseline="am_gan", labelled=True),
    "nat_gan-negatives": Method(
        "NAT-GAN with 3 negatives per batch", {"nat_gan": {}, "negatives": {}}, baseline="nat_gan", labelled=True
    ),
    "projection": Method("hinge, projection on the class", {"hinge": {}}, conditional=True, labelled=True),
    "multi_hinge": Method(
        "MHGAN: projection and multi-hinge",
        {"hinge": {}, "multi_hinge": {}},
        baseline="projection",
        conditional=True,
        labelled=True,
    ),
}


def default_method(world: World) -> str:
    """NAT's toy form if the world has negatives, else the original GAN."""
    return "non_saturating" if world.negatives is None else "negatives"


def split_words(words: Iterable[str]) -> tuple[str | None, dict[str, Any], dict[str, Any]]:
    """(method or None, the recipe's keys, the world's options) of words such as `sdp objective.sdp.k=5 world.std=0.1`."""
    words = list(words) if isinstance(words, Iterable) else [words]
    for word in words:
        if not isinstance(word, str):
            raise SparringError(f"a run takes words, a method and key=value, or a mapping of keys, got {word!r}")
    methods = [word for word in words if "=" not in word]
    if len(methods) > 1:
        raise SparringError(f"two methods, {methods[0]} and {methods[1]}: name one, and put --versus before the other")
    return check_words(methods[0] if methods else None, parse_overrides([word for word in words if "=" in word]))


def check_words(method: Any, changes: Mapping[str, Any]) -> tuple[str | None, dict[str, Any], dict[str, Any]]:
    """As `split_words`, for a method's name and a mapping of all keys."""
    if method is not None and (not isinstance(method, str) or method not in METHODS):
        raise SparringError(
            f"unknown method '{method}', which is not key=value either: {nearest(str(method), METHODS)}"
        )
    changes = dict(changes)
    options = {key.removeprefix("world."): changes.pop(key) for key in list(changes) if key.startswith("world.")}
    return method, changes, options


def toy_recipe(
    world: World, method: str | None = None, changes: Mapping[str, Any] | None = None, *, steps: int, seed: int
) -> Recipe:
    """The recipe of a method on a world, with changes by dotted key laid over it.

    Terms that begin late (`sdp.t`, `sdp.I_p`, `lecam.start`, `as_gan.warmup`) begin after the papers' share of the run, and
    `as_gan.eps` is in units of the data's scale, unless the changes say otherwise. Raises SparringError if the method does
    not fit the world, for keys that a toy run does not follow, and if the changes give other steps or another seed.
    """
    changes = changes or {}
    _check_followed(changes)
    for key, value in (("steps", steps), ("seed", seed)):
        agreed(changes, key, value)
    name = method or default_method(world)
    chosen = METHODS[name]
    if chosen.labelled and not world.data.num_classes:
        raise SparringError(
            f"{name} learns classes, and the points of '{world.name}' have none: take moons, spiral, or two or more "
            "Gaussians, as ring-8 and grid-25 have by default"
        )
    optimizer = {"lr": 2e-3, "betas": [0.5, 0.99]}
    width, depth = (32, 2) if world.dimensions == 1 else (64, 3)
    network = {"kind": "toy", "width": width, "depth": depth}
    conditioning = {"conditioning": "concat"} if chosen.conditional else {}
    values: dict[str, Any] = {
        "name": f"toy/{world.name}/{name}",
        "about": f"{chosen.about}, on {world.about}",
        "data": {"source": f"toy:{world.name}", "num_classes": world.data.num_classes},
        "generator": {"network": {**network, **conditioning}, "latent_size": world.dimensions, "optimizer": optimizer},
        "discriminator": {
            "network": network,
            "conditioning": "projection" if chosen.conditional else "none",
            "optimizer": optimizer,
        },
        "objective": dict(chosen.objective),
        "steps": steps,
        "batch_size": min(BATCH, len(world.data)),
        "seed": seed,
        "threads": 1,
        "evaluation": None,
        **chosen.changes,
    }
    for key, value in changes.items():
        values = merge(values, nested(key, value))
    return _completed(values, chosen.objective, world)


def changed_recipe(world: World, recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """A toy run's recipe with changes by dotted key laid over it, for a run that goes on.

    Raises SparringError for a key that cannot change while a run trains, and if the changes do not fit.
    """
    _check_followed(changes)
    for key in changes:
        if not any(key == each or key.startswith(f"{each}.") for each in CHANGEABLE):
            raise SparringError(
                f"{key} cannot change while a run trains: start another session, or change {_CHANGEABLE}"
            )
    values = recipe.to_dict()
    for key, value in changes.items():
        values = merge(values, nested(key, value))
    return _completed(values, recipe.to_dict()["objective"], world)


def _completed(values: dict[str, Any], own: Mapping[str, Any], world: World) -> Recipe:
    """The recipe of some values: with one host, the times of terms that begin late, and a source for negatives.

    own: the terms before the changes.
    """
    objective = values["objective"] = _timed(_of_one_host(values["objective"], own), values, world)
    if isinstance(objective, Mapping) and any(_kind(name, term) == "negatives" for name, term in objective.items()):
        values["negatives"] = {"source": f"toy:{world.name}:negatives"}
    recipe = Recipe.load(values)
    _check_network("generator", recipe.generator.network.kind, GENERATORS)
    _check_network("discriminator", recipe.discriminator.network.kind, BACKBONES)
    return recipe


def _check_network(player: str, kind: str, registry: Mapping[str, str]) -> None:
    """Refuse networks for images, which need a size that points do not have."""
    if kind in registry and kind != "toy":
        raise SparringError(
            f"{player}.network.kind={kind} is a network for images: points take 'toy', or your own package.module:Class"
        )


def _check_followed(changes: Mapping[str, Any]) -> None:
    """Refuse keys that would have no effect, so that the recipe in toy.json is what was run."""
    for key in changes:
        first = key.split(".")[0]
        if first in OF_THE_WORLD:
            raise SparringError(f"{key} cannot be set, as a toy run takes its data from its world: set world.*")
        if first not in (*READ, *UNREAD):
            raise SparringError(f"unknown key {key}: {nearest(first, (*READ, 'world.*'))}")
        if first in UNREAD:
            raise SparringError(f"a toy run does not read {key}: it has one thread, no start and no log; leave it out")


def _kind(name: str, term: Any) -> str | None:
    return None if term is None else str(term.get("kind", name)) if isinstance(term, Mapping) else name


def _of_one_host(objective: Any, own: Mapping[str, Any]) -> Any:
    """Naming another adversarial loss replaces the former one: `objective.hinge={}` means hinge instead."""
    from sparring.objective.term import AdversarialLoss, Term
    from sparring.plugins import find_class
    from sparring.terms import REGISTRY
    from sparring.trust import USERS_OWN

    if not isinstance(objective, Mapping):
        return objective  # the recipe says what is wrong with it

    def is_host(name: str) -> bool:
        kind = _kind(name, objective[name])
        return kind is not None and issubclass(find_class(kind, REGISTRY, "term", Term, USERS_OWN), AdversarialLoss)

    hosts = [name for name in objective if is_host(name)]
    new = [name for name in hosts if name not in own]
    return {name: term for name, term in objective.items() if len(new) != 1 or name not in hosts or name in new}


def _timed(objective: Any, values: Mapping[str, Any], world: World) -> Any:
    """Default starts, growth and warm-up as shares of this run's length."""
    steps, d_steps = values["steps"], values.get("d_steps", 1)
    if not isinstance(objective, Mapping) or not isinstance(steps, int) or not isinstance(d_steps, int):
        return objective  # the recipe says what is wrong with it
    shares: dict[str, dict[str, Any]] = {
        "sdp": {"t": int(SDP_START * steps), "I_p": max(1, int(SDP_GROWTH * steps))},
        "lecam": {"start": max(1, int(LECAM_START * steps * d_steps))},
        "as_gan": {"warmup": int(AS_WARMUP * steps * d_steps), "eps": AS_EPS * world.scale},
    }
    return {
        name: {**shares.get(str(_kind(name, term)), {}), **term} if isinstance(term, Mapping) else term
        for name, term in objective.items()
    }
