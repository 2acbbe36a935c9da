"""Creates the lyrics tokenizer, a fast tokenizer with a vocabulary that the caller provides.

The vocabulary must contain the marks that are defined below. The processor normalizes the lyrics
and adds language tags such as ``[en]`` before it calls the tokenizer.
"""

import json
import os
from typing import Any

from huggingface_hub import hf_hub_download
from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

LYRICS_START = "[START]"
LYRICS_STOP = "[STOP]"
LYRICS_UNKNOWN = "[UNK]"
LYRICS_SPACE = "[SPACE]"


def lyrics_tokenizer_from_vocab(
    vocab: str | os.PathLike, *, filename: str = "vocab.json", **hub_options: Any
) -> PreTrainedTokenizerFast:
    """Create a lyrics tokenizer from a vocabulary in the JSON format of the tokenizers library.

    Args:
        vocab: path of the file, or a Hub repository that holds ``filename``.
        filename: name of the file in the repository.
        **hub_options: ``cache_dir``, ``token``, ``local_files_only`` for the download.
    Returns:
        A tokenizer that adds ``[START]`` before and ``[STOP]`` after the lyrics.
    Raises:
        ValueError: if the file cannot be found or is not such a vocabulary.
    """
    path = os.fspath(vocab)
    if not os.path.isfile(path):
        try:
            path = hf_hub_download(path, filename, **hub_options)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"no lyrics vocabulary: {os.fspath(vocab)!r} is not a file, and {filename} could "
                f"not be downloaded from a Hub repository of that name; download {filename} of "
                "coqui/XTTS-v2 and pass its path as lyrics_vocab="
            ) from error
    try:
        with open(path, encoding="utf-8") as file:
            tokenizer = Tokenizer.from_str(json.dumps(json.load(file)))
    except Exception as error:  # tokenizers raises nothing narrower
        raise ValueError(
            f"{os.path.basename(path)!r} is not a vocabulary in the JSON format of the tokenizers "
            f"library ({error})"
        ) from error
    return wrap_lyrics_tokenizer(tokenizer)


def wrap_lyrics_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Wrap a ``tokenizers`` object as a fast tokenizer that adds start and stop marks of lyrics.

    Raises:
        ValueError: if the vocabulary lacks one of the four marks.
    """
    marks = (LYRICS_START, LYRICS_STOP, LYRICS_UNKNOWN, LYRICS_SPACE)
    ids = {mark: tokenizer.token_to_id(mark) for mark in marks}
    missing = [mark for mark, index in ids.items() if index is None]
    if missing:
        raise ValueError(f"a lyrics vocabulary needs the tokens {marks}, missing: {missing}")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{LYRICS_START} $A {LYRICS_STOP}",
        special_tokens=[(mark, ids[mark]) for mark in (LYRICS_START, LYRICS_STOP)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=LYRICS_START,
        eos_token=LYRICS_STOP,
        unk_token=LYRICS_UNKNOWN,
        pad_token=LYRICS_STOP,  # the reference pads lyrics with id 0, which is this token
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


__all__ = ["lyrics_tokenizer_from_vocab", "wrap_lyrics_tokenizer"]
