"""The pages that are generated from the package each time the site is built: keys, recipes, methods' classes, commands."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import groupby
from typing import Any, get_type_hints

import typer
import yaml
from api import MODULES, class_entry, doc_markdown, page_of, python_pages
from docstrings import option_description, options
from keys import Key, as_text, in_words, keys_of, other_value, shipped_values
from stage import ROOT

from sparring.classify.criteria import CRITERIA
from sparring.classify.networks import NETWORKS
from sparring.classify.recipe import ClassifierRecipe
from sparring.evaluation.extractors.registry import EXTRACTORS
from sparring.metrics import REGISTRY as METRICS
from sparring.metrics.names import NUMBERS
from sparring.networks import BACKBONES, GENERATORS
from sparring.recipe.augment import AUGMENTATIONS
from sparring.recipe.files import shipped_recipes
from sparring.recipe.gan import Recipe
from sparring.recipe.listing import group_of, recipes
from sparring.study.executors import EXECUTORS
from sparring.study.plan import ROOT as PLANS
from sparring.study.plan import Plan
from sparring.terms import REGISTRY as TERMS

INDEX = """\
## Recipes

- [Keys of a GAN's recipe](reference/gan.md): type, default, meaning and an example of each
- [Keys of a classifier's recipe](reference/classifier.md)
- [Terms and augmentations](reference/terms.md): the losses, and their settings
- [Networks](reference/networks.md): generators, discriminators and classifiers, and their options
- [Metrics and extractors](reference/metrics.md)
- [Shipped recipes](reference/recipes.md): every one, with the paper's numbers

## Reference

- [Command line](reference/commands.md): every command and option
{python}
- [Keys of a study's plan](reference/plan.md), and where studies run
"""


def with_reference(index: str) -> str:
    """docs/index.md with a section that lists these pages, in front of its studies."""
    modules = [f"- [Python: `{module}`]({page_of(module)}): {about}" for module, about in MODULES.items()]
    before, studies, after = index.partition("## Studies\n")
    return f"{before}{INDEX.format(python=chr(10).join(modules))}\n{studies}{after}"


def generated() -> dict[str, str]:
    """The pages by where they lie in the site."""
    return {
        "reference/gan.md": keys_page("Keys of a GAN's recipe", Recipe, GAN_HEAD, "GAN"),
        "reference/classifier.md": keys_page(
            "Keys of a classifier's recipe", ClassifierRecipe, CLASSIFIER_HEAD, "classifier"
        ),
        "reference/plan.md": keys_page("Keys of a study's plan", Plan, PLAN_HEAD, "plan") + executors(),
        "reference/terms.md": terms_page(),
        "reference/networks.md": networks_page(),
        "reference/metrics.md": metrics_page(),
        "reference/recipes.md": recipes_page(),
        "reference/commands.md": commands_page(),
        **python_pages(),
    }


def found(path: str) -> Any:
    """What `module:Name` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


GAN_HEAD = """\
A recipe is a YAML file with these keys, or a mapping in Python. `sparring train RECIPE key=value` changes a key, with dots
between the levels. `sparring show RECIPE` prints what a recipe comes to. `extends: NAME` builds on another recipe, and
`scale=0.1` shortens a recipe with all its schedules.

A *schedule* is a number that changes with the steps: `{knots: [[0, 2e-4], [100000, 0]]}` falls from one value to the other.
"""
CLASSIFIER_HEAD = """\
`sparring classify RECIPE key=value` trains a classifier. Its recipe is a YAML file with these keys, or a mapping in Python.
[Classifiers](../classify.md) explains them together.
"""
PLAN_HEAD = """\
A plan is a YAML file with these keys. [The studies that ship](../studies/plans.md) are examples, and
[Running a study](../studies/running.md) says how to run one. `NAME` stands for a name of your choice.
"""


def keys_page(title: str, model: type, head: str, kind: str) -> str:
    """Every key of a model under its own heading. kind: "plan", or of the recipes that examples come from."""
    parts, seen = [f"# {title}\n", head], {}
    for key in keys_of(model):
        above = key.path.rpartition(".")[0].removesuffix(".NAME")
        if above and above not in seen.values():
            continue  # the keys of a part that was described before
        parts.append(key_entry(key, kind))
        for part in key.parts:
            if part in seen:
                parts.append(f"Its keys are those of [`{seen[part]}`](#{anchor(seen[part], kind)}).\n")
            else:
                seen[part] = key.path
        if key.path in MORE:
            parts.append(MORE[key.path])
    return "\n".join(parts)


MORE = {
    "objective": "Each term has its keys: see [Terms](terms.md). `objective.sdp.weight=0.03` changes one.\n",
    "augment": "See [Augmentations](terms.md#augmentations).\n",
    "generator.network": "The names and their options are in [Networks](networks.md#generators).\n",
    "discriminator.network": "The names and their options are in [Networks](networks.md#discriminators).\n",
    "network": "The names and their options are in [Networks](networks.md#classifiers).\n",
    "criterion": "The names and their options are in [Networks](networks.md#criteria-of-classifiers).\n",
    "evaluation.metrics": "The names are in [Metrics](metrics.md).\n",
    "evaluation.extractor": "The names are in [Extractors](metrics.md#extractors).\n",
}


def anchor(path: str, kind: str) -> str:
    return f"{kind.lower()}-{path.lower().replace('.', '-').replace('_', '-')}"


def key_entry(key: Key, kind: str) -> str:
    level = "##" if "." not in key.path else "###"
    lines = [
        f"({anchor(key.path, kind)})=",
        f"{level} `{key.path}`",
        "",
        f"*{key.type}, {key.default}*",
        "",
        key.meaning,
        "",
    ]
    if kind == "plan":
        example = plan_example(key.path)
    else:
        example = key.example(shipped_values(kind)) if key.has_example and ".NAME." not in key.path else None
    return "\n".join([*lines, f"Example: `{example}`\n"] if example else lines)


@cache
def plans() -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text("utf-8")) for path in sorted(PLANS.rglob("*.yaml"))]


def plan_example(path: str) -> str | None:
    """A line of a shipped plan with this key, of those that are short."""
    for plan in plans():
        for value in values_at(plan, path.split(".")):
            text = f"{path.rpartition('.')[2]}: {as_text(value)}"
            if len(text) < 70 and value not in ("", None, {}, []):
                return text
    return None


def values_at(values: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield values
    elif isinstance(values, list):
        for each in values:
            yield from values_at(each, path)
    elif isinstance(values, Mapping):
        inner = values.values() if path[0] == "NAME" else [values[path[0]]] if path[0] in values else []
        for each in inner:
            yield from values_at(each, path[1:])


def executors() -> str:
    lines = [
        "\n## Executors\n",
        "Where the runs of a study are trained: `sparring study run PLAN --executor NAME:option=value`.\n",
    ]
    return "\n".join(lines + [f"### `{name}`\n\n{doc_markdown(found(path))}\n" for name, path in EXECUTORS.items()])


def terms_page() -> str:
    """Every term with its paper's equation, its settings and its source."""
    parts = [
        "# Terms and augmentations\n",
        "An objective is a mapping from names to terms: `objective: {hinge: {}, sdp: {k: 5}}`. Exactly one term is the",
        "host, the adversarial loss. All terms have these settings:\n",
    ]
    host = found(TERMS["hinge"])
    parts += [field_line(host, name, "objective.hinge") for name in ("weight", "generator_weight")]
    for name, path in TERMS.items():
        term = found(path)
        own = [
            field
            for field in term.model_fields
            if field not in ("weight", "generator_weight") or field in vars_of(term)
        ]
        fields = [field_line(term, field, f"objective.{name}") for field in own]
        parts += [
            f"\n## `{name}`\n",
            *class_entry(term, source=True, with_module=True),
            *(["Settings:\n"] if fields else []),
            *fields,
        ]
    parts += [
        "\n## Augmentations\n",
        "A recipe's `augment: {kind: NAME}` changes every judged image, for both players.\n",
    ]
    for name, path in AUGMENTATIONS.items():
        kind = found(path)
        fields = [field_line(kind, field, "augment") for field in kind.model_fields]
        parts += [f"\n### `{name}`\n", *class_entry(kind, source=True, with_module=True), "Settings:\n", *fields]
    return "\n".join(parts)


def vars_of(kind: type) -> set[str]:
    """The fields whose default a class, or one of its bases below `Term`, sets."""
    return {
        name
        for base in kind.__mro__
        if base.__name__ not in ("Term", "BaseModel")
        for name in inspect.get_annotations(base)
    }


def field_line(kind: Any, name: str, prefix: str) -> str:
    key = Key(f"{prefix}.{name}", kind, name, ())
    return f"- **`{name}`**: *{key.type}, {key.default}*. {key.meaning} Example: `{key.example(())}`"


def networks_page() -> str:
    parts = [
        "# Networks\n",
        "A recipe names a network, with its options: `generator: {network: {kind: dcgan, width: 64}}`, or on the command",
    ]
    parts += ["line `generator.network.width=64`. [Your own networks](../own_networks.md) says how to write one.\n"]
    sections = {
        "Generators": (GENERATORS, "generator.network"),
        "Discriminators": (BACKBONES, "discriminator.network"),
        "Classifiers": (NETWORKS, "network"),
        "Criteria of classifiers": (CRITERIA, "criterion"),
    }
    for title, (registry, prefix) in sections.items():
        parts.append(f"\n## {title}\n")
        for name, path in registry.items():
            kind = found(path)
            lines = [option_line(kind, option, prefix) for option in options(kind)]
            parts += [
                f"### `{name}`\n",
                *class_entry(kind, source=True),
                *(["Options:\n"] if lines else []),
                *lines,
                "",
            ]
    parts.append(
        "`torchvision:NAME` is any of torchvision's classifiers, untrained. Any class is `package.module:Class`.\n"
    )
    return "\n".join(parts)


def option_line(kind: Any, option: inspect.Parameter, prefix: str) -> str:
    name, default = option.name, option.default
    hint = get_type_hints(kind.__init__, include_extras=True).get(name)
    example = f"{prefix}.{name}={OPTION_EXAMPLES.get(name) or other_value(hint, default)}"
    meaning = f"*{in_words(hint)}, default `{as_text(default)}`*. {option_description(kind, name)}"
    return f"- **`{name}`**: {meaning} Example: `{example}`"


OPTION_EXAMPLES = {"width": "64", "attention": "true", "blocks": "[1, 1, 1]"}


def metrics_page() -> str:
    parts = [
        "# Metrics and extractors\n",
        "A recipe's `evaluation.metrics` and `sparring evaluate --metrics` take these names.",
    ]
    parts += ["[Measuring](../measuring.md) says what the numbers depend on.\n"]
    for name, path in METRICS.items():
        numbers = ", ".join(f"`{number}` ({better} is better)" for number, better in NUMBERS[name].items())
        parts += [
            f"## `{name}`\n",
            f"Its numbers: {numbers}.\n",
            *class_entry(found(path), source=True, with_module=True),
        ]
    parts += [
        "\n## Extractors\n",
        "A recipe's `evaluation.extractor` and `sparring evaluate --extractor` take these names.\n",
    ]
    for name, path in EXTRACTORS.items():
        parts += [f"### `{name}`\n", *class_entry(found(path), source=True, with_module=True)]
    return "\n".join(parts)


def recipes_page() -> str:
    parts = ["# Shipped recipes\n", "`sparring recipes WORD` finds one, `sparring show NAME` says what it comes to.\n"]
    listed = sorted(recipes(), key=lambda entry: (group_of(entry) != "", group_of(entry), entry["name"]))
    for group, entries in groupby(listed, key=group_of):
        parts.append(f"## {group or 'The first one'}\n")
        parts += [recipe_entry(entry) for entry in entries]
    return "\n".join(parts)


def recipe_entry(entry: Mapping[str, Any]) -> str:
    path = shipped_recipes()[entry["name"]]
    run = "It has been run in full." if entry["run_in_full"] else "It has never been run in full here."
    lines = [f"### `{entry['name']}`\n", f"{str(entry['about']).rstrip('.')}. {run}\n"]
    numbers = (entry["paper"] or {}).get("number") or {}
    if numbers:
        lines.append(f"The paper's numbers: {', '.join(f'{name} {value}' for name, value in numbers.items())}.\n")
    lines.append(f"`sparring {entry['command']} {entry['name']}`\n")
    return "\n".join([*lines, f"[The file](../../{path.relative_to(ROOT).as_posix()})\n"])


def commands_page() -> str:
    """Every command with its arguments and options, as the command line itself describes them."""
    from sparring.cli.main import app

    group = typer.main.get_command(app)
    parts = [
        "# Command line\n",
        "`sparring COMMAND --help` prints the same. Settings of a recipe are written `key=value`, options",
        "`--option value`.\n",
    ]
    return "\n".join(
        parts + [text for name, command in leaves("sparring", group) for text in command_entry(name, command)]
    )


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    for word, each in (inner or {}).items():
        yield from leaves(f"{name} {word}", each)


def command_entry(name: str, command: Any) -> Iterable[str]:
    arguments = [p for p in shown_parameters(command) if p.param_type_name == "argument"]
    usage = " ".join([name, "[OPTIONS]", *(_metavar(p) for p in arguments)])
    yield f"## `{name}`\n\n```text\n{usage}\n```\n"
    yield f"{(command.help or '').strip()}\n"
    for parameter in shown_parameters(command):
        yield parameter_line(parameter)
    yield ""


def shown_parameters(command: Any) -> list[Any]:
    return [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]


def _metavar(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return f"{name}..." if parameter.nargs == -1 else name if parameter.required else f"[{name}]"


def parameter_line(parameter: Any) -> str:
    names = (
        [_metavar(parameter)]
        if parameter.param_type_name == "argument"
        else [*parameter.opts, *parameter.secondary_opts]
    )
    shown = ", ".join(f"`{name}`" for name in names)
    default = parameter.default
    help_text = (getattr(parameter, "help", None) or "").strip()
    given = "" if default in (None, False, (), []) or "efault" in help_text else f" Default: {default}."
    return f"- **{shown}**: {help_text}{given}"
