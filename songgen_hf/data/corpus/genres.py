"""The genres of the corpus: their tempos, rhythm patterns, chord progressions and instruments.

Patterns have one character per sixteenth note: ``x`` loud, ``o`` soft, ``.`` silent. A bar of 4/4
has 16 characters, a bar of 3/4 has 12. Bass patterns name chord tones: ``R`` root, ``5`` fifth,
``3`` third, ``8`` octave.
"""

from dataclasses import dataclass, field

# General-MIDI percussion keys.
KICK, RIM, SNARE, CLAP, CLOSED_HAT, OPEN_HAT, RIDE = 36, 37, 38, 39, 42, 46, 51
TAMBOURINE, SHAKER, COWBELL, CONGA = 54, 70, 56, 63


@dataclass(frozen=True)
class Genre:
    """The properties of a genre; the module's docstring explains the letters of the patterns."""

    name: str
    tempo: tuple[int, int]  # lowest and highest tempo in bpm
    drums: dict[int, str]
    bass: str
    comping: str
    broken_chords: bool  # whether comping plays chord tones one by one
    basses: tuple[str, ...]
    comps: tuple[str, ...]
    leads: tuple[str, ...]
    major: tuple[str, ...]
    minor: tuple[str, ...]
    moods_major: tuple[str, ...]
    moods_minor: tuple[str, ...]
    minor_chance: float = 0.4
    beats_per_bar: int = 4
    swing: float = 0.5  # position of the second eighth note within a beat
    pads: tuple[str, ...] = field(default=())


_POP_MAJOR = ("I V vi IV", "I vi IV V", "I IV V IV", "I iii IV V")
_POP_MINOR = ("i VI III VII", "i iv VI V", "i VI iv V", "i VII VI V")

