"""Tests of a tiny masked model: dependence on its inputs, cost, saving and learning."""

import json
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from songgen_hf.modeling.masked.code_vectors import hidden_codes
from songgen_hf.modeling.masked.distributions import CodebookDistribution, CumulativeMixture
from songgen_hf.modeling.masked.model import HEADS, MaskedSongModel, MaskedSongOutput
from songgen_hf.training.auxiliary.guided_attention import guided_attention_loss, recorded_attention

SIZES = {
    "num_tracks": 2,
    "num_codebooks": 3,
    "codebook_size": 8,
    "codebook_dim": 6,
    "hidden_size": 16,
    "num_layers": 2,
    "num_heads": 2,
    "ffn_dim": 24,
    "condition_size": 12,
    "num_components": 8,
    "mean_rank": 2,
}
FIELDS = {"softmax": CodebookDistribution.batched, "mixture": CumulativeMixture.batched}
BOTH = pytest.mark.parametrize("head", HEADS)


def build(head="mixture", *, seed=0, **sizes):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MaskedSongModel(head=head, **{**SIZES, **sizes}).eval()
        # Far from the initialization, so that every input has an effect.
        for name, weight in model.named_parameters():
            if not name.startswith("lm_heads.scale"):
                weight.data += 0.2 * torch.randn_like(weight)
    return model


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(*, batch_size=2, frames=7, sizes=SIZES):
    """Return arguments of the model for songs of unequal lengths and conditions."""
    source = generator(5)
    tracks, depths = sizes["num_tracks"], sizes["num_codebooks"]
    shape = (batch_size, tracks, depths, frames)
    frame_mask = torch.ones(batch_size, frames, dtype=torch.bool)
    condition_mask = torch.ones(batch_size, 5, dtype=torch.int64)
    frame_mask[-1, frames - 3 :] = False
    condition_mask[-1, 3:] = 0
    return {
        "codes": torch.randint(sizes["codebook_size"], shape, generator=source),
        "visible": torch.randint(depths + 1, (batch_size, tracks, frames), generator=source),
        "conditions": torch.randn(batch_size, 5, sizes["condition_size"], generator=source),
        "condition_mask": condition_mask,
        "frame_mask": frame_mask,
    }


def assert_same(found, expected, fields, where=slice(None), **tolerance):
    for name in fields:
        torch.testing.assert_close(
            getattr(found, name)[where], getattr(expected, name)[where], **tolerance
        )


@BOTH
@torch.no_grad()
def test_hidden_codes_have_no_effect(head):
    model, inputs = build(head), batch()
    hidden = hidden_codes(inputs["visible"], 3)
    other = torch.where(hidden, -100, inputs["codes"])

    found = model(**{**inputs, "codes": other}).distribution

    assert_same(found, model(**inputs).distribution, FIELDS[head], rtol=0, atol=0)


@BOTH
@torch.no_grad()
def test_every_visible_code_changes_the_prediction(head):
    model, inputs = build(head), batch()
    inputs["visible"][:] = 2
    before = model(**inputs).distribution
    for track in range(2):
        for depth in range(2):
            codes = inputs["codes"].clone()
            codes[0, track, depth, 3] = (codes[0, track, depth, 3] + 1) % 8
            after = model(**{**inputs, "codes": codes}).distribution
            for name in FIELDS[head]:  # the whole song changes, the other song does not
                change = (getattr(after, name) - getattr(before, name)).abs()
                change = change.reshape(2, 2, 7, -1).sum(-1)
                assert (change[0] > 0).all() and (change[1] == 0).all()


