"""Generate a song with a two-track model; write the mixture, the vocal and the accompaniment.

python examples/sing_two_tracks.py [CHECKPOINT]     (default: a new, untrained model)
"""

import sys
import tempfile
from pathlib import Path

from transformers import pipeline

from songgen_hf.checkpoints.embedded import write_untrained
from songgen_hf.provenance import provenance, write_song

checkpoint = sys.argv[1] if len(sys.argv) > 1 else str(Path(tempfile.mkdtemp()) / "model")
if not Path(checkpoint).exists():
    write_untrained(checkpoint, preset="mini", track_pattern="interleaving_A_V", seed=0)

sing = pipeline("text-to-song", model=checkpoint)
song = sing("a slow waltz, male voice", lyrics="Turn with me", seed=1, min_seconds=1, max_seconds=2)
record = provenance(sing.model, seed=song["seed"], options={"text": "a slow waltz, male voice"})
for track in ("audio", "vocal", "accompaniment"):
    write_song(f"{track}.wav", song[track], song["sampling_rate"], record)
    print(f"{track}.wav", song[track].shape)
