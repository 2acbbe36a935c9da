"""Stream a song: every chunk of audio is written as soon as it is decoded.

python examples/stream_a_song.py [CHECKPOINT]     (default: the model of the package)
"""

import sys
import time

import soundfile

from songgen_hf import SongGenForConditionalGeneration, SongGenProcessor, default_checkpoint
from songgen_hf.pipelines.streaming import stream_song

checkpoint = sys.argv[1] if len(sys.argv) > 1 else default_checkpoint()
model = SongGenForConditionalGeneration.from_pretrained(checkpoint).eval()
processor = SongGenProcessor.from_pretrained(checkpoint)
inputs = processor(text="a calm piano ballad", lyrics="Soft the rain on the window")

start, rate = time.perf_counter(), model.config.sampling_rate
with soundfile.SoundFile("stream.wav", "w", samplerate=rate, channels=1) as file:
    for chunk in stream_song(model, **inputs, seed=7, min_new_frames=100, max_new_frames=150):
        file.write(chunk.waveform.numpy())
        print(f"{time.perf_counter() - start:5.2f} s: {file.frames / rate:.2f} s of song")
