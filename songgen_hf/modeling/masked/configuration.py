"""The configuration by which transformers recognizes the folder of a masked song model."""

from transformers import PreTrainedConfig

from ..configuration_songgen import MASKED_MODEL_TYPE


class MaskedSongConfig(PreTrainedConfig):
    """Configuration by which transformers recognizes a masked song model.

    The sizes are stored in the files of its parts.
    """

    model_type = MASKED_MODEL_TYPE


__all__ = ["MaskedSongConfig"]
