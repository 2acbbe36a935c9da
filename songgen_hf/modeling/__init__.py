"""Configurations, models and processor of SongGen, which a checkpoint can carry as remote code."""