@BOTH
@torch.no_grad()
def test_a_batch_equals_its_songs_one_by_one(head):
    model, inputs = build(head), batch()
    together = model(**inputs).distribution
    for row, (frames, states) in enumerate([(7, 5), (4, 3)]):
        alone = model(
            inputs["codes"][row : row + 1, ..., :frames],
            inputs["visible"][row : row + 1, :, :frames],
            inputs["conditions"][row : row + 1, :states],
            inputs["condition_mask"][row : row + 1, :states],
        ).distribution
        for name in FIELDS[head]:
            expected = getattr(alone, name)[0]
            found = getattr(together, name)[row, :, :frames]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_padding_has_no_effect_whatever_it_holds():
    model, inputs = build(), batch()
    before = model(**inputs).distribution
    inputs["codes"][-1, ..., 4:] = 99
    inputs["visible"][-1, :, 4:] = 1
    inputs["conditions"][-1, 3:] = 50.0

    after = model(**inputs).distribution

    for name in FIELDS["mixture"]:
        for row, frames in enumerate([7, 4]):
            found, expected = (getattr(each, name)[row, :, :frames] for each in (after, before))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@BOTH
@torch.no_grad()
def test_the_prediction_of_a_hidden_frame_depends_on_its_place_and_the_length(head):
    model, inputs = build(head), batch()
    inputs["visible"][:] = 0
    del inputs["frame_mask"]
    field = FIELDS[head][0]
    whole = getattr(model(**inputs).distribution, field)[0, 0].flatten(1)
    assert torch.pdist(whole).min() > 1e-3

    shorter = {k: v[..., :-1] if k in ("codes", "visible") else v for k, v in inputs.items()}
    cut = getattr(model(**shorter).distribution, field)[0, 0].flatten(1)
    assert (whole[:-1] - cut).abs().amax(1).min() > 1e-3


@BOTH
def test_the_prediction_depends_on_the_number_of_visible_codebooks(head):
    """A known code whose vector is zero differs from a hidden code."""
    model, inputs = build(head), batch()
    model.codebooks[0, 3] = 0.0
    inputs["codes"][:, :, 0] = 3
    inputs["visible"][:] = 0
    with torch.no_grad():
        nothing = model(**inputs).distribution
        inputs["visible"][0, 1, 2] = 1
        something = model(**inputs).distribution
    name = FIELDS[head][0]
    assert (getattr(nothing, name)[0] - getattr(something, name)[0]).abs().max() > 1e-3


def flops(call):
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        call()
    return counter.get_total_flops()


def sized(num_codebooks, head):
    sizes = {**SIZES, "num_codebooks": num_codebooks}
    inputs = batch(sizes=sizes)
    del inputs["frame_mask"]
    return build(head, num_codebooks=num_codebooks), inputs


@pytest.mark.slow
def test_the_cost_of_the_mixture_does_not_depend_on_the_number_of_codebooks():
    costs, losses = set(), set()
    for num_codebooks in range(1, 9):
        model, inputs = sized(num_codebooks, "mixture")
        inputs["visible"][:] = num_codebooks - 1
        costs.add(flops(partial(model, **inputs)))
        learn = partial(
            model(**inputs).distribution.losses,
            inputs["codes"],
            inputs["visible"],
            torch.ones(2, 7, dtype=torch.bool),
        )
        once = model.lm_heads.offsets.numel() * SIZES["mean_rank"] * 2  # offsets @ basis
        losses.add(flops(learn) - once)

    assert len(costs) == 1 and len(losses) == 1
    grown = [flops(lambda m=m, i=i: m(**i)) for m, i in (sized(k, "softmax") for k in (1, 8))]
    assert (
        grown[1] - grown[0] == 2 * (2 * 7) * SIZES["hidden_size"] * 2 * 7 * SIZES["codebook_size"]
    )


@BOTH
def test_a_saved_masked_model_loads_bit_for_bit(head, tmp_path):
    model, inputs = build(head, residual_rms=[1.0, 0.5, 0.3, 0.2]), batch()
    model.save_pretrained(tmp_path)

    again = MaskedSongModel.from_pretrained(tmp_path).eval()

    for name, value in model.config.items():
        assert name == "_use_default_values" or again.config[name] == value
    assert json.loads((tmp_path / "config.json").read_text())["head"] == head
    with torch.no_grad():
        found, expected = again(**inputs).distribution, model(**inputs).distribution
    assert_same(found, expected, FIELDS[head], rtol=0, atol=0)
    for name in ("level_scale", "deviations", "codebooks"):
        assert torch.equal(getattr(again, name), getattr(model, name))


