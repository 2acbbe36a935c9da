"""Sing with a two-track model and write the mixture, the vocal and the accompaniment.

python examples/sing_two_tracks.py [CHECKPOINT]     (default: a new, untrained one)
"""

import sys
import tempfile
from pathlib import Path

import soundfile
from transformers import pipeline

import songgen_hf  # noqa: F401  registers the task "text-to-song"
from songgen_hf.checkpoints import write_untrained

checkpoint = sys.argv[1] if len(sys.argv) > 1 else str(Path(tempfile.mkdtemp()) / "model")
if not Path(checkpoint).exists():
    write_untrained(checkpoint, preset="mini", track_pattern="interleaving_A_V", seed=0)

sing = pipeline("text-to-song", model=checkpoint)
song = sing("a slow waltz, male voice", lyrics="Turn with me", seed=1, min_seconds=1, max_seconds=2)
for track in ("audio", "vocal", "accompaniment"):
    soundfile.write(f"{track}.wav", song[track].T, song["sampling_rate"])
    print(f"{track}.wav", song[track].shape)
