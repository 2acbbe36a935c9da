from ...training.conftest import annotated_folder, own_datasets_cache, tiny_checkpoint

__all__ = ["annotated_folder", "own_datasets_cache", "tiny_checkpoint"]
