"""The benchmark of memory runs every row in a process of its own and reports what is documented."""

import json
import mmap
import sys
import time

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux states the memory of a process")
def test_the_last_line_is_json_with_the_memory_of_every_stage(benchmark, capsys):
    benchmark.main(
        [
            "--preset",
            "mini",
            "--layout",
            "own",
            "--formats",
            "int8",
            "--seconds",
            "0.2",
            "--clips",
            "0.5",
        ]
    )

    *table, last = capsys.readouterr().out.strip().splitlines()
    rows = json.loads(last)["kb"]
    assert list(rows) == ["int8", "encode 0.5 s", "decode 0.5 s"]
    assert len(table) == 8
    assert "int8, 0.2 s of song in " in table[5]
    song = rows["int8"]
    assert song["audio_seconds"] == pytest.approx(0.2)
    stages = [sum(song[stage].values()) for stage in ("imported", "load_peak", "peak")]
    assert 0 < stages[0] < stages[1] <= stages[2]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux states the memory of a process")
def test_the_watch_sees_what_was_held_in_between(benchmark):
    page = b"1" * mmap.PAGESIZE
    before = sum(benchmark.held().values())
    with benchmark.Watch() as watch:
        # Pages of its own: the allocator may give what this process has freed and still holds.
        block = mmap.mmap(-1, 2**26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for _ in range(2**26 // mmap.PAGESIZE):
            block.write(page)
        stop = time.monotonic() + 20
        while sum(watch.most.values()) - before < 0.9 * 2**16 and time.monotonic() < stop:
            time.sleep(0.01)
        block.close()

    assert sum(watch.most.values()) - before > 0.9 * 2**16  # kB
