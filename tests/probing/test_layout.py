"""Places of the numbers of a draw in z, and groups of components of one level."""

import numpy as np
import torch

from diffviz.probing.layout import level_groups, relative_data_scale, trace

ROWS, SIZE = 5, 40


def traced(function, shape=(ROWS, SIZE)):
    return trace(lambda values: function(values.reshape(shape).float()), shape, 1e-4)


def test_numbers_in_order_are_found_with_their_coefficients():
    factor = torch.linspace(0.1, 2, ROWS)[:, None]
    found = traced(lambda values: factor * values)
    assert found.source.in_order
    torch.testing.assert_close(found.coefficient, factor.expand(ROWS, SIZE))


def test_a_permutation_is_found_and_undone():
    order = torch.randperm(SIZE, generator=torch.Generator().manual_seed(0))
    found = traced(lambda values: -0.5 * values[:, order])
    assert torch.equal(found.source.inside, order)
    values = torch.arange(3.0 * SIZE).reshape(3, SIZE)
    torch.testing.assert_close(found.source.of(values), values[:, order])


def test_rows_that_change_their_places_are_found_one_by_one():
    rows = torch.tensor([3, 1, 4, 0, 2])
    found = traced(lambda values: values[rows])
    assert found.source.inside is None
    values = torch.randn(ROWS, SIZE)
    torch.testing.assert_close(found.source.of(values), values[rows])


def test_a_number_that_components_share_is_counted():
    found = traced(lambda values: values.repeat_interleave(4, 1), (ROWS, 10))
    assert (found.source.sharers, found.source.shared) == (4, True)


def test_sums_and_functions_of_numbers_have_no_places():
    assert traced(lambda values: values + values.roll(1, 1)) is None
    assert traced(lambda values: values.tanh()) is None
    assert traced(lambda values: values - values.mean(1, keepdim=True)) is None


def test_components_of_one_level_are_a_group():
    logsnr = torch.randn(ROWS, 3).repeat_interleave(2, 1)[:, [0, 2, 4, 1, 3, 5]]
    groups, mixed = level_groups(logsnr)
    assert [group.tolist() for group in groups] == [[0, 3], [1, 4], [2, 5]]
    assert not mixed


def test_components_without_noise_are_in_no_group():
    logsnr = torch.randn(ROWS, 1).expand(ROWS, 4).clone()
    logsnr[:, 1] = torch.inf
    groups, _ = level_groups(logsnr)
    assert [group.tolist() for group in groups] == [[0, 2, 3]]


def test_too_many_levels_are_mixed():
    groups, mixed = level_groups(torch.randn(ROWS, 64))
    assert mixed
    assert all(len(group) == 1 for group in groups)


def test_a_scale_by_channel_is_no_difference_of_level():
    alpha = np.random.default_rng(0).uniform(0.1, 1, (ROWS, 1)) * np.array([1.0, 2, 4])
    scale = relative_data_scale(alpha, np.full((ROWS, 3), 0.3))
    np.testing.assert_allclose(scale, [0.5, 1, 2])
    assert relative_data_scale(alpha, 1 - alpha / 5) is None
