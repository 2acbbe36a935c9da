"""A small run of the benchmark of a Space with many clients."""

from argparse import Namespace

import pytest

from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_processor, tiny_singer

__all__ = ["tiny_checkpoint", "tiny_processor", "tiny_singer"]


def test_the_requests_of_all_clients_differ(benchmark):
    requests = [benchmark.request_of(number, 1.0) for number in range(100)]

    assert len({tuple(request.values()) for request in requests}) == 100


@pytest.mark.slow
def test_clients_get_their_own_songs_and_no_files_are_left(benchmark, tiny_checkpoint, tmp_path):
    pytest.importorskip("gradio", reason="needs the extra space")
    arguments = Namespace(clients=4, killed=1, hostile=0, seconds=1.0, warm_up=1)

    with benchmark.running_space([tiny_checkpoint("mixed_pro")], 1, tmp_path) as (address, process):
        result = benchmark.measure(address, process, arguments, tmp_path)

    assert result["wrong"] == [] and result["uploads_wrong"] == []
    assert benchmark.what_is_left(tmp_path) == {"files_left": 0, "failures": 0}
    assert (result["songs"], result["killed"], result["songs_left"]) == (4, 1, 0)
    assert abs(result["memory_change"]) < 0.10
