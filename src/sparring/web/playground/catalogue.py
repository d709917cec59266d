"""What can be chosen in the playground, listed from the library: worlds, methods, terms with their fields, settings.

The page builds its controls from this list, and the server accepts what is on it and nothing else.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from sparring.errors import SparringError
from sparring.networks.spectral import SpectralNormKind
from sparring.objective.term import AdversarialLoss, Build, Penalty, Term
from sparring.plugins import find_class
from sparring.recipe.base import Optimizer
from sparring.schedule import Schedule
from sparring.terms import REGISTRY
from sparring.toy.drawing import REACH
from sparring.toy.methods import METHODS, STEPS, changed_recipe, toy_recipe
from sparring.toy.worlds import FILE_WORLDS, WORLDS, World, world
from sparring.trust import USERS_OWN

WHOLE = STEPS  # the largest whole number of a term's field
LIMITS = {"pgd_steps": 20, "per_batch": 512, "k": 64, "every": 32, "join_every": 32}  # of fields that cost time
DECADES = 100.0  # a slider goes from its default / DECADES to its default * DECADES
LARGE = 1e6  # numbers that a page may set are below it
OPTIONS = {"modes": (1, 40), "side": (2, 8), "turns": (0.25, 3.0), "radius": (0.5, 4.0), "spacing": (0.5, 4.0)}
NOT_SHOWN = ("generator_weight", "head")
Field = dict[str, Any]


def setting(key: str, name: str, kind: str, low: float = 0, high: float = 1, **more: Any) -> Field:
    return {"key": key, "name": name, "kind": kind, "low": low, "high": high, **more}


def settings() -> list[Field]:
    """The settings of a recipe that a page offers, beside its terms; `fixed` ones need a new session."""
    kinds = list(get_args(Optimizer.model_fields["kind"].annotation))
    found = []
    for player in ("discriminator", "generator"):
        group: dict[str, Any] = {"group": player}
        found += [
            setting(f"{player}.optimizer.lr", "learning rate", "number", 1e-5, 1e-1, log=True, **group),
            setting(f"{player}.optimizer.betas.0", "Adam's β₁", "number", 0, 0.99, **group),
            setting(f"{player}.optimizer.betas.1", "Adam's β₂", "number", 0.5, 0.9999, **group),
            setting(f"{player}.optimizer.kind", "optimiser", "choice", choices=kinds, **group),
            setting(f"{player}.network.width", "width", "whole", 4, 128, log=True, fixed=True, **group),
            setting(f"{player}.network.depth", "depth", "whole", 1, 5, fixed=True, **group),
            setting(
                f"{player}.network.spectral_norm",
                "spectral norm",
                "choice",
                choices=list(get_args(SpectralNormKind)),
                fixed=True,
                **group,
            ),
        ]
    return [
        *found,
        setting(
            "discriminator.clip_weights", "clip weights", "number", 1e-3, 1, log=True, off=True, group="discriminator"
        ),
        setting("generator.ema.decay", "moving average", "number", 0.5, 0.9999, off=True, group="generator"),
        setting("generator.latent_size", "latents", "whole", 1, 16, fixed=True, group="generator"),
        setting("d_steps", "D updates per step", "whole", 1, 10, group="training"),
        setting("batch_size", "batch", "whole", 4, 512, log=True, group="training"),
    ]


def term_class(name: str) -> type[Term]:
    return find_class(name, REGISTRY, "term", Term, USERS_OWN)


@cache
def catalogue() -> dict[str, Any]:
    """Everything that a page can choose, as JSON."""
    return {
        "worlds": [_world_entry(name) for name in WORLDS if name not in FILE_WORLDS],
        "methods": [
            {
                "name": name,
                "about": method.about,
                "baseline": method.baseline,
                "labelled": method.labelled,
                "conditional": method.conditional,
                "objective": dict(method.objective),
            }
            for name, method in METHODS.items()
        ],
        "terms": [_term_entry(name) for name in REGISTRY],
        "settings": settings(),
        "reach": REACH,
        "steps": STEPS,
    }


# --- worlds ---
def _world_entry(name: str) -> dict[str, Any]:
    made = world(name)
    options = []
    for option, parameter in inspect.signature(WORLDS[name]).parameters.items():
        default = parameter.default
        if option in ("seed", "file"):
            continue
        if isinstance(default, int | float):
            whole = isinstance(default, int)
            low, high = OPTIONS.get(option, (default / 10, default * 10))
            kind = "whole" if whole else "number"
            options.append(setting(option, option, kind, low, high, default=default, log=option not in OPTIONS))
        else:
            options.append(setting(option, option, "list", default=default))
    return {
        "name": name,
        "about": made.about,
        "dimensions": made.dimensions,
        "classes": made.data.num_classes,
        "negatives": made.negatives is not None,
        "options": options,
    }


# --- terms ---
def _term_entry(name: str) -> dict[str, Any]:
    made = term_class(name)
    words = inspect.cleandoc(sys.modules[made.__module__].__doc__ or "")
    role = "host" if issubclass(made, AdversarialLoss) else "penalty" if issubclass(made, Penalty) else "term"
    weight = {"weight": made.model_fields["weight"]} if role != "host" else {}
    fields = weight | {k: f for k, f in made.model_fields.items() if k != "weight" and k not in NOT_SHOWN}
    defaults = {key: field.default for key, field in fields.items()} | _toy_defaults(name)
    return {
        "name": name,
        "about": words.split("\n\n")[0].partition(": ")[2].replace("\n", " ") or words.split("\n")[0],
        "docs": words,
        "role": role,
        "fields": [_field_entry(key, field, defaults[key]) for key, field in fields.items()],
        "refused": {kind: _refusal(name, here) for kind, here in _worlds_to_try().items()},
    }


def _field_entry(key: str, field: FieldInfo, default: Any) -> Field:
    """How a page shows one field of a term: from its type, bounds and default."""
    kind: Any = next((t for t in get_args(field.annotation) if t not in (Schedule, types.NoneType)), field.annotation)
    kind = field.annotation if get_origin(field.annotation) is Literal else kind
    if get_origin(kind) is Literal:
        return setting(key, key, "choice", choices=list(get_args(kind)), default=default)
    if kind is bool:
        return setting(key, key, "switch", default=default)
    bounds = {name: value for m in field.metadata for name, value in vars_of(m).items()}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if kind is int:
        most = min(LIMITS.get(key, WHOLE), high if high is not None else WHOLE)
        return setting(key, key, "whole", low or 0, most, default=default, log=most > 64)
    off = {"off": True} if default is None else {}
    if low is not None and high is not None:
        return setting(key, key, "number", low, high - (1e-4 if "lt" in bounds else 0), default=default, **off)
    around = default or (0.01 if default is None else 0)
    if not around:
        return setting(key, key, "number", -2.0 if low is None else low, 2.0, default=default, **off)
    return setting(key, key, "number", around / DECADES, around * DECADES, default=default, log=True, **off)


def vars_of(metadata: Any) -> dict[str, Any]:
    """The bounds in a field's metadata, such as {"ge": 1}."""
    return {name: getattr(metadata, name) for name in ("ge", "gt", "le", "lt") if hasattr(metadata, name)}


