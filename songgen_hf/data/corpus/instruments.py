"""The General-MIDI instruments of the corpus, with their families and registers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Instrument:
    """A General-MIDI instrument.

    Args:
        program: number of the General-MIDI program, from 0.
        name: name in captions and metadata.
        family: family in the metadata.
        center: MIDI pitch around which the instrument plays a melody.
        sustained: whether notes keep their level until they end; otherwise they decay.
    """

    program: int
    name: str
    family: str
    center: int
    sustained: bool


INSTRUMENTS = {
    instrument.name: instrument
    for instrument in (
        Instrument(0, "piano", "piano", 74, False),
        Instrument(3, "honky-tonk piano", "piano", 72, False),
        Instrument(4, "electric piano", "piano", 70, False),
        Instrument(6, "harpsichord", "piano", 72, False),
        Instrument(9, "glockenspiel", "mallets", 84, False),
        Instrument(10, "music box", "mallets", 82, False),
        Instrument(11, "vibraphone", "mallets", 74, False),
        Instrument(12, "marimba", "mallets", 72, False),
        Instrument(13, "xylophone", "mallets", 80, False),
        Instrument(16, "drawbar organ", "organ", 70, True),
        Instrument(18, "rock organ", "organ", 69, True),
        Instrument(21, "accordion", "organ", 72, True),
        Instrument(22, "harmonica", "organ", 74, True),
        Instrument(24, "nylon guitar", "guitar", 66, False),
        Instrument(25, "steel guitar", "guitar", 66, False),
        Instrument(27, "electric guitar", "guitar", 66, False),
        Instrument(28, "muted guitar", "guitar", 62, False),
        Instrument(30, "distorted guitar", "guitar", 62, True),
        Instrument(105, "banjo", "guitar", 68, False),
        Instrument(46, "harp", "guitar", 72, False),
        Instrument(40, "violin", "strings", 76, True),
        Instrument(42, "cello", "strings", 58, True),
        Instrument(48, "string ensemble", "strings", 70, True),
        Instrument(56, "trumpet", "brass", 70, True),
        Instrument(57, "trombone", "brass", 58, True),
        Instrument(61, "brass section", "brass", 66, True),
        Instrument(65, "alto sax", "reed", 68, True),
        Instrument(66, "tenor sax", "reed", 60, True),
        Instrument(68, "oboe", "reed", 74, True),
        Instrument(71, "clarinet", "reed", 70, True),
        Instrument(73, "flute", "flute", 80, True),
        Instrument(74, "recorder", "flute", 78, True),
        Instrument(75, "pan flute", "flute", 76, True),
        Instrument(80, "square synth", "synth", 72, True),
        Instrument(81, "saw synth", "synth", 70, True),
        Instrument(89, "synth pad", "synth", 66, True),
        Instrument(32, "upright bass", "bass", 36, False),
        Instrument(33, "electric bass", "bass", 36, False),
        Instrument(34, "picked bass", "bass", 36, False),
        Instrument(36, "slap bass", "bass", 36, False),
        Instrument(38, "synth bass", "bass", 36, True),
    )
}

FAMILIES = tuple(dict.fromkeys(instrument.family for instrument in INSTRUMENTS.values()))
