"""A model's way to the Hub: a card beside its weights, everything in one commit.

The package registers who writes cards and who publishes (``songgen_hf.registration``). Where these
files have travelled with a checkpoint and the package is missing, the library's own ways remain.
"""

import json
import os
from collections.abc import Callable
from typing import Any, ClassVar


class PublishingMixin:
    """Goes before the library's class among the bases of a model.

    Attributes:
        card_writer: writes the card of (model, folder) after every save; None for nobody.
        publisher: stands in for ``push_to_hub`` with its arguments; None for the library's own.
    """

    card_writer: ClassVar[Callable[..., None] | None] = None
    publisher: ClassVar[Callable[..., Any] | None] = None

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *args: Any,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Save, and write the card unless there is one; ``push_to_hub=True`` publishes too."""
        publisher = type(self).publisher
        if push_to_hub and publisher is not None:
            names = ("repo_id", "commit_message", "private", "token", "create_pr")
            options = {name: kwargs.pop(name) for name in names if name in kwargs}
            options.setdefault("repo_id", os.path.basename(os.path.abspath(save_directory)))
            self.save_pretrained(save_directory, *args, **kwargs)
            publisher(self, folder=save_directory, **options)
            return
        if push_to_hub:
            kwargs["push_to_hub"] = True
        super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]
        # Weights given apart may be a part of them: who gives them writes the card.
        is_whole = kwargs.get("state_dict") is None and kwargs.get("is_main_process", True)
        if (writer := type(self).card_writer) is not None and is_whole:
            writer(self, save_directory)

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:
        """Publish the model with its card in one commit; options as in transformers."""
        if (publisher := type(self).publisher) is not None:
            return publisher(self, repo_id=repo_id, **options)
        return super().push_to_hub(repo_id, **options)  # type: ignore[misc]


class PlacelessConfigMixin:
    """Goes before the classes of diffusers, which write where a model was loaded from into its
    files: a path of one machine means nothing on another, and tells who published from where."""

    def to_json_string(self) -> str:
        """The configuration without the place it came from."""
        config = json.loads(super().to_json_string())  # type: ignore[misc]
        config.pop("_name_or_path", None)
        return json.dumps(config, indent=2, sort_keys=True) + "\n"


__all__ = ["PlacelessConfigMixin", "PublishingMixin"]