@cache
def _worlds_to_try() -> Mapping[str, World]:
    return {"labelled": world("ring-8"), "plain": world("checkerboard")}


def _toy_defaults(name: str) -> dict[str, Any]:
    """What a toy run sets where its user does not: times as shares of the run, lengths in units of the world."""
    plain = _worlds_to_try()["plain"]
    recipe = toy_recipe(plain, "non_saturating", steps=STEPS, seed=0)
    if issubclass(term_class(name), AdversarialLoss):
        return {}
    term = changed_recipe(plain, recipe, {f"objective.{name}": {}}).objective.terms[name]
    return {key: value for key, value in term if key not in NOT_SHOWN}


def _refusal(name: str, here: World) -> str | None:
    """Why a term cannot be used on a world, beside hinge; None if it can."""
    recipe = toy_recipe(here, "hinge", steps=STEPS, seed=0)
    changes: dict[str, Any] = {f"objective.{name}": {}}
    if here.data.num_classes:
        changes["discriminator.conditioning"] = "projection"
    sides = frozenset({"real", "fake", "negative"})
    classes = here.data.num_classes
    build = Build(steps=STEPS, num_classes=classes, has_labels=classes > 0, sides=sides, updates_per_epoch=78)
    try:
        changed_recipe(here, recipe, changes).objective.check(build)
    except SparringError as error:
        return str(error)
    return None
