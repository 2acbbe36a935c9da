"""Shards of a dataset cover all rows and have the names that the Hub expects."""

from songgen_hf.data.shards import shards_of


def test_shards_cover_every_row_once():
    shards = shards_of({"train": 7, "validation": 0, "test": 1}, 3)

    train = [shard for shard in shards if shard.split == "train"]
    assert [row for shard in train for row in range(shard.first, shard.last)] == list(range(7))
    assert [shard.num_rows for shard in train] == [3, 3, 1]
    assert train[2].name == "train-00002-of-00003.parquet"
    assert [shard.split for shard in shards] == ["train"] * 3 + ["test"]
