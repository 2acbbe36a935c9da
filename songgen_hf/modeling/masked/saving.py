"""Saving of the parts of diffusers, without the folder that they were loaded from."""

import json


class PortableConfigMixin:
    """Leaves ``_name_or_path`` out of saved configurations; precedes diffusers' ``ConfigMixin``.

    diffusers writes the folder that a model was loaded from into its files. A path of one machine
    means nothing on another and discloses where a model was published from.
    """

    def to_json_string(self) -> str:
        """The configuration as JSON, without the folder it was loaded from."""
        config = json.loads(super().to_json_string())  # type: ignore[misc]
        config.pop("_name_or_path", None)
        return json.dumps(config, indent=2, sort_keys=True) + "\n"


__all__ = ["PortableConfigMixin"]
