"""Continue a recording: the model generates the song that follows its codes.

python examples/continue_a_song.py RECORDING [CHECKPOINT]     (default: the model of the package)
"""

import sys

from transformers import pipeline

import songgen_hf
from songgen_hf.provenance import provenance, write_song

recording = sys.argv[1]
checkpoint = sys.argv[2] if len(sys.argv) > 2 else songgen_hf.default_checkpoint()
sing = pipeline("text-to-song", model=checkpoint)
song = sing(
    "a calm piano ballad",
    lyrics="Soft the rain on the window",
    audio_prompt=recording,
    seed=7,
    min_seconds=1,
    max_seconds=2,
)
record = provenance(sing.model, seed=song["seed"], options={"text": "a calm piano ballad"})
write_song("continued.wav", song["audio"], song["sampling_rate"], record)
print("continued.wav", song["audio"].shape)
