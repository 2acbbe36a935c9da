"""Saves configurations of diffusers classes without the path that they were loaded from."""

import json


class PortableConfigMixin:
    """Leaves ``_name_or_path`` out of saved configurations.

    diffusers writes the folder that a model was loaded from into its files. Such a path has no
    meaning on another machine and discloses the directories of the machine that published a model.
    The class precedes ``ConfigMixin`` of diffusers among the base classes.
    """

    def to_json_string(self) -> str:
        """Return the configuration as JSON, without the folder that it was loaded from."""
        config = json.loads(super().to_json_string())  # type: ignore[misc]
        config.pop("_name_or_path", None)
        return json.dumps(config, indent=2, sort_keys=True) + "\n"


__all__ = ["PortableConfigMixin"]
