"""Images live on the device where they fit, and other copies to a GPU come from pinned memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from sparring.data.packed import PackedImages
from sparring.data.resident import SHARE, where_they_fit
from sparring.data.transfer import to_device


def of_bytes(count: int) -> PackedImages:
    return PackedImages(torch.zeros(count, 1, 10, 10, dtype=torch.uint8), name=f"{count} images")


def test_images_move_as_long_as_they_take_their_share_of_the_memory():
    sources = [of_bytes(6), None, of_bytes(5), of_bytes(4)]
    placed = where_they_fit(sources, torch.device("meta"), memory=int(1000 / SHARE))
    assert [each and each.images.device.type for each in placed] == ["meta", None, "cpu", "meta"]  # 600 + 400 bytes
    assert placed[2] is sources[2] and placed[0].name == "6 images"
    placed = where_they_fit(sources, torch.device("meta"), memory=int(1000 / SHARE) - 4)
    assert [each and each.images.device.type for each in placed] == ["meta", None, "cpu", "cpu"]


def test_nothing_moves_on_cpus_nor_where_the_memory_is_unknown():
    world = SimpleNamespace(num_classes=0)
    sources = [of_bytes(2), world]
    for device in ("cpu", "meta"):
        placed = where_they_fit(sources, torch.device(device))
        assert placed[0] is sources[0] and placed[1] is world


@pytest.mark.parametrize(
    ("device", "said"), [("cuda:1", ["pin", "to cuda:1, not waited for"]), ("cpu", ["to cpu, waited for"])]
)
def test_copies_to_a_gpu_come_from_pinned_memory_and_are_not_waited_for(device, said):
    calls = []

    class Values:
        device = torch.device("cpu")

        def pin_memory(self):
            calls.append("pin")
            return self

        def to(self, where, dtype, non_blocking=False):
            assert dtype is torch.float64
            calls.append(f"to {where}, {'not waited for' if non_blocking else 'waited for'}")
            return self

    to_device(Values(), device, torch.float64)
    assert calls == said


def test_on_one_device_nothing_is_copied():
    values = torch.ones(3)
    assert to_device(values, "cpu") is values and to_device(values, "cpu", torch.float64).dtype == torch.float64
