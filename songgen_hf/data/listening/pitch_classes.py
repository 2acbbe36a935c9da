"""The names of the twelve pitch classes, as keys are written."""

PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

__all__ = ["PITCH_CLASSES"]
