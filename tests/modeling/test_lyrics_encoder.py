"""The lyrics encoder: attention by blocks of queries, and the longest lyrics."""

import pytest
import torch

from songgen_hf.modeling import conditioning, lyrics_encoder


@pytest.mark.parametrize("block", [1, 4, 5, 13])
def test_blocks_of_queries_give_the_states_of_the_whole(tiny_model, monkeypatch, block):
    encoder = tiny_model("mixed").conditioner.lyrics_encoder
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(2, 13, encoder.input_projection.in_features, generator=generator)
    mask = torch.ones(2, 13, dtype=torch.long)
    mask[0, 9:] = 0

    with torch.no_grad():
        whole = encoder(embeddings, mask)
        monkeypatch.setattr(lyrics_encoder, "QUERY_BLOCK", block)
        blocks = encoder(embeddings, mask)

    torch.testing.assert_close(blocks, whole, atol=1e-6, rtol=1e-6)


def test_lyrics_that_no_song_can_hold_are_refused(tiny_model, monkeypatch):
    monkeypatch.setattr(conditioning, "MAX_LYRICS_IDS", 10)
    conditioner = tiny_model("mixed").conditioner
    ids = torch.ones(1, 11, dtype=torch.long)

    conditioner.encode_lyrics(ids[:, :10], ids[:, :10])
    with pytest.raises(ValueError, match="11 ids, expected at most 10, .*words of one song"):
        conditioner.encode_lyrics(ids, ids)
