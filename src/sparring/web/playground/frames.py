"""What a page sees of its run, packed: a JSON header, then plain arrays.

uint32 little-endian    length of the header, padded with spaces to a multiple of 4
header                  JSON; `arrays` maps a name to [dtype, shape, offset in bytes from the header's end]
arrays                  float32, each at a multiple of 4
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sparring.schedule import value_at
from sparring.toy.session import Look, ToySession, distance_of
from sparring.toy.witness import Update
from sparring.toy.worlds import World
from sparring.web.playground.divergence import jensen_shannon

SHOWN = 2_000  # points of the data that a page draws
FAR = 100.0  # of the world's scale: samples at such a distance have left it


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """One binary message. Numbers of the header that are not finite become null."""
    places, offset, parts = {}, 0, []
    for name, array in arrays.items():
        content = np.ascontiguousarray(array, dtype="<f4").tobytes()
        places[name] = ["f4", list(array.shape), offset]
        offset += len(content)
        parts.append(content)
    text = json.dumps(_finite({**header, "arrays": places}), separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([len(text).to_bytes(4, "little"), text, *parts])


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of a message."""
    end = 4 + int.from_bytes(message[:4], "little")
    header = json.loads(message[4:end])
    arrays = {}
    for name, (_, shape, offset) in header.pop("arrays").items():
        count = math.prod(shape)
        arrays[name] = np.frombuffer(message, "<f4", count, end + offset).reshape(shape)
    return header, arrays


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def world_parts(world: World, session: ToySession) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The world of a session: what stays the same from frame to frame."""
    arrays = {"data": world.data.points[:SHOWN].numpy(), "places": session.places.numpy()}
    negatives = session.negatives or world.negatives
    if negatives is not None:
        arrays["negatives"] = negatives.points[:SHOWN].numpy()
    if world.modes is not None:
        arrays["modes"] = world.modes.numpy()
    about = {"name": world.name, "about": world.about, "dimensions": world.dimensions, "view": list(world.view)}
    return {**about, "scale": world.scale, "classes": world.data.num_classes}, arrays


def side_parts(session: ToySession, look: Look, updates: list[Update]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One pair of players at a look."""
    arrays = {"samples": look.samples, "realness": look.realness, "at": look.arrows[0], "arrows": look.arrows[1]}
    if look.mesh is not None:
        arrays["mesh"] = look.mesh
    for update in updates:
        arrays |= update_arrays(update)
    numbers: dict[str, Any] | None = None
    if look.numbers:
        numbers = dict(look.numbers)
        numbers["distance"] = numbers[distance_of(session.world)]
        if session.world.dimensions == 1:
            numbers["divergence"] = jensen_shannon(
                look.samples, session.world.data.points.numpy(), session.world.view[0]
            )
    about = {"step": look.step, "of_data": look.of_data, "of_samples": look.of_samples, "numbers": numbers}
    return {**about, "losses": session.losses, "totals": totals(session)}, arrays


def update_arrays(update: Update) -> dict[str, np.ndarray]:
    """The points that an update judged, by their names on the page."""
    own = {} if update.player == "generator" or update.second else update.sides
    found = {f"batch_{name}": points for name, points in own.items()}
    for name in ("pairs", "attacked", "probes"):
        points = getattr(update, name)
        if points is not None and update.player == "discriminator":
            found[name] = points
    return found


def totals(session: ToySession) -> dict[str, float]:
    """Each player's loss: its terms times their weights, as means over the last steps."""
    found = {}
    for player in ("discriminator", "generator"):
        parts = [
            value_at(term.at(session.state.step).weight_for(player), session.state.step)
            * session.losses[f"{player}/{name}"]  # type: ignore[arg-type]
            for name, term in session.recipe.objective.terms.items()
            if f"{player}/{name}" in session.losses
        ]
        if parts:
            found[player] = sum(parts)
    return found


def alarm(world: World, look: Look) -> str | None:
    """Whether training has left the world, which is finite for long; None if it has not."""
    centre = world.data.points.mean(0).numpy()
    away = float(np.abs(np.median(look.samples, 0) - centre).max()) / world.scale
    if away > FAR:
        return f"the samples are {away:,.0f} times the data's own spread away from the data"
    return None
