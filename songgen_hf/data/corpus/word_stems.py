"""The additional words of the large edition, by word class and number of syllables.

The lists were written for this project, like those of ``lexicon.py``, which they complement. The
number of syllables is that of espeak-ng's pronunciation. ``vocabulary.py`` derives further words.
"""

NOUNS = {
    1: """ant arch arm ash aunt ax badge bag bait ball band bank barge bath bead beak beam bean
    bear beard beast bed bee belt block blow blush board bolt bond boss bow bowl box boy brain
    brake brand brass brave breeze brick bride bronze broom broth brow brush bull bunch bush cake
    calf camp cap cape car card cart cat cause chalk chart chase cheek cheese chess chest chick
    chief chin choice clam clan claw clay cliff clown club clue coal comb cone cook cork couch
    court cow crab crate cream crest crew crib crop cross crowd cruise crumb crust cub cube cure
    curve dad dam dart date dawn day deck deed depth dial dice diet disc dish disk ditch dog doll
    dome dot doubt dough drain drawer drift drop duck duke dune dwarf ear east egg elf elm end
    faith fall fan fang fate fawn fee fence fern fig film fin fir fire fish flake flea fleet
    flight flock fluff fly foal foam folk food foot force fork form freight fringe frog front
    fudge fun fur game gap gaze gear gem girl glance glee globe gloom glow glue goal goat goose
    gown grace grease grin grip groom group growth gulf gull gum hail hair half hare hatch hay
    head health heap heat heel height heir help hen herb herd hint hip hole hood hoof hoop host
    hound hunt hut hymn inch ink iron itch jade jail jam jar jaw jazz jeep jet job joke judge
    juice jump kid kin kind kit knave knife knob knock knot lace lad lance lap larch lark lash
    laugh launch law lawn league ledge leg length lens lid life limb lime lion lip list load loaf
    loan lodge log loop lounge love lunch lung lynx maid mail mane mark marsh mat match meat mile
    milk mint moat mole month mood moor moose mosque moth mouse mud mule nail nap neck nerve niece
    night nod noon nose nun nurse nut oath oil ox pack pail pain paint pair palm pan park
    part patch pause paw pea peach pear pen perch phrase pie pier pig pile pin pinch pint pit
    pitch plan plank plot plow plug point pole pool post pot pouch price pride priest prince print
    prize proof puff pulse pump purse quail quart quest quill quilt quiz race rack raft rag rail
    rake ram ramp range rank rat rate ray reef rest rhyme rice rim rind roast robe rod roll roost
    route row rug rule rust sack sage saint sash sauce scale scene scent science score scout scrap
    screen screw scroll seal seam sense shaft shawl shed shelf shield shock shoe shop shout show
    shrimp shrine shrub side siege sigh sight sink skate sketch ski skill skirt skull skunk sled
    sleeve slice slide sling slope sloth smith smock snack snail snake snare soap sock soil soup
    source south space spade span spear speech speed spell sphere spice spike sponge spoon sport
    spot spray spur square squash squid squirrel stack stag stain stake stalk stall stamp steak
    steam steel stew stick sting stitch stock stool stop store stork strand strap stripe stroke
    stump style suit sum swamp swarm swine switch tack tail talk tank tape tar tax tea team tent
    term test text theme thief thing thought thrill throat thrush thumb tile tin tip tire toad
    toast toe tomb ton tool tooth top tour toy trade trap tray treat trek tribe trick trip troll
    troop trout truck trunk trust truth tub tube turf tusk twig twin twist valve van vase vest
    view wage waist waltz wand warmth wasp watch wax wealth web wedge week weight west wharf whip
    wick width wife wig winch wire wit witch wool work worm wreath wreck wren wrench wrist yak yam
    yarn year yeast yolk zinc zone zoo""",
    2: """abbey acre actor advice alarm alley almond altar amber ambush ankle answer anvil apron
    armor army aspen attic award axle bacon badger baker balloon bamboo bandit bargain baron
    barrel basin battle beaver beetle beggar belief belly bishop blessing blister blower body
    bonnet bouquet bracelet brigade brother buckle bugle builder bullet bumper bundle burden
    butler buzzard cactus camel camera canal candy cannon canoe canvas captain cargo carrot carton
    cartoon carver cattle cavern ceiling cello cement center champion channel chapter charcoal
    chariot cheetah chestnut chicken chocolate chorus cider climate closet cobra cobweb cocoon
    coffee collar color comet comfort comrade concert contest cookie copper coral costume council
    counter country county couple courage courtyard cousin cowboy crayon creature credit culture
    cupboard current cushion custom cycle cymbal cypress dagger danger delight delta dentist
    detail device devil digit dimple diner diver doctor dollar dolphin donkey drama drawing driver
    drummer duchess duel duet dungeon duty earring earthquake effort elbow elder ember empire
    empress entrance error estate evening event exit expert express fable fabric failure fairy
    falcon fashion faucet favor feature ferry fever fiber fiddler figure finish firefly fisher
    flavor flour flower folly forehead fossil fraction fragment fragrance freckle freedom
    friendship fuel funnel furnace future gadget gallon gambler garage garlic garment gasket
    giraffe giver glacier glider goblet goblin goddess gospel gossip granite gravel greeting
    grocer guardian guitar gypsum habit hammer hamster handle harbor harness haven hazard heaven
    hedgehog helmet herald heron highland hobby honor hornet hotel hour humor hunger icing idea
    idol igloo image index infant insect instant iris item jaguar jelly jester jewel jumble jungle
    junior jury justice keeper kennel kernel kettle kidney kindling knowledge label labor ladle
    lagoon landing landlord language lasso laundry lawyer layer leader leather legend lemon
    leopard lesson level lever lichen lilac limit liquid liver lizard llama lobby lobster locket
    logic lotus luggage lumber lyric machine magic magnet maker manner mansion mantle margin
    marriage mascot master matter mattress mayor meaning measure medal medley meeting melon member
    mentor menu merchant mermaid metal method midday million minute mitten mixture model monarch
    monkey monster morning motion motor movement movie muffin muscle museum mushroom musket
    mustard napkin nation native nature necklace nectar neighbor neon nephew nickel noodle
    notebook notice notion novel nugget nutmeg object offer office olive omelet onion opal option
    orange orbit orchid order organ orphan ostrich otter outfit outlaw oven oyster paddle painter
    painting palace panda panel panther papa parade parcel pardon parent parrot parsley parsnip
    party passage passion pasta pastry pasture patience pattern pavement peacock peanut peasant
    pedal pencil penguin penny pension people perfume permit person petal phantom photo picnic
    picture pilot pioneer pirate pistol pitcher pizza planter plaster platform player plaza
    pleasure poem poet police polo pony poplar porter portion portrait possum poster potter power
    practice prairie present princess prison problem process product profit program project
    prophet protest pumpkin pupil puppet puppy purchase purple purpose puzzle python quarrel
    quarry quarter question quiver radar radish railroad railway rainbow raincoat raisin ranger
    rascal rattle razor reader rebel record region reindeer relic remark report request result
    reward rhythm riddle rider rifle ripple rival robot rocker roller rooster rotor rubber ruby
    rudder ruin ruler rumor runner saga salad salmon salute sample sandwich sapphire satchel satin
    saucer sausage savage scarecrow scholar scissors scooter scorpion sculptor sculpture sector
    seesaw seller sentence sequel sermon servant service session setting settler sheriff
    shilling shovel shower shutter signal silo siren sleeper slipper sneaker sofa soldier solo
    sonnet spaniel spinach spiral standard staple statue steeple stocking stomach student study
    subject suburb success sugar summit surface surfer surprise swallow sweater symbol syrup
    system tablet tailor talent target tavern teacher teardrop temper tempo tenant tennis tenor
    terrace terror texture theater theory thicket thimble ticket tiger tinker title topic torrent
    tortoise towel tractor traffic trailer trainer trapper treaty trellis trial trigger trolley
    trombone trophy trumpet tuba tugboat tulip tumbler tuna tundra turban turkey turnip turret
    tutor twilight tycoon tyrant uncle union unit uproar urchin usher vapor vehicle vendor venture
    verdict vessel victim victor viking villa villain violin viper virtue visor vocal volume vowel
    voyage vulture waffle waiter walker wallet walnut walrus wardrobe watchman weapon weaver
    wedding whisker whistle widow winner witness wizard woman worker workshop writer writing yoyo
    zebra zenith zero zigzag zipper""",
    3: """arena autograph balcony banana bicycle bravery buffalo calendar canary caravan century
    cinema cinnamon citizen clarinet coconut colony comedy corridor coyote crocodile diary
    dinosaur dynamo edition emperor energy envelope evidence example factory fantasy festival
    formula foundation galaxy general genius gentleman gorilla government governor grandfather
    grandmother gravity handkerchief hickory hospital icicle incident instrument kangaroo koala
    lemonade library location magician magnolia manager manual marigold mariner maximum medicine
    meteor mineral minister mistletoe monument mosaic mosquito nightingale nobleman oasis octopus
    officer opera opinion oxygen pelican period petunia piano piccolo poetry potato professor
    pyramid radio raspberry recipe reflection relative rodeo satellite saxophone senator sentinel
    skeleton society sonata stereo strategy studio tomato tournament tradition tragedy traveler
    triangle tricycle unicorn uniform universe vacation vanilla variety veranda veteran victory
    video vinegar viola visitor volcano warrior woodpecker""",
    4: """caterpillar celebration ceremony dictionary discovery elevator locomotive material
    territory vegetable watermelon""",
}
ADJECTIVES = {
    1: """bad big black blank bleak blessed blind blond bored brass brisk bronze chief coarse
    coiled cracked crisp crude curved cute damp dead deaf deft dense drab famed fat fierce fit
    fixed flat fond foul frail frank gaunt glib glum grim gross gruff harsh hoarse hushed just
    lame lean learned left light limp long loose lush mad mean meek mint moist neat next nice
    parched pink pious plump plush poised prime prize quaint quiet rapt rash raw rear right round
    rude sane scant shrewd shrill sick skilled sleek slick slight slim smart smug snug soaked sole
    sore spare sparse spry square stale stark stern stiff stout straight stray strict striped sure
    tame tan tart taut tense tight tired tough trained trim twin vague vain weird wet whole
    winged wrong""",
    2: """able absent abstract active acute adult afraid agile alert alive amber ample anxious
    arctic ashen august average awake aware awful awkward balanced barren bashful basic bizarre
    blazing blissful blooming blushing boastful bony bouncy brainy brazen breezy brilliant bristly
    brittle bubbly bumpy burly bushy busy candid carefree careful caring cautious central charming
    chatty cheeky cheerful chilly chirpy choppy chubby civil clammy classic clever cloudy clumsy
    coastal cobalt comic common compact complete complex concrete confused constant content coral
    cordial cosmic costly cotton countless covert cozy crafty cranky crazy creamy creepy crowded
    crucial cruel crumbly crunchy crusty cubic curious curly cyan dainty dapper dashing dazzling
    decent dental depressed devout different dirty discreet distinct dizzy docile double doubtful
    downcast dreadful dreary drowsy dual eager earnest earthy eastern elfin elite enough entire
    envious epic equal even exact expert express extra extreme fancy fatal feathered feeble
    fertile festive fickle fiery filthy fitting fizzy flaky flashy fleeting floating floppy floral
    fluent fluffy fluid flying foamy focal forceful foreign forlorn formal former forthright
    fragrant frantic freckled frequent friendless frightened frigid frilly frisky frosty frugal
    fruitful fuming funny furious furry fussy future fuzzy gallant ghastly giddy gifted gilded
    glacial gleaming gleeful global gloomy glorious glossy glowing gorgeous gracious grassy
    grateful greasy greedy gritty grizzled groovy grouchy growing grubby grumpy guilty gusty hairy
    handsome handy hardy harmless hasty haunted haunting healthy hearty hefty helpful helpless
    homely hopeful hopeless hostile human humble humid husky ideal immense impish inborn inner
    inside instant intact intense jaded jagged jaunty jazzy jealous jolly joyous juicy jumbo jumpy
    junior knobby knotty knowing labored lanky lavish leading leafy leery legal level limber
    limpid linear liquid little lively livid living local lofty loving lucid luckless lunar magic
    major mammoth manly marble marine married massive master mature meager measured melted mental
    messy milky mindful mindless minor minty minute mobile molten monthly moody moral mournful
    muddy muffled mundane murky mushy musky muted naive nasty native needy nervous neutral nifty
    nimble noisy normal northern nosy noted noxious nutty oblong obvious oily olive opal orange
    ornate orphaned outer oval padded painful pallid paltry partial pastel patchy pearly perky
    petite phony placid plastic pleasing plucky pointed polar polished polite portly potent
    precious precise prepared present pretty previous priceless prickly primal private profound
    proper prudent public puffy puny purple puzzled queasy quirky radiant ragged random rapid
    raspy real reckless refined regal relaxed relieved remote rhythmic rigid robust rocky rotten
    rowdy ruby ruddy rugged ruling rural russet rustic ruthless salient sandy sapphire sassy satin
    saucy savage scaly scary scattered scenic scratchy scrawny secure sedate seemly selfish senior
    separate serene shabby shaggy shaky shallow shameless shapely shiny shocking shoddy showy
    silky silly sincere single skillful skinny slender slimy sloppy smiling snappy sneaky soaring
    social soggy solar solid soothing southern spacious sparkling special speckled speedy spicy
    spiky spiteful spotless spotted squeaky stable standard starchy starlit starry stately static
    steadfast steady stellar sticky stingy stirring stranded striking studious stunning sturdy
    stylish sublime subtle sulky sullen superb supple surprised swampy swollen tacit tactful tangy
    tardy tasteful tasteless tasty tattered tearful tedious teeming tempting tepid thankful thorny
    thorough thoughtful thoughtless thrifty thrilling thriving tidal tidy timid tinted tiresome
    toxic tragic tranquil treasured tricky triple troubled trusting trusty truthful ugly unique
    upbeat upper upright upset urban urgent useful useless utter vacant valiant valid vapid
    various verdant vibrant vicious violent violet vital vivid vocal wacky wakeful wanton wary
    wasteful watchful wavy wealthy weathered weekly weighty welcome western wicked wiggly willing
    wilted wily windswept wiry wistful witty wobbly woeful woody woolen wordless worldly worried
    worthless worthy yearly yellow yielding youthful zany zealous zesty""",
    3: """absolute actual amazing amusing astonished atomic attractive buttery calico capable
    casual circular colossal comfortable confident courageous creative critical decisive delicious
    delighted delightful deserted devoted difficult digital diligent domestic dramatic durable
    dutiful dynamic eccentric edible elastic elderly electric eloquent enchanted enchanting
    enormous essential excellent exotic expensive fabulous factual familiar fantastic favorite
    flexible flowery fortunate generic genial genuine gradual heavenly heroic hesitant historic
    horrible humorous idyllic important improper indigo infinite internal intrepid inviting ironic
    ivory jovial jubilant juvenile leisurely liberal likable literal logical luxurious lyrical
    magenta magical magnetic majestic manual maximum medical menacing metallic miserable
    motionless multiple mutual mystical mythical nautical neighboring nocturnal nomadic notable
    numerous obedient official ongoing opposite optimal orderly organic outgoing outlandish
    overgrown overjoyed parallel paternal peppery permanent personal physical plausible poetic
    popular positive possible powdery practical probable productive prominent promising prosperous
    protective punctual quarterly quivering quizzical rational ravenous reflective regular related
    relevant reluctant repentant resolute respectful rubbery satisfied savory scholarly scientific
    secretive sensible sensitive serious shivering similar sizable skeptical slippery slumbering
    sociable specific spherical spirited stupendous submissive substantial suburban successful
    sugary suitable suspicious sweltering talented talkative tangible terrible terrific thundering
    towering tropical typical ultimate united unlucky usual velvety versatile vertical victorious
    vigilant vigorous virtual visible volcanic wandering watery whimsical whispering""",
    4: """animated automatic available emotional energetic horizontal hospitable identical
    imperial impossible incredible magnificent mechanical medieval melancholy memorable military
    occasional perpetual political reasonable rectangular reliable remarkable responsible
    ridiculous solitary superior sympathetic universal valuable voluntary""",
}
TRANSITIVE = {
    1: """add aid aim bait bind bite blame bleach block board boil bolt bond boost bounce bow box
    brave brew bribe bridge bruise brush cast cause change charge charm chart chill chop clasp
    clean clear close cook crack craft cram crave crown crush cure curl cut dare dial dig dim
    dodge doubt drag drain drape dread dress drill drive drown dust dye earn ease eat fan fear
    fill film fire fix fling flip flood foil fool force form frame free freeze gild glimpse grab
    grant grasp graze grease grill grind grip groom gulp hail halt hang harm hatch haul haunt heal
    heat heed help hire hit hoist hook host hug iron join jolt judge kick knit knock knot lace
    lack land lash launch lay lend lick link lock lull lure mail march mark mash match mine mix
    mold mount mourn move nail name nap nurse oil ooze owe pack park pat patch pause pay peel pet
    phone pick pierce pin pinch pitch place plan plate pledge plow pluck plug poke post pour prick
    print prize probe prove prune pump punch quench quote rank rent rinse risk rob rock roll row
    rub rule scale scare scold scoop scorch score scrape scratch scrub sculpt seal search seize
    serve set sew shake shape shave shelve shine ship shock shoot shove shred shut sift sketch
    skip slap slice slow smash smell smooth snap snatch sniff soak solve soothe sort spare spell
    spice spill spin splash split spoil spot spray spread squeeze stack staff stamp starch start
    steer sting stir stitch stock stop store strap stretch stride strike string strip stroke stuff
    stun suit swat swear switch tame tap taunt tease tell tempt tend test thaw thrill tie tilt
    toast toss tow track train trap treat trick trim try tuck tug twist urge use veil view vow wag
    wave weigh wet whip whirl whisk wield wind wipe wire wound wrap wreck wring yank yell yield
    zip""",
    2: """absorb accept accuse achieve acquire adapt address adjust adopt advance advise alarm
    allow alter amaze amuse anchor announce annoy approach approve arrange arrest assist attack
    attempt attend attract avoid award balance banish bargain battle beckon behold bestow bother
    broaden buckle bundle bury button capture caress challenge circle collect combine command
    compare compose conceal conduct confess confirm confuse connect conquer console construct
    consult consume contain control convey convince copy correct counsel create cuddle darken
    dazzle deceive decide declare defeat defend defy delay delight demand deny describe deserve
    design detect direct disguise dismiss display distract disturb divide double echo elect employ
    empty enchant endure engage engrave enjoy entrust envy equip escort evade excite excuse
    exhaust expand expect explain extend fasten favor filter finance finish flatter fluster focus
    forbid foresee forfeit foster frighten fulfill furnish gallop garnish govern hammer handle
    harness hinder honor humble hurry ignite ignore impress improve include increase inspect
    inspire install instruct insult insure invent invest jingle juggle kindle label ladle lengthen
    limit linger lobby locate loosen lower manage marry marvel mention mimic model motor muster
    neglect nibble notice nourish number nurture observe obtain offer oppose outline outrun
    outshine paddle pamper parade pardon perfect perform perfume permit persuade pilot plunder
    pocket ponder portray practice prefer prepare present preserve proclaim produce promote
    pronounce propose publish punish purchase pursue puzzle question rattle recall receive recite
    record redeem reduce refine reflect refuse regain regret rehearse reject rejoice release
    relieve relish rely remind remove renew replace reply report request require resist resolve
    respect restore resume retain retire retrieve reverse revive reward ripen rotate ruffle ruin
    saddle salute sample scour season shorten shovel signal smother sober soften sprinkle startle
    steady strengthen study subdue succeed suggest supply support suppose surpass surprise suspect
    sustain swallow sweeten tackle thicken tickle tighten topple trample transform translate
    transport treasure trouble tumble tutor unfold unite unload unlock untie unveil unwrap uphold
    usher value venture visit wager weaken witness worry worship""",
    3: """assemble awaken calculate celebrate consider cultivate decorate dedicate educate
    embroider encourage enlighten entertain estimate examine guarantee imitate inherit justify
    multiply navigate nominate occupy overcome overhear overlook overtake photograph qualify
    recognize recommend remedy satisfy surrender understand unravel verify""",
    4: """illuminate""",
}
INTRANSITIVE = {
    1: """ache act age aim bark bathe beam beg blaze bleed blink blush boast bob boil bounce bow
    buzz camp cast cease chant charge chat cheer chime chirp clap clash cling clink cough crash
    crawl creak croak crouch crowd cruise curl dart dash dig dine doze drag draw drip droop drop
    drown end fail faint fare feast fight file fish fizz flap flare flash flee flinch fling flock
    flop flush foam freeze frown fume gasp gaze glance glare gleam gloat graze grieve grin groan
    grope growl grunt hail halt heal heave hike hiss hoot hop hope howl hunt itch jab jog joke
    judge jump kick knock lag land lapse lash laze lift limp loaf look loom lounge lunge lurch
    lurk merge moan mope mourn munch nap nod ooze pace pant part pass pause peek peel peep peer
    perch pitch plead plod plot plunge point pop pose pounce pout prance preach prowl puff pulse
    purr quake reach reel rhyme rock romp roost rot rove row rush rust sag scheme scoff scold
    scowl scream screech shake share shift shriek shrink shrug sigh skate skid skip slip slouch
    slow snarl sneak sneer sneeze sniff snore snort snow speed splash sprawl spread spring sprint
    sprout spurt squawk squeak squeal squint squirm stall stare start starve steam step stir stoop
    stop storm strain stray stream stretch stride strike strive stroll strut sulk surge swarm
    swell swerve swirl swoop talk tap thaw thrive throb thrum thump tick tilt tire toil trail
    tread trip trot trudge try tug twirl twist twitch vow wade waft wane wed whine whiz wilt win
    wince work yawn yell yelp yield zoom""",
    2: """abide advance agree appeal argue ascend awake balance battle behave belong billow
    blossom bubble buckle bustle chatter chuckle circle clatter collapse collide compete complain
    crackle crumble cycle dabble dangle dawdle dazzle decay decline descend dissolve double
    dribble drizzle duel dwindle echo emerge erupt escape evolve exist expand expire explode
    falter fasten fiddle fidget flourish focus forage forgive frolic gallop gamble gesture giggle
    glisten glitter gossip grapple grovel grumble happen harden hasten hobble hover huddle improve
    insist jingle journey juggle labor loiter marvel matter mellow migrate mingle mumble mutter
    nestle nibble obey object occur open orbit paddle parade perform perish persist ponder
    practice prevail proceed prosper protest quarrel ramble rattle react rebel recede reflect
    rejoice relax relent rely repent resist resound respond result retire retreat reverse revolve
    ripple rotate rustle salute sashay saunter scamper scramble scuttle settle shatter shudder
    shuffle simmer sizzle slither smolder snuggle soften sparkle spiral splutter squabble stagger
    stammer struggle submit subside succeed suffer survive swagger tangle thunder tingle tiptoe
    topple totter tower trickle triumph tumble twinkle unite vary vibrate waddle wallow whimper
    whinny wiggle wobble worry wrestle wriggle yodel zigzag""",
    3: """continue disappear hesitate meander meditate multiply overflow radiate""",
}
ADVERBS = {
    1: """late soon twice""",
    2: """abroad afloat ahead almost aloud always anew apart ashore aside backward besides
    downstairs downward early eastward ever forward halfway homeward indeed inside instead inward
    later likewise maybe meanwhile midway northward nowhere often outside outward perhaps seaward
    seldom skyward someday sometimes somewhere sooner southward therefore upstairs upward westward
    yonder""",
    3: """anywhere everywhere nowadays otherwise overhead overnight underground yesterday""",
    4: """nevertheless""",
}
IRREGULAR_PASTS = dict(
    pair.split(":")
    for pair in """begin:began behold:beheld bend:bent bind:bound bite:bit bleed:bled blow:blew
    break:broke bring:brought build:built buy:bought catch:caught choose:chose cling:clung come:came
    creep:crept dig:dug draw:drew drink:drank drive:drove eat:ate fall:fell feed:fed feel:felt
    fight:fought find:found flee:fled fling:flung fly:flew forbid:forbade foresee:foresaw
    forget:forgot forgive:forgave freeze:froze give:gave go:went grind:ground grow:grew hang:hung
    hear:heard hide:hid hit:hit hold:held keep:kept know:knew lay:laid lead:led leave:left
    lend:lent let:let lie:lay lose:lost make:made mean:meant meet:met overcome:overcame
    overhear:overheard overtake:overtook outrun:outran outshine:outshone pay:paid read:read
    ride:rode ring:rang rise:rose run:ran see:saw seek:sought sell:sold send:sent set:set
    shake:shook shine:shone shoot:shot shrink:shrank shut:shut sing:sang sink:sank sit:sat
    sleep:slept slide:slid sling:slung speak:spoke speed:sped spend:spent spin:spun split:split
    spread:spread spring:sprang stand:stood steal:stole stick:stuck sting:stung stride:strode
    strike:struck string:strung strive:strove swear:swore sweep:swept swim:swam swing:swung
    take:took teach:taught tell:told throw:threw tread:trod understand:understood uphold:upheld
    wake:woke wear:wore weave:wove weep:wept win:won wind:wound write:wrote cast:cast cut:cut
    shed:shed""".split()
)
"""Past tenses that do not end in -ed."""

FINAL_STRESS = frozenset(
    "begin permit regret prefer control occur submit equip rebel forbid forget patrol".split()
)
"""Verbs that double their last consonant although they have several syllables."""

# Both parts of the compounds; neither part has a silent letter where they meet.
COMPOUND_STARTS = """moon sun star rain snow storm wind wood hill field brook creek road rock sand
sea sky corn oak thorn moss bird wolf fox hawk crow owl swan frog horse lamb night day dawn dusk
spring north south cloud mist frost leaf grass pearl gold cloth silk bell drum harp song dream heart
hand foot moor barn mill ship sail boat brick clay coal cork plum pear wheat""".split()
COMPOUND_ENDS = """light side song road field wood land stone brook hill fall drift bloom blossom
garden river valley singer dancer keeper maker hunter shadow whisper window flower harbor meadow
tower castle bridge gate path ring bell bird boat cloud dream glow glass""".split()
