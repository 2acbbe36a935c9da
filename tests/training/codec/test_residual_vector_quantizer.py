"""The training step of the codebooks against plain loops and by its properties."""

import copy
import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from transformers.models.xcodec.modeling_xcodec import XcodecResidualVectorQuantization

from songgen_hf.training.codec.residual_vector_quantizer import (
    ResidualVectorQuantizerTrainer,
    kmeans,
    smoothed_counts,
)

from ...tools.codec_cases import noise, tiny_config


def make(decay=0.9, started=True, **settings):
    quantizer = XcodecResidualVectorQuantization(tiny_config())
    trainer = ResidualVectorQuantizerTrainer(quantizer, decay=decay, **settings)
    trainer.reset()
    if started:
        trainer.start(noise(4, 20, 32, seed=1), seed=0)
    return quantizer, trainer.train()


def buffers(quantizer):
    return {name: buffer.clone() for name, buffer in quantizer.named_buffers()}


@pytest.mark.parametrize("num_codebooks", [1, 2, 4])
def test_the_gradient_of_the_sum_reaches_the_latent_unchanged(num_codebooks):
    _, trainer = make()
    latents = noise(2, 20, 8).requires_grad_()
    weights = noise(2, 20, 8, seed=2)

    (trainer(latents, num_codebooks=num_codebooks).quantized * weights).sum().backward()

    torch.testing.assert_close(latents.grad, weights)


def test_commitment_of_every_codebook_reaches_the_latent():
    quantizer, trainer = make()
    latents = noise(2, 20, 8).requires_grad_()

    trainer(latents, update=False).commitment_loss.backward()

    residual, gradient = latents.detach(), torch.zeros_like(latents)
    for level in quantizer.quantizers:
        residual = residual - level.decode(level.encode(residual))
        gradient += 2 * residual / residual.numel() / len(quantizer.quantizers)
    torch.testing.assert_close(latents.grad, gradient)


def test_codes_and_vectors_in_training_are_those_of_inference():
    quantizer, trainer = make()
    latents = noise(3, 20, 10, seed=5)
    before = copy.deepcopy(quantizer)

    result = trainer(latents)

    codes = before.encode(latents)  # [K, B, T]
    assert torch.equal(result.codes, codes.transpose(0, 1))
    torch.testing.assert_close(result.quantized, before.decode(codes))


def test_moving_averages_equal_a_plain_loop():
    quantizer, trainer = make(decay=0.9, dead_count=0.0)
    latents = noise(2, 20, 9, seed=3)
    expected = copy.deepcopy(quantizer)
    residual = latents.transpose(1, 2).reshape(-1, 20)

    trainer(latents)

    for level in range(4):
        book = expected.quantizers[level].codebook
        counts, sums = torch.zeros(16), torch.zeros(16, 20)
        chosen = [int((book.embed - vector).square().sum(1).argmin()) for vector in residual]
        for vector, code in zip(residual, chosen, strict=True):
            counts[code] += 1
            sums[code] += vector
        size = 0.9 * book.cluster_size + 0.1 * counts
        average = 0.9 * book.embed_avg + 0.1 * sums
        smooth = (size + 1e-5) / (size.sum() + 16e-5) * size.sum()
        residual = residual - book.embed[chosen]
        got = quantizer.quantizers[level].codebook
        torch.testing.assert_close(got.cluster_size, size)
        torch.testing.assert_close(got.embed_avg, average)
        torch.testing.assert_close(got.embed, average / smooth[:, None])


def test_unused_codebooks_stay_unchanged_without_move_all():
    quantizer, trainer = make(move_all=False)
    before = buffers(quantizer)

    trainer(noise(2, 20, 9), num_codebooks=2)

    for name, buffer in quantizer.named_buffers():
        changed = not torch.equal(buffer, before[name])
        assert changed == (int(name.split(".")[1]) < 2 and not name.endswith("inited")), name


