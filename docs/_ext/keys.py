"""The keys of recipes and plans, read from the models that check them: name, type, default, meaning and example."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from docstrings import field_description
from pydantic import BaseModel, StrictInt
from pydantic.fields import FieldInfo

from sparring.recipe.base import Network
from sparring.recipe.files import flat, kind_of, read_recipe, shipped_recipes
from sparring.schedule import Schedule

EXAMPLES = {  # of keys that no shipped recipe sets, and whose type does not suggest a value
    "about": "my first recipe",
    "batch_size": "32",
    "beside": "[baseline]",
    "class_order": "classes.txt",
    "classes": "[0, 3, 7]",
    "clip_weights": "0.01",
    "data": "pictures",
    "evaluation": "null",
    "generator.ema": "0.999",
    "augment": "{kind: diffaugment}",
    "augment.crop_padding": "4",
    "betas": "[0.0, 0.99]",
    "decay": "0.99",
    "optimizer.decay": "none",
    "evaluation.every": "500",
    "freeze.discriminator": "2",
    "freeze.generator": "[convs.0]",
    "generator_weight": "0.5",
    "p": "0.3",
    "pgd_step_size": "0.001",
    "generator.network": "dcgan",
    "discriminator.network": "dcgan",
    "objective": "{hinge: {}, sdp: {k: 5}}",
    "steps": "1200",
    "per_batch": "16",
    "extractor": "fashion",
    "labelled": "0.1",
    "lr": "1e-4",
    "metrics": "[fd, prdc]",
    "n_real": "5000",
    "name": "mine",
    "negatives": "noise:normal",
    "num_classes": "10",
    "paper": "{table: 1}",
    "probes": "{noise: 'noise:uniform'}",
    "size": "64",
    "source": "pictures",
    "split": "test",
    "start_from": "runs/first",
    "step": "my_package.steps:my_step",
    "test": "pictures/test",
    "threads": "1",
    "thresholds": "[0.5, 0.9]",
    "unlabelled": "more_pictures",
}
SHORT = (
    "data",
    "test",
    "negatives",
    "unlabelled",
    "probes",
    "generator.ema",
    "evaluation",
)  # parts that one value stands for


@dataclass(frozen=True)
class Key:
    """One key of a model. `parts` are the models whose keys come below it; `NAME` in a path is the user's choice."""

    path: str
    kind: type[BaseModel]
    attribute: str
    parts: tuple[type[BaseModel], ...]

    @property
    def field(self) -> FieldInfo:
        return self.kind.model_fields[self.attribute]

    @property
    def meaning(self) -> str:
        return field_description(self.kind, self.attribute)

    @property
    def type(self) -> str:
        return in_words(self.field.annotation, self.field.metadata)

    @property
    def default(self) -> str:
        if self.field.is_required():
            return "must be given"
        value = self.field.get_default(call_default_factory=True)
        if self.parts and value:
            return "by default as its keys say"
        return f"default `{as_text(value)}`"

    @property
    def has_example(self) -> bool:
        """Whether one `key=value` can stand for it: a part is set key by key, unless text or null can stand for it."""
        return not self.parts or self.path in SHORT

    def example(self, shipped: Sequence[Mapping[str, Any]]) -> str:
        """`key=value` as on the command line: a value that is not the default. shipped: recipes with dotted keys."""
        name, default = self.path.rpartition(".")[2], self.field.get_default(call_default_factory=True)
        written = (as_text(recipe[self.path]) for recipe in shipped if recipe.get(self.path, default) != default)
        found = (
            EXAMPLES.get(self.path) or EXAMPLES.get(name) or next((text for text in written if len(text) < 40), None)
        )
        return f"{self.path}={found or other_value(self.field.annotation, default)}"


def keys_of(kind: type[BaseModel], prefix: str = "") -> Iterator[Key]:
    """The keys of a model, those of its parts after each; of a part that was listed before, its first keys are enough."""
    for attribute, field in kind.model_fields.items():
        path = f"{prefix}{field.alias or attribute}"
        parts = tuple(dict.fromkeys(models_in(field.annotation)))
        yield Key(path, kind, attribute, parts)
        for part in parts:
            of_names = get_origin(field.annotation) is dict
            yield from keys_of(part, f"{path}.NAME." if of_names else f"{path}.")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, but for those that one value stands for."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in (Network, Schedule):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


@cache
def shipped_values(kind: str) -> list[dict[str, Any]]:
    """The shipped recipes of a kind, "GAN" or "classifier", by dotted key: those with short names first."""
    found = []
    for name in sorted(shipped_recipes(), key=lambda name: (name.count("/"), name)):
        recipe = read_recipe(name)
        if kind_of(recipe) == kind:
            found.append(flat(recipe))
    return found


def other_value(annotation: Any, default: Any) -> str:
    """A value of a type that differs from the default."""
    if choices := [choice for choice in choices_of(annotation) if choice not in (default, None)]:
        return as_text(choices[0])
    if isinstance(default, bool):
        return as_text(not default)
    if isinstance(default, int):
        return as_text(default * 2 or 1)
    if isinstance(default, float):
        return as_text(default / 2 or 1e-4)
    return "VALUE"


def choices_of(annotation: Any) -> Iterator[Any]:
    """The values that a type allows, if it lists them."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in (Union, types.UnionType, Annotated):
        for inner in get_args(annotation):
            yield from choices_of(inner)


def as_text(value: Any) -> str:
    """A value as YAML and the command line have it."""
    if isinstance(value, Network) and not value.options:
        return value.kind
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and value:
        return value
    plain = json.loads(json.dumps(value, default=lambda other: other.model_dump(mode="json")))
    return yaml.safe_dump(plain, default_flow_style=True, width=10_000).strip().removesuffix("...").strip()


SIMPLE = {
    str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null",
    StrictInt: "whole number", Schedule: "schedule", Network: "name or mapping",
}  # fmt: skip
BOUNDS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}


def in_words(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """A type as a reader of recipes would say it: `whole number from 1 to 64, or null`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return in_words(inner[0], (*inner[1:], *metadata))
    if choices := list(choices_of(annotation)):
        words = [f"`{as_text(choice)}`" for choice in choices]
        return either([*words, "null"] if type(None) in inner else words)
    if origin in (Union, types.UnionType):
        words = [in_words(each, metadata if each in (int, float) else ()) for each in inner]
        return either(sorted(dict.fromkeys(words), key=lambda word: (word == "null", "schedule" in word)))
    if origin in (tuple, list):
        if len(inner) == 2 and inner[1] is not Ellipsis:
            return f"two values, each a {in_words(inner[0])}"
        return f"list, each {in_words(inner[0])}"
    if annotation in SIMPLE:
        limits = [
            f"{word} {as_text(bound)}"
            for name, word in BOUNDS.items()
            for each in metadata
            if (bound := getattr(each, name, None)) is not None
        ]
        return " ".join([SIMPLE[annotation], *limits])
    return "mapping"


def either(words: list[str]) -> str:
    """`a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