GENRES = {
    genre.name: genre
    for genre in (
        Genre(
            "pop", (92, 128),
            {KICK: "x.......x.......", SNARE: "....x.......x...", CLOSED_HAT: "x.o.x.o.x.o.x.o."},
            "R.....R.R...5...", "x.......x.......", False,
            ("electric bass",), ("electric guitar", "piano", "synth pad"),
            ("piano", "electric guitar", "square synth", "string ensemble", "electric piano"),
            _POP_MAJOR, _POP_MINOR,
            ("happy", "hopeful", "bright"), ("sad", "longing", "bittersweet"),
            pads=("string ensemble", "synth pad"),
        ),
        Genre(
            "rock", (104, 148),
            {KICK: "x.......x.o.....", SNARE: "....x.......x...", CLOSED_HAT: "x.o.x.o.x.o.x.o."},
            "R.R.R.R.R.R.R.R.", "x...o...x...o...", False,
            ("picked bass", "electric bass"), ("electric guitar", "rock organ"),
            ("distorted guitar", "electric guitar", "rock organ", "piano"),
            ("I IV V IV", "I bVII IV I", "I V IV V"), ("i VII VI V", "i VI VII i", "i iv VII III"),
            ("energetic", "bold", "triumphant"), ("dark", "angry", "restless"), 0.5,
        ),
        Genre(
            "ballad", (70, 88),
            {KICK: "x.......o.......", RIM: "....x.......x...", CLOSED_HAT: "x...x...x...x..."},
            "R.......5.......", "x.o.x.o.x.o.x.o.", True,
            ("electric bass",), ("piano", "nylon guitar", "electric piano"),
            ("violin", "cello", "flute", "oboe", "piano", "alto sax"),
            _POP_MAJOR, _POP_MINOR,
            ("tender", "romantic", "peaceful"), ("sad", "lonely", "longing"), 0.5,
            pads=("string ensemble",),
        ),
        Genre(
            "folk", (84, 120),
            {TAMBOURINE: "....x.......x...", KICK: "x.......x......."},
            "R.......5.......", "x...x.o.x...x.o.", False,
            ("upright bass",), ("steel guitar", "nylon guitar", "accordion"),
            ("violin", "flute", "recorder", "harmonica", "accordion", "banjo", "steel guitar"),
            ("I IV I V", "I V IV V", "I ii V I"), ("i VII i V", "i iv i V"),
            ("warm", "cheerful", "nostalgic"), ("melancholic", "wistful", "lonely"),
        ),
        Genre(
            "country", (96, 132),
            {KICK: "x.......x.......", SNARE: "....x.......x...", CLOSED_HAT: "x...x...x...x..."},
            "R.......5.......", "....x.......x...", False,
            ("upright bass", "electric bass"), ("steel guitar", "honky-tonk piano"),
            ("banjo", "harmonica", "violin", "honky-tonk piano", "steel guitar"),
            ("I IV V I", "I I IV V", "I V I IV"), ("i iv V i", "i VII VI V"),
            ("cheerful", "warm", "nostalgic"), ("wistful", "lonely", "melancholic"), 0.25,
        ),
        Genre(
            "jazz", (100, 144),
            {RIDE: "x...x..ox...x..o", KICK: "o.......o.......", CLOSED_HAT: "....x.......x..."},
            "R...3...5...8...", "x.....o.....x...", False,
            ("upright bass",), ("piano", "electric guitar", "vibraphone"),
            ("alto sax", "tenor sax", "trumpet", "trombone", "clarinet", "vibraphone", "piano"),
            ("IM7 vi7 ii7 V7", "IM7 IVM7 iii7 V7"), ("i7 iv7 V7 i7", "i7 VIM7 iv7 V7"),
            ("relaxed", "playful", "romantic"), ("smoky", "melancholic", "mysterious"),
            swing=0.64,
        ),
        Genre(
            "blues", (76, 112),
            {KICK: "x.......x.......", SNARE: "....x.......x...", RIDE: "x...x...x...x..."},
            "R...3...5...3...", "x...x...x...x...", False,
            ("upright bass", "electric bass"), ("piano", "electric guitar", "drawbar organ"),
            ("harmonica", "tenor sax", "electric guitar", "drawbar organ", "honky-tonk piano"),
            ("I IV I V", "I7 IV7 I V7"), ("i iv i V", "i iv V i"),
            ("soulful", "relaxed", "playful"), ("sad", "smoky", "lonely"), 0.5, swing=0.64,
        ),
        Genre(
            "reggae", (72, 92),
            {KICK: "........x.......", RIM: "....o...x...o...", CLOSED_HAT: "x...x...x...x..."},
            "R...5...R.......", "..x...x...x...x.", False,
            ("electric bass",), ("electric guitar", "drawbar organ", "muted guitar"),
            ("trombone", "trumpet", "drawbar organ", "brass section", "electric piano"),
            ("I IV I V", "I V vi IV", "I ii IV V"), ("i iv i V", "i VII VI V"),
            ("sunny", "relaxed", "happy"), ("serious", "wistful", "longing"),
        ),
        Genre(
            "funk", (96, 118),
            {KICK: "x..o....x.o.....", SNARE: "....x.......x...", CLOSED_HAT: "x.o.x.o.x.o.x.o."},
            "R..R..8.R...5.8.", "x..o..o.x..o..o.", False,
            ("slap bass",), ("muted guitar", "electric piano", "electric guitar"),
            ("brass section", "tenor sax", "trumpet", "drawbar organ", "square synth"),
            ("I7 IV7 I V7", "I IV I V"), ("i7 iv7 i V7", "i iv VII V"),
            ("playful", "groovy", "confident"), ("groovy", "restless", "cool"), 0.5,
        ),
        Genre(
            "disco", (110, 128),
            {KICK: "x...x...x...x...", CLAP: "....x.......x...", OPEN_HAT: "..o...o...o...o."},
            "R.8.R.8.R.8.R.8.", "..x...x...x...x.", False,
            ("electric bass", "synth bass"), ("electric guitar", "electric piano"),
            ("string ensemble", "brass section", "saw synth", "piano", "flute"),
            _POP_MAJOR, _POP_MINOR,
            ("joyful", "festive", "energetic"), ("dramatic", "restless", "glamorous"),
            pads=("string ensemble",),
        ),
        Genre(
            "electronic", (112, 142),
            {KICK: "x...x...x...x...", CLAP: "....x.......x...", CLOSED_HAT: "..o...o...o...o."},
            "R.R.R.R.R.R.R.R.", "x.o.x.o.x.o.x.o.", True,
            ("synth bass",), ("electric piano", "marimba", "harp"),
            ("saw synth", "square synth", "vibraphone", "glockenspiel"),
            _POP_MAJOR, _POP_MINOR,
            ("euphoric", "energetic", "bright"), ("dark", "hypnotic", "mysterious"), 0.6,
            pads=("synth pad",),
        ),
        Genre(
            "bossa nova", (100, 136),
            {KICK: "x.......x.......", RIM: "x..o..x...x..o..", SHAKER: "x.o.x.o.x.o.x.o."},
            "R.....5.5.....R.", "x...x...x...x.o.", False,
            ("upright bass",), ("nylon guitar", "electric piano"),
            ("flute", "tenor sax", "nylon guitar", "vibraphone", "clarinet"),
            ("IM7 vi7 ii7 V7", "IM7 ii7 V7 IM7"), ("i7 iv7 V7 i7", "i VI iv V7"),
            ("relaxed", "romantic", "sunny"), ("wistful", "longing", "smoky"),
        ),
        Genre(
            "waltz", (100, 144),
            {KICK: "x...........", RIM: "....o...o..."},
            "R...........", "....x...x...", False,
            ("upright bass",), ("piano", "accordion", "harp", "string ensemble"),
            ("violin", "clarinet", "accordion", "flute", "oboe", "harpsichord"),
            ("I IV V I", "I vi ii V", "I V V I"), ("i iv V i", "i VI iv V"),
            ("graceful", "romantic", "nostalgic"), ("wistful", "melancholic", "dramatic"),
            beats_per_bar=3,
        ),
        Genre(
            "lullaby", (70, 86),
            {SHAKER: "o...o...o...o..."},
            "R.......5.......", "x...x...x...x...", True,
            ("upright bass",), ("harp", "nylon guitar", "piano", "electric piano"),
            ("music box", "glockenspiel", "xylophone", "flute", "recorder", "pan flute", "cello"),
            ("I IV I V", "I vi IV V", "I V I IV"), ("i iv i V", "i VI iv V"),
            ("tender", "peaceful", "dreamy"), ("dreamy", "wistful", "mysterious"), 0.25,
        ),
        Genre(
            "punk", (144, 160),
            {KICK: "x...x...x...x...", SNARE: "....x.......x...", CLOSED_HAT: "x...x...x...x..."},
            "R.R.R.R.R.R.R.R.", "x...x...x...x...", False,
            ("picked bass",), ("rock organ", "piano", "electric guitar"),
            ("distorted guitar", "saw synth", "electric guitar"),
            ("I IV V V", "I V vi IV", "I bVII IV V"), ("i VI VII V", "i iv VII V"),
            ("energetic", "rebellious", "bold"), ("angry", "restless", "rebellious"),
        ),
    )
}  # fmt: skip