def test_unused_codebooks_are_updated_like_used_ones():
    used, with_all = make()
    unused, with_two = make()

    all_of_them = with_all(noise(2, 20, 9), seed=3)
    two_of_them = with_two(noise(2, 20, 9), num_codebooks=2, seed=3)

    assert torch.equal(two_of_them.codes, all_of_them.codes[:, :2])
    assert not torch.equal(two_of_them.quantized, all_of_them.quantized)
    for name, buffer in used.named_buffers():
        assert torch.equal(buffer, dict(unused.named_buffers())[name]), name


@pytest.mark.parametrize("how", ["evaluation mode", "update=False"])
def test_codebooks_stay_unchanged_outside_of_training(how):
    quantizer, trainer = make()
    before = buffers(quantizer)

    if how == "evaluation mode":
        trainer.eval()(noise(2, 20, 9))
    else:
        trainer(noise(2, 20, 9), update=False)

    assert all(torch.equal(buffer, before[name]) for name, buffer in quantizer.named_buffers())


def kill(book, code):
    book.embed[code] = 1e3
    book.embed_avg[code] = 0.0
    book.cluster_size[code] = 0.0


def test_dead_codes_become_vectors_of_the_batch_and_stay_for_a_while():
    quantizer, trainer = make(dead_fraction=0.5, revival_reach=1.0)
    book = quantizer.quantizers[0].codebook
    kill(book, 3)
    latents = noise(4, 20, 16, seed=7)

    trainer(latents, num_codebooks=1, seed=1)

    vectors = latents.transpose(1, 2).reshape(-1, 20)
    assert (vectors - book.embed[3]).abs().amax(dim=1).min() < 1e-5
    revived = book.embed[3].clone()
    trainer(latents, num_codebooks=1, seed=2)
    assert F.cosine_similarity(book.embed[3], revived, dim=0) > 0.7


def test_a_code_revived_near_another_takes_over_part_of_its_vectors():
    quantizer, trainer = make(dead_fraction=0.5, revival_reach=0.1)
    book = quantizer.quantizers[0].codebook
    kill(book, 3)
    latents = noise(4, 20, 64, seed=7)

    trainer(latents, num_codebooks=1, seed=1)

    distances = (book.embed - book.embed[3]).norm(dim=1)
    distances[3] = float("inf")
    assert distances.min() < 0.5 * book.embed[3].norm()
    codes = trainer.eval()(latents, num_codebooks=1).codes
    assert (codes == 3).any() and (codes == distances.argmin()).any()


def test_all_codes_come_into_use_from_a_collapsed_start():
    quantizer, trainer = make()
    for level in quantizer.quantizers:
        level.codebook.embed.fill_(100.0)
        level.codebook.embed_avg.fill_(100.0)
        level.codebook.cluster_size.fill_(1.0)
    latents = noise(8, 20, 32, seed=4)

    for step in range(60):
        codes = trainer(latents, seed=step).codes

    # A code revived in the last step may still be waiting for its first vector.
    assert min(len(codes[:, level].unique()) for level in range(4)) >= 15


def test_revival_depends_on_the_seed_alone():
    outcomes = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed + len(outcomes))
        quantizer, trainer = make()
        quantizer.quantizers[0].codebook.cluster_size[:8] = 0.0
        trainer(noise(4, 20, 16, seed=7), seed=seed)
        outcomes.append(quantizer.quantizers[0].codebook.embed.clone())
    assert torch.equal(outcomes[0], outcomes[1])
    assert not torch.equal(outcomes[0], outcomes[2])


def test_the_first_pass_starts_by_kmeans_and_uses_all_codes():
    quantizer, trainer = make(started=False)
    assert not trainer.started

    codes = trainer(noise(4, 20, 32)).codes

    assert trainer.started
    assert [len(codes[:, level].unique()) for level in range(4)] == [16, 16, 16, 16]


