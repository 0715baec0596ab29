import math

import pytest
import torch

from diffviz.learning.models import LEVEL, MLP, Transformer, level


def weights(model, shape, k, seed=0):
    """Random weights also where training starts from zero, so that nothing is hidden by a zero."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(k, *s, generator=generator) * max(std, 0.05) for s, std in model.weights(shape)
    ]


CASES = [
    (MLP(width=8, depth=2), (2,)),
    (MLP(width=8, depth=1, frequencies=()), (5,)),
    (MLP(width=8), (3, 4)),
    (Transformer(width=8, depth=2, heads=2), (8, 8)),
    (Transformer(width=8, depth=1, heads=2), (3, 4, 6)),
    (Transformer(width=8, depth=1, heads=2, patch=2), (8, 8)),
]


def test_networks_without_settings_have_three_layers_or_blocks_of_64():
    """In the plane 2 + 2 · 2 · 3 features of z and those of the level feed the first layer."""
    numbers = sum(math.prod(shape) for shape, _ in MLP().weights((2,)))
    features = 2 + 2 * 2 * 3 + LEVEL
    assert numbers == (features + 1) * 64 + 2 * (64 + 1) * 64 + (64 + 1) * 2
    assert Transformer() == Transformer(width=64, depth=3, heads=4, patch=None)


@pytest.mark.parametrize(("model", "shape"), CASES)
def test_the_output_has_the_shape_of_z(model, shape):
    z = torch.randn(3, 5, *shape)
    assert model(weights(model, shape, 3), z, torch.randn(3, 5)).shape == z.shape


@pytest.mark.parametrize(("model", "shape"), CASES)
def test_objectives_and_points_do_not_mix(model, shape):
    """Each objective's output, and each point's, is what it is alone."""
    stacked, z, logsnr = weights(model, shape, 3), torch.randn(3, 5, *shape), torch.randn(3, 5)
    whole = model(stacked, z, logsnr)
    for k in range(3):
        alone = model([w[k : k + 1] for w in stacked], z[k : k + 1, 2:3], logsnr[k : k + 1, 2:3])
        torch.testing.assert_close(whole[k, 2], alone[0, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("model", "shape"), CASES)
def test_z_and_the_level_both_count(model, shape):
    w, z, logsnr = weights(model, shape, 1), torch.randn(1, 5, *shape), torch.zeros(1, 5)
    assert not torch.allclose(model(w, z, logsnr), model(w, z, logsnr + 1))
    assert not torch.allclose(model(w, z, logsnr), model(w, z.flip(1), logsnr))


@pytest.mark.parametrize(("model", "shape"), CASES)
def test_a_fresh_network_puts_out_zero(model, shape):
    """Its last layer starts at zero, so that training starts from the best linear guess."""
    start = [torch.randn(1, *s) * std for s, std in model.weights(shape)]
    assert not model(start, torch.randn(1, 2, *shape), torch.zeros(1, 2)).any()


def test_the_usual_frequencies_are_octaves():
    assert [math.log2(each) for each in MLP().frequencies] == [0.0, 1.0, 2.0]


def test_the_perceptron_is_the_textbook_one():
    """By a second route: torch's own layers."""
    model = MLP(width=8, depth=2, frequencies=(1.0, 3.0))
    w, z, logsnr = weights(model, (2,), 1), torch.randn(1, 5, 2), torch.randn(1, 5)
    features = [
        z[0],
        *(
            f(c * z[0, :, i : i + 1])
            for f in (torch.sin, torch.cos)
            for i in (0, 1)
            for c in (1.0, 3.0)
        ),
        level(logsnr[0]),
    ]
    h = torch.cat(features, 1)
    for i in range(0, 4, 2):
        h = torch.nn.functional.silu(torch.nn.functional.linear(h, w[i][0].T, w[i + 1][0, 0]))
    h = torch.nn.functional.linear(h, w[4][0].T, w[5][0, 0])
    torch.testing.assert_close(model(w, z, logsnr)[0], h)


def test_the_transformer_is_the_textbook_one():
    """By a second route, for one point: torch's attention layer, and adaLN-zero as in its paper."""
    d, F = 8, torch.nn.functional
    w = weights(model := Transformer(width=d, depth=1, heads=2, patch=2), (4, 4), 1)
    z, logsnr = torch.randn(1, 1, 4, 4), torch.randn(1, 1)
    position, *rest = (one[0] for one in w)
    apply = [lambda x, w=w, b=b: x @ w + b[0] for w, b in zip(rest[::2], rest[1::2], strict=True)]
    embed, embed_level, modulate, _, _, widen, narrow, modulate_last, last = apply
    x = embed(F.unfold(z[0, :, None].squeeze(1)[None], 2, stride=2)[0].T) + position
    c = F.silu(embed_level(level(logsnr)[0]))
    shift, scale, gate, shift2, scale2, gate2 = modulate(c).chunk(6, -1)
    attention = torch.nn.MultiheadAttention(d, 2, batch_first=True)
    attention.in_proj_weight.data, attention.in_proj_bias.data = rest[6].T.contiguous(), rest[7][0]
    attention.out_proj.weight.data, attention.out_proj.bias.data = (
        rest[8].T.contiguous(),
        rest[9][0],
    )
    h = F.layer_norm(x, (d,)) * (1 + scale) + shift
    x = x + gate * attention(h[None], h[None], h[None])[0][0]
    x = x + gate2 * narrow(
        F.gelu(widen(F.layer_norm(x, (d,)) * (1 + scale2) + shift2), approximate="tanh")
    )
    shift, scale = modulate_last(c).chunk(2, -1)
    x = last(F.layer_norm(x, (d,)) * (1 + scale) + shift)
    torch.testing.assert_close(
        model(w, z, logsnr)[0], F.fold(x.T[None], (4, 4), 2, stride=2)[0], rtol=1e-4, atol=1e-5
    )


def test_the_transformer_moves_with_its_patches():
    """Without positions, exchanging two patches of the input exchanges them in the output."""
    model, shape = Transformer(width=8, depth=2, heads=2, patch=2), (4, 4)
    w = weights(model, shape, 1)
    w[0].zero_()
    z = torch.randn(1, 3, *shape)
    swapped = torch.cat([z[..., 2:], z[..., :2]], -1)
    out = model(w, z, torch.zeros(1, 3))
    torch.testing.assert_close(
        model(w, swapped, torch.zeros(1, 3)), torch.cat([out[..., 2:], out[..., :2]], -1)
    )


def test_features_of_the_level_are_bounded_and_tell_levels_apart():
    logsnr = torch.linspace(-20, 20, 401)
    features = level(logsnr)
    assert features.shape == (401, LEVEL) and features.abs().max() <= 1
    assert (features[1:] - features[:-1]).norm(dim=1).min() > 0.01
    assert torch.equal(level(torch.tensor([-math.inf, -30.0])), features[:1].expand(2, -1))


@pytest.mark.parametrize(
    ("shape", "tokens"),
    [((8, 8), 4), ((14, 14), 4), ((28, 28), 16), ((3, 12, 20), 15), ((11, 13), 143)],
)
def test_an_image_of_any_size_is_cut_into_patches_of_at_most_seven(shape, tokens):
    assert Transformer().weights(shape)[0][0][0] == tokens


@pytest.mark.parametrize(
    ("model", "shape"), [(Transformer(patch=3), (8, 8)), (Transformer(width=10), (8, 8))]
)
def test_sizes_that_do_not_divide_are_refused(model, shape):
    with pytest.raises(ValueError, match="must divide"):
        model.weights(shape)
