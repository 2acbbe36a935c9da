"""Draw the mel spectrogram of a song, with its lyrics if `songgen-hf generate` wrote a JSON file.

python examples/picture_of_a_song.py RECORDING [picture.png]     (needs matplotlib)
"""

import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
import soundfile
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

recording = Path(sys.argv[1])
picture = sys.argv[2] if len(sys.argv) > 2 else "song.png"
waveform, rate = soundfile.read(recording, always_2d=True)
power = spectrogram(
    waveform.mean(axis=1),
    window_function(1024, "hann"),
    frame_length=1024,
    hop_length=rate // 100,
    power=2.0,
    mel_filters=mel_filter_bank(513, 96, 40.0, rate / 2, rate, mel_scale="htk"),
)
figure, axis = plt.subplots(figsize=(9, 2.6), layout="constrained")
level = 10 * np.log10(power + 1e-9)
axis.imshow(level, origin="lower", aspect="auto", cmap="magma", vmin=level.max() - 80,
            extent=(0, len(waveform) / rate, 0, 96))  # fmt: skip
facts = recording.with_suffix(".json")
if facts.is_file():
    song = json.loads(facts.read_text(encoding="utf-8"))
    lyrics = " / ".join((song["lyrics"] or "").splitlines())
    axis.set_title(f"{song['text']}\n{lyrics}", fontsize=8)
axis.set(xlabel="seconds", ylabel="mel bands")
figure.savefig(picture, dpi=80)
print(picture)