def test_deviations_survive_saving_where_the_codec_measured_none(tmp_path):
    tables, model = torch.randn(3, 8, 6, generator=generator()), build()
    model.set_codebooks(codec_like(tables))
    model.save_pretrained(tmp_path)

    again = MaskedSongModel.from_pretrained(tmp_path)

    power = tables.square().mean(dim=(1, 2))
    expected = torch.stack([power[1:].sum() + power[2], 2 * power[2], power[2]]).sqrt()
    torch.testing.assert_close(again.deviations, expected)
    assert torch.equal(again.deviations, model.deviations)
    assert torch.equal(again.level_scale, model.level_scale)
    learned = again.lm_heads.offsets.data.add_(1).clone()
    again.set_codebooks(codec_like(tables))
    assert torch.equal(again.lm_heads.offsets, learned)


@BOTH
@torch.no_grad()
def test_half_precision_keeps_the_code_vectors(head, tmp_path):
    model, inputs = build(head), batch()
    model.save_pretrained(tmp_path)

    half = MaskedSongModel.from_pretrained(tmp_path, torch_dtype=torch.bfloat16).eval()
    found = half(**inputs).distribution

    assert half.layers[0].fc1.weight.dtype == torch.bfloat16
    assert torch.equal(half.codebooks, model.codebooks)
    proposal = found.propose(inputs["visible"], inputs["codes"], generator=generator())
    assert torch.isfinite(proposal.scores).all()
    expected = model(**inputs).distribution
    assert_same(found, expected, FIELDS[head], rtol=0.2, atol=0.2)


@BOTH
def test_gradient_checkpointing_changes_no_gradient(head):
    inputs = batch()

    def gradients(model):
        losses = model(**inputs).distribution.losses(
            inputs["codes"], inputs["visible"], inputs["frame_mask"]
        )
        losses["loss"].backward()
        return {name: weight.grad for name, weight in model.named_parameters()}

    plain, saving = build(head).train(), build(head).train()
    saving.enable_gradient_checkpointing()
    assert saving.is_gradient_checkpointing
    found, expected = gradients(saving), gradients(plain)

    for name, gradient in expected.items():
        if not name.startswith("length_head"):
            assert gradient is not None and gradient.abs().sum() > 0, name
            torch.testing.assert_close(found[name], gradient)


