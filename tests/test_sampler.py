"""Evaluation draws the same images from a generator for any batches and ranks, and with noise inside the network."""

from __future__ import annotations

import torch

from sparring.run.generator import sampler_of


class Noisy(torch.nn.Module):
    """A generator that draws noise in its forward pass and couples the images of a batch."""

    def __init__(self):
        super().__init__()
        self.map = torch.nn.Linear(2, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.batch_statistics = True

    def forward(self, z, labels=None):
        return (self.norm(self.map(z)) / 3 + torch.randn(len(z), 4) / 9).view(-1, 1, 2, 2)


def test_measured_samples_do_not_depend_on_batches_or_ranks():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Noisy()
    n = 530

    def in_batches(size, first=0, last=n):
        generate = sampler_of(network, 2, 0, seed=3)
        return torch.cat([generate(i, min(size, last - i)) for i in range(first, last, size)])

    whole = in_batches(n)
    assert whole.shape == (n, 1, 2, 2) and len(whole.unique(dim=0)) == n
    for size in (1, 64, 100, 250):
        assert torch.equal(in_batches(size), whole), size
    ranks = [in_batches(64, n * rank // 2, n * (rank + 1) // 2) for rank in (0, 1)]
    assert torch.equal(torch.cat(ranks), whole)
    assert not torch.equal(sampler_of(network, 2, 0, seed=4)(0, n), whole)
    torch.nn.init.zeros_(network.map.weight)
    noise = in_batches(n)  # alone
    assert not torch.equal(noise[:100], noise[100:200])


def test_a_sampler_uses_the_current_weights():
    network = Noisy()
    generate = sampler_of(network, 2, 0, seed=3)
    before = generate(0, 30)
    network.map.weight.data.neg_()
    assert not torch.equal(generate(0, 30), before)
