"""The words of the lyrics: plain English words by word class and number of syllables.

The lists were written for this project. The number of syllables is that of espeak-ng's
pronunciation. One word in ten is held out from training (``is_held_out``).
"""

import hashlib
from dataclasses import dataclass
from functools import cache

HELD_OUT_ONE_IN = 10

_NOUNS = {
    1: """ark art bark barn bay beach bell bench bird blade blaze bloom boat bone book boot branch
    bread breath bridge brook bud cage cave chain chair chance charm child church cloak clock cloth
    cloud coast coat coin cord corn cove crane creek crow crown cup curl dance deer den dew dock
    door dove dream dress drum dusk dust earth edge face fair farm feast field fist flag flame
    flood floor flute fog font ford fort fox frame friend frost fruit gate ghost gift glass glove
    gold grain grape grass grave ground grove guest hall hand harp hat hawk heart hearth hedge hill
    hive hook hope horn horse house ice inn joy key king kiss kite knee knight lake lamb lamp land
    lane leaf light line lock loom lord luck lute map mask mast maze meal mill mind mist moon moss
    mouth name nest noise north note oak oat owl page path peace peak pearl pine pipe plain plate
    plum pond porch port prayer queen rain ranch reed ring road roof room root rope rose sail salt
    sand scarf school sea seat seed shade shape sheep shell ship shirt shore sign silk skin sky
    sleep sleigh smile smoke snow song soul sound spark spring spruce stage stair star stem step
    stone storm stove straw stream street string sun swan sword tale tear thorn thread throne tide
    time tongue torch touch town track trail train tree tune vale vault veil verse vine voice vow
    wall wave way weed well whale wheat wheel wind wine wing wish wolf wood word world wound yard
    youth""",
    2: """acorn anchor angel anthem apple april arrow autumn baby ballad banner barley basket
    beacon berry blanket blossom border bottle bottom boulder bubble bucket butter button cabin
    candle canyon carpet castle cedar cellar chamber chapel cherry chimney circle city clover
    corner cottage cotton cradle cricket crystal curtain daisy dancer daughter desert desire
    diamond dinner doorway dragon dreamer eagle echo engine eyelid father feather feeling fiddle
    finger forest fortune fountain garden garland ginger glory harbour harvest heather hero highway
    holly honey hunter island jacket jasmine journey kingdom kitchen kitten ladder lady lantern
    laughter letter lily linen lover maiden marble market meadow mercy message midnight mirror
    moment money mother mountain music needle number ocean orchard owner paper parlour partner
    pebble pepper pigeon pilgrim pillow planet pocket poppy powder promise puddle rabbit raven
    reason ribbon river robin rocket saddle sailor sandal season secret shadow shelter shepherd
    shoulder silence silver singer sister sorrow sparrow spider spirit stable station story
    stranger summer sunlight sunset supper table temple thistle thunder timber tower treasure
    trouble tunnel turtle valley velvet village violet vision wagon water weather whisper willow
    window winter wisdom wonder yellow""",
    3: """adventure afternoon animal avenue blackberry butterfly carnival carousel cathedral
    chandelier companion direction dragonfly elephant emerald enemy family gallery gardener
    gasoline harmony heroine history holiday horizon hurricane ivory lavender lullaby melody memory
    messenger miracle musician mystery orchestra paradise passenger promenade remedy reunion
    serenade sunflower symphony tambourine telephone telescope traveller umbrella valentine
    waterfall wilderness""",
}
_ADJECTIVES = {
    1: """bare bent blue bold brave brief bright broad brown calm cheap clean clear cold cool dark
    dear deep dim dry dull faint fair false fast fine firm free fresh full glad gold grand great
    green grey hard high hot huge keen kind large last late lone lost loud low mild new numb odd
    old pale plain poor proud pure quick rare red rich ripe rough sad safe sharp short shy slow
    small smooth soft steep strange strong sweet swift tall thick thin torn true vast warm weak
    white wide wild wise worn young""",
    2: """ancient angry autumn bitter breathless broken careless certain cosy crimson crooked
    crystal cunning daring distant dreamy dusty early easy empty endless faded faithful famous
    fearless final flaming foggy foolish fragile friendly frozen gentle ghostly giant golden
    graceful happy hazel heavy hidden hollow holy honest hungry icy idle joyful lazy lonely lovely
    loyal lucky maple mellow merry mighty misty modest nameless narrow noble open painted pardoned
    patient peaceful perfect playful pleasant rainy ready restless rosy royal rusty sacred salty
    scarlet secret shady silent silken silver simple sleepy smoky snowy solemn sour splendid stolen
    stony stormy stubborn sudden sunny tender thirsty timeless tiny velvet weary weightless windy
    winter wooden woven""",
    3: """abandoned beautiful bountiful colourful delicate determined elegant eternal excited
    faraway forgiven forgotten generous innocent luminous marvelous melodic mountainous musical
    mysterious natural peculiar powerful remembered romantic sorrowful tremendous unbroken
    untroubled wonderful""",
}
_TRANSITIVE = {
    1: """bake bless break bring build burn buy call carve catch chase cheer choose claim climb
    count cross draw drink drop face feed feel fetch fight find fold forge gain give greet guard
    guess guide hear hide hold hunt keep kiss know lead leave lift light like lose love make meet
    mend miss need paint pass plant play praise press pull push raise reach read ride ring save see
    seek sell send share shield show sing spend steal sweep take taste teach thank throw touch
    trace trade trust turn wake want warm wash watch wear weave win write""",
    2: """admire adore answer believe borrow carry cherish colour comfort cover desire embrace
    enter explore follow forget forgive gather harvest honour invite measure obey order polish
    promise protect provide repair repeat rescue return reveal scatter settle shelter summon
    surround welcome whistle wonder""",
    3: """abandon deliver devour discover imagine remember uncover""",
}
_INTRANSITIVE = {
    1: """bend bloom blow breathe burn call change climb come creep cry dance dive dream drift
    dwell fade fall float flow fly glide glow go grow hide hum kneel laugh lean leap leave lie live
    march melt move play pray race rest ride ring rise roam roar roll run sail shine shout sing
    sink sit sleep slide smile soar speak spin stand stay sway swim swing turn wait wake walk waltz
    weep whirl wink yearn""",
    2: """appear arrive begin depart flicker flutter gather glimmer hurry linger listen murmur
    quiver remain return scatter shimmer shiver slumber stumble travel tremble vanish wander waver
    whisper wither wonder""",
    3: """awaken recover surrender""",
}


@dataclass(frozen=True)
class Word:
    """A dictionary form: its spelling, its word class and its number of syllables."""

    text: str
    kind: str
    syllables: int


def is_held_out(word: str) -> bool:
    """Whether a dictionary form is used in the test split only."""
    digest = hashlib.sha256(f"word:{word}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


@cache
def lexicon() -> dict[str, tuple[Word, ...]]:
    """All words by word class: ``noun``, ``adjective``, ``transitive``, ``intransitive``."""
    classes = {
        "noun": _NOUNS,
        "adjective": _ADJECTIVES,
        "transitive": _TRANSITIVE,
        "intransitive": _INTRANSITIVE,
    }
    return {
        kind: tuple(
            Word(text, kind, syllables)
            for syllables, words in by_syllables.items()
            for text in dict.fromkeys(words.split())
        )
        for kind, by_syllables in classes.items()
    }
