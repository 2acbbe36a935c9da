"""The share of voice of a track, with a tiny separator."""

import numpy as np
import pytest

from songgen_hf.evaluation.backbones.voice_share import VoiceShare

from ...tools.separation_cases import noise, tiny_separator


def test_the_share_is_that_of_the_separated_vocal(tmp_path):
    separator = tiny_separator()
    separator.save_pretrained(tmp_path)
    backbone = VoiceShare(str(tmp_path))
    sound = noise(backbone.sampling_rate)

    share = float(backbone(sound)["share"])

    separated = np.concatenate(list(backbone.separator.vocal([sound[:, None]])))
    assert share == pytest.approx(float(np.square(separated).sum() / np.square(sound).sum()), 1e-5)
    assert share > 0 and backbone.settings["revision"].startswith("sha256:")


@pytest.mark.parametrize("samples", [0, 1, 8000])
def test_silence_has_no_voice(samples):
    assert VoiceShare()(np.zeros(samples, np.float32))["share"] == 0


def test_the_embedded_separator_is_the_default():
    backbone = VoiceShare()

    assert backbone.settings["model"] == "separator-mini"


def test_an_unknown_separator_is_one_line():
    with pytest.raises(ValueError, match="nowhere") as refused:
        VoiceShare("nowhere")
    assert "\n" not in str(refused.value)