@pytest.mark.parametrize("num_vectors", [16, 40, 500])
def test_kmeans_uses_every_cluster_and_never_increases_the_distance(num_vectors):
    vectors = noise(num_vectors, 5)
    distances = []

    for iterations in (0, 1, 2, 5, 20):
        centers, counts = kmeans(vectors, 16, iterations=iterations, seed=3)
        distances.append(float(torch.cdist(vectors, centers).min(dim=1).values.square().sum()))
        assert counts.min() >= 1 and counts.sum() == num_vectors

    assert distances == sorted(distances, reverse=True)


def test_kmeans_finds_separate_clusters_from_starts_in_one_of_them():
    vectors = torch.cat([noise(200, 2), noise(5, 2, seed=1) + 100, noise(5, 2, seed=2) - 100])

    centers, counts = kmeans(vectors, 3, iterations=10, seed=0)

    assert sorted(counts.tolist()) == [5, 5, 200]


def test_kmeans_of_fewer_vectors_than_clusters_keeps_them_all():
    vectors = noise(5, 3)

    centers, counts = kmeans(vectors, 12, iterations=10, seed=0)

    assert torch.cdist(vectors, centers).min(dim=1).values.max() < 1e-6
    assert len(centers.unique(dim=0)) == 12
    assert counts.sum() == pytest.approx(5)


def test_smoothing_keeps_the_sum_and_leaves_no_zero():
    counts = torch.tensor([0.0, 3.0, 5.0])

    smoothed = smoothed_counts(counts, 1e-5)

    assert smoothed.sum() == pytest.approx(8.0)
    assert smoothed.min() > 0


def test_residual_rms_is_what_each_codebook_leaves_over():
    quantizer, trainer = make(decay=0.0)
    latents = noise(4, 20, 16, seed=9)
    residual, expected = latents, [latents.square().mean().sqrt()]
    for level in copy.deepcopy(quantizer).quantizers:
        residual = residual - level.decode(level.encode(residual))
        expected.append(residual.square().mean().sqrt())

    trainer(latents)

    assert trainer.residual_rms() == pytest.approx([float(value) for value in expected], rel=1e-5)
    assert trainer.residual_rms() == sorted(trainer.residual_rms(), reverse=True)


@pytest.mark.parametrize("num_codebooks", [0, 5])
def test_more_codebooks_than_the_quantizer_has_are_refused(num_codebooks):
    _, trainer = make()
    with pytest.raises(ValueError, match=f"num_codebooks is {num_codebooks}, expected 1 to 4"):
        trainer(noise(1, 20, 4), num_codebooks=num_codebooks)


def test_a_decay_of_one_is_refused():
    with pytest.raises(ValueError, match="decay is 1.0, expected 0 <= decay < 1"):
        make(decay=1.0)


def _one_process(rank, port, folder):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    quantizer, trainer = make(started=False)
    for step in range(3):
        trainer(noise(2, 20, 20, seed=step * 2 + rank), seed=step)
    torch.save(quantizer.state_dict(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_two_processes_end_with_the_codebooks_of_one_with_both_batches(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Forks import nothing again; they take no gradient, which would need threads of the parent.
    mp.start_processes(_one_process, args=(port, str(tmp_path)), nprocs=2, start_method="fork")
    quantizer, trainer = make(started=False)
    for step in range(3):
        trainer(torch.cat([noise(2, 20, 20, seed=step * 2 + rank) for rank in range(2)]), seed=step)

    states = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]

    for name, value in quantizer.state_dict().items():
        assert torch.equal(states[0][name], states[1][name]), name
        torch.testing.assert_close(states[0][name], value, rtol=1e-4, atol=1e-5)


def test_commitment_is_the_mean_over_the_codebooks_used():
    quantizer, trainer = make()
    latents = noise(2, 20, 8, seed=6)
    expected, residual = [], latents
    for level in quantizer.quantizers[:2]:
        chosen = level.decode(level.encode(residual))
        expected.append(F.mse_loss(residual, chosen))
        residual = residual - chosen

    got = trainer(latents, num_codebooks=2, update=False).commitment_loss

    torch.testing.assert_close(got, torch.stack(expected).mean())
