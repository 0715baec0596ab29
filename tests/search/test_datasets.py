"""The data of a seed: fresh, disjoint, and the same each time."""

import pytest
import torch

from diffviz.search import datasets


def test_images_are_split_afresh_by_a_seed_and_nothing_is_in_both_parts():
    first, other = datasets.split("digits", 0), datasets.split("digits", 1)
    assert len(first.held) == 359
    assert len(first.train) + len(first.held) == 1797
    assert not torch.equal(first.held, other.held)
    assert first.held.min() >= -1
    assert first.held.max() == 1
    rows = {bytes(image) for image in first.train.numpy()}
    assert sum(bytes(image) in rows for image in first.held.numpy()) == 0


def test_a_toy_has_fresh_points_for_each_seed():
    first, again, other = (datasets.split("ring8", seed) for seed in (0, 0, 1))
    assert first.train.shape == (20_000, 2)
    assert first.held.shape == (1_000, 2)
    assert torch.equal(first.held, again.held)
    assert not torch.equal(first.held, other.held)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: datasets.split("rings8", 0), ValueError, "rings8"),
        (lambda: datasets.split("ring8", -1), ValueError, "seed must be at least 0"),
        (lambda: datasets.split("ring8", 0.5), TypeError, "seed must be a whole number"),
        (lambda: datasets.images("ring8"), ValueError, "unknown images 'ring8'"),
    ],
)
def test_unknown_data_and_seeds_are_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
