"""Continue a recording: its codes open the song, the model goes on from there.

python examples/continue_a_song.py RECORDING [CHECKPOINT]     (default: the package's own)
"""

import sys

import soundfile
from transformers import pipeline

import songgen_hf

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
soundfile.write("continued.wav", song["audio"].T, song["sampling_rate"])
print("continued.wav", song["audio"].shape)