@pytest.mark.slow
@BOTH
def test_the_masked_model_learns_a_song_and_its_length(head):
    """Two songs that differ in their conditions only are generated exactly after training."""
    inputs = batch()
    codes, mask = inputs["codes"], inputs["frame_mask"]
    lengths = mask.sum(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # Codes far apart in many dimensions, as in a codec.
        sizes = {**SIZES, "hidden_size": 32, "codebook_dim": 32}
        model = MaskedSongModel(head=head, **sizes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    first = None
    for step in range(120):
        visible = torch.randint(3, (2, 2, 7), generator=generator(step)) * (step % 2)
        losses = model(**{**inputs, "visible": visible}).distribution.losses(codes, visible, mask)
        if head == "mixture":  # weighted as in training, so that components are learned early
            objective = 0.03 * losses["regression"] + losses["classification"]
        else:
            objective = losses["loss"]
        loss = objective + model.length_loss(
            inputs["conditions"], inputs["condition_mask"], lengths
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        first = losses["loss"].item() if first is None else first

    assert losses["loss"].item() < first - 1
    found = torch.zeros_like(codes)
    for depth in range(3):  # coarse codebooks first, one per pass
        visible = torch.full_like(visible, depth)
        with torch.no_grad():
            distribution = model(**{**inputs, "codes": found, "visible": visible}).distribution
        found = distribution.propose(visible, found, temperature=0.0).codes
    right = (found == codes)[mask[:, None, None].expand_as(codes)]
    assert right.float().mean() > 0.9
    frames = model.predict_frames(inputs["conditions"], inputs["condition_mask"])
    assert frames.tolist() == [7, 4]


def test_the_predicted_length_is_a_sum_over_the_visible_conditions():
    """Twice as many conditions predict twice the length, and padding adds nothing."""
    model = build()
    for name, weight in model.length_head.named_parameters():
        if not name.endswith("bias"):
            weight.data.zero_()
    conditions = torch.randn(3, 8, 12, generator=generator())
    mask = torch.arange(8)[None] < torch.tensor([2, 4, 8])[:, None]

    log_frames = model.length_head(conditions, mask.long())

    torch.testing.assert_close((log_frames - log_frames[0]).exp(), torch.tensor([1.0, 2.0, 4.0]))
    assert model.predict_frames(conditions - 100, mask).min() >= 1


def test_guided_attention_records_the_attention_of_the_masked_model():
    model, inputs = build(), batch()
    with recorded_attention(model.layers[1:2]) as seen:
        model(**inputs)
    ((attention, states, conditions),) = seen

    targets = torch.zeros(2, 7, dtype=torch.int64)
    loss, _ = guided_attention_loss(
        attention, states, conditions, inputs["condition_mask"], targets, num_lyrics=3
    )
    loss.backward()

    assert attention is model.layers[1].encoder_attn
    assert states.shape == (2, 7, 16) and conditions.shape == (2, 5, 16)
    assert attention.q_proj.weight.grad[: attention.head_dim].abs().sum() > 0


@pytest.mark.slow
def test_from_song_model_takes_tracks_sizes_and_codebooks(tiny_model):
    song_model = tiny_model("interleaving_A_V")
    codec = song_model.audio_encoder

    for head in HEADS:
        model = MaskedSongModel.from_song_model(song_model, head=head, num_layers=1, mean_rank=2)
        tables = [each.codebook.embed for each in codec.quantizer.quantizers[:4]]
        assert torch.equal(model.codebooks, torch.stack(tables))
        assert model.has_codebooks_of(codec)
        assert (model.config.num_tracks, model.config.num_codebooks) == (2, 4)
        assert model.config.frame_rate == codec.config.frame_rate
    with pytest.raises(ValueError, match="lyrics_cross_attention=False, expected True"):
        MaskedSongModel.from_song_model(tiny_model("mixed", lyrics_cross_attention=False))


def codec_like(tables, rms=None):
    """Return the parts of a codec that the model reads."""
    quantizers = [SimpleNamespace(codebook=SimpleNamespace(embed=table)) for table in tables]
    depths, size, width = tables.shape
    config = SimpleNamespace(
        residual_rms=rms, num_quantizers=depths, codebook_size=size, codebook_dim=width
    )
    return SimpleNamespace(config=config, quantizer=SimpleNamespace(quantizers=quantizers))


def test_set_codebooks_initializes_a_mixture_once():
    tables = torch.randn(5, 8, 6, generator=generator())  # a codec may have more than K
    rms = [2.0, 1.0, 0.7, 0.5, 0.4, 0.3]
    codec, model = codec_like(tables, rms), build()

    model.set_codebooks(codec)

    assert model.config.residual_rms == rms[:4]
    assert torch.equal(model.deviations, torch.tensor(rms[1:4]))
    expected = torch.tensor([(r * r - 0.25) ** 0.5 for r in rms[:3]])
    torch.testing.assert_close(model.level_scale, expected)
    centers = model.lm_heads.offsets * model.level_scale[:, None, None]
    torch.testing.assert_close(centers, tables[:3])

    bias = torch.nn.functional.softplus(model.lm_heads.scale_bias) * model.level_scale
    begins = bias + model.level_scale[-1]  # the floor
    torch.testing.assert_close(begins[0], model.level_scale[1])

    model.lm_heads.offsets.data += 1
    learned = model.lm_heads.offsets.clone()
    model.set_codebooks(codec)
    assert torch.equal(model.lm_heads.offsets, learned)
    assert not model.has_codebooks_of(codec_like(tables + 0.1, rms))
    assert not model.has_codebooks_of(codec_like(tables[:2], rms))


def test_one_set_of_offsets_as_in_the_paper_has_fewer_weights():
    shared, own = build(offsets_per_level=False), build()
    inputs = batch()

    assert shared.lm_heads.offsets.shape == (1, 8, 6) and own.lm_heads.offsets.shape == (3, 8, 6)
    losses = shared(**inputs).distribution.losses(
        inputs["codes"], inputs["visible"], inputs["frame_mask"]
    )
    assert torch.isfinite(losses["loss"])


def test_the_deviation_of_the_mixture_has_a_floor():
    model, inputs = build(scale_floor=0.5), batch()
    with torch.no_grad():
        model.lm_heads.scale_bias.fill_(-1e4)
        found = model(**inputs).distribution.log_scale.exp()

    torch.testing.assert_close(found, torch.full_like(found, 0.5 * float(model.level_scale[-1])))


def test_songgen_minis_size_stays_under_ten_million_weights():
    sizes = {"num_codebooks": 8, "codebook_size": 256, "codebook_dim": 160}
    sizes |= {"hidden_size": 256, "condition_size": 256, "num_heads": 4, "num_layers": 8}
    model = MaskedSongModel(
        **sizes, num_key_value_heads=1, ffn_dim=896, num_components=256, mean_rank=16
    )

    assert 8e6 < model.num_parameters() < 10e6


def test_outputs_can_be_converted_by_accelerate():
    output = build()(**batch())

    again = MaskedSongOutput({"distribution": output.distribution})

    assert again.distribution is output.distribution is output[0]
    assert build()(**batch(), return_dict=False)[0].means.shape == output.distribution.means.shape


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codes": torch.zeros(2, 1, 3, 7, dtype=torch.int64)}, r"codes has shape \[2, 1, 3, 7\]"),
        ({"visible": torch.zeros(2, 2, 6, dtype=torch.int64)}, r"visible has shape \[2, 2, 6\]"),
        ({"visible": torch.full((2, 2, 7), 4)}, "visible holds 4 to 4, expected 0 to 3"),
        ({"conditions": torch.zeros(2, 5, 9)}, r"expected \[2, 5, 12\]"),
        ({"condition_mask": torch.ones(1, 5)}, r"condition_mask has shape \[1, 5\]"),
        ({"frame_mask": torch.ones(2, 8)}, r"frame_mask has shape \[2, 8\], expected \[2, 7\]"),
        (
            {
                "codes": torch.full((2, 2, 3, 7), 8),
                "visible": torch.ones(2, 2, 7, dtype=torch.int64),
            },
            "codes hold the visible id 8, expected 0 to 7",
        ),
    ],
)
def test_wrong_inputs_of_the_masked_model_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build()(**{**batch(), **changes})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"head": "linear"}, "head is 'linear', expected one of softmax, mixture"),
        ({"num_tracks": 3}, "num_tracks is 3, expected 1 or 2"),
        ({"residual_rms": [1.0, 0.5]}, "residual_rms holds 2 numbers, expected .* 4"),
    ],
)
def test_wrong_sizes_of_the_masked_model_are_named(sizes, message):
    with pytest.raises(ValueError, match=message):
        MaskedSongModel(**{**SIZES, **sizes})


def test_a_codec_of_other_sizes_is_refused():
    model = build()

    with pytest.raises(ValueError, match=r"\[3, 9, 6\], expected \[3, 8, 6\]"):
        model.set_codebooks(codec_like(torch.zeros(3, 9, 6)))
    with pytest.raises(ValueError, match="2 codebooks, expected at least 3"):
        model.set_codebooks(codec_like(torch.zeros(2, 8, 6)))
