"""The messages of errors that a visitor can see, in German.

A key is the English message with names in the places of values, in braces; the German text has the
same names. A message is found by its words, so the code that raises it knows nothing of this table.
The place ``parameter`` is the name of a parameter, which is the same in every language.
"""

MESSAGES: dict[str, str] = {
    # Settings
    "{name} must be text: got {kind}": "{name}: erwartet Text, nicht {kind}",
    "{name} must have at most {longest} characters: got {count}; shorten them": (
        "{name}: höchstens {longest} Zeichen, nicht {count}; bitte kürzen"
    ),
    "{name} must be a number: got {value}": "{name}: erwartet eine Zahl, nicht {value}",
    "{name} must be {kind} from {low} to {high}: got {value}": (
        "{name}: erwartet {kind} von {low} bis {high}, nicht {value}"
    ),
    "{name} must be true or false: got {value}": "{name}: erwartet wahr oder falsch, nicht {value}",
    "there is nothing to sing: write lyrics or a description, or choose an example": (
        "es gibt nichts zu singen: bitte einen Liedtext oder eine Beschreibung schreiben, oder ein "
        "Beispiel wählen"
    ),
    "the mode is {mode}: this Space sings {modes}": (
        "der Modus ist {mode}: dieser Space singt {modes}"
    ),
    "the context is {context} s and the window {window} s: at most half of the window can be "
    "context": (
        "der Kontext hat {context} s und das Fenster {window} s: höchstens die Hälfte des Fensters "
        "kann Kontext sein"
    ),
    "variations is {count}: whole songs are sung one by one; leave variations at 1": (
        "{count} Varianten: ganze Lieder entstehen einzeln; bitte eine Variante lassen"
    ),
    "best of is {takes} and variations is {songs}: both sing several songs; leave one of them at "
    "1": (
        "Bestes von {takes} und {songs} Varianten: beides singt mehrere Lieder; bitte eines davon "
        "auf 1 lassen"
    ),
    "lyrics have no letter or digit to sing: got {lyrics}; write words, or leave them empty for a "
    "song without": (
        "Im Liedtext ist kein Buchstabe und keine Ziffer zu singen: {lyrics}; bitte Wörter "
        "schreiben oder ihn für ein Lied ohne Worte leer lassen"
    ),
    "the control character {code} at position {place} is not allowed in {name}: remove it, or type "
    "the text instead of pasting it": (
        "{name}: das Steuerzeichen {code} an Stelle {place} ist nicht erlaubt; bitte entfernen "
        "oder den Text tippen, statt ihn einzufügen"
    ),
    "the seed must be a whole number, 0 or more: got {value}; leave it empty for a random seed": (
        "Startwert: erwartet eine ganze Zahl ab 0, nicht {value}; leer gelassen wird er zufällig "
        "gewählt"
    ),
    "the link has {parameter}={value}: expected {kind}": (
        "im Link steht {parameter}={value}: erwartet {kind}"
    ),
    # Whole songs
    "the song takes {seconds} s: whole songs here are up to {longest} s long; shorten the lyrics, "
    "or give lengths such as [verse 12s]": (
        "das Lied dauert {seconds} s: ganze Lieder sind hier bis zu {longest} s lang; bitte den "
        "Text kürzen oder Längen angeben, etwa [verse 12s]"
    ),
    "the song is empty: got no words and no sections; give lyrics, or such as [inst 20s] for a "
    "song without words": (
        "das Lied ist leer: bitte einen Text schreiben, oder etwa [inst 20s] für ein Lied ohne "
        "Worte"
    ),
    "unknown tag {tag}: expected {tags}, with a number and a length if you like, such as [verse 2] "
    "or [inst 8s]": (
        "unbekannter Abschnitt {tag}: möglich sind {tags}, auf Wunsch mit Nummer und Länge, etwa "
        "[verse 2] oder [inst 8s]"
    ),
    "{tag} has {what}: write lines below it, or give it a length, such as [{kind} 8s]": (
        "{tag} hat {what}: bitte Zeilen darunter oder eine Länge schreiben, etwa [{kind} 8s]"
    ),
    "section {name} takes {seconds} s: expected at most {longest} s in a window of {window}; split "
    "it with another tag, or give a longer window or an extend_stride": (
        "der Abschnitt {name} dauert {seconds} s, aber höchstens {longest} s passen: bitte teilen "
        "oder das Fenster vergrößern"
    ),
    "section {name} has {count} special ids among its codes: suppress them (suppress_tokens of the "
    "generation config)": (
        "der Abschnitt {name} hat {count} Sonderzeichen in seinen Codes: das Modell ist falsch "
        "eingestellt"
    ),
    "this song has no sections: sing it as a whole song": (
        "dieses Lied hat keine Abschnitte: bitte als ganzes Lied singen"
    ),
    "this song has no finished sections: sing it whole, to its end": (
        "dieses Lied hat keine fertigen Abschnitte: bitte als ganzes Lied bis zum Ende singen"
    ),
    "this song is complete: only a stopped whole song can be finished": (
        "dieses Lied ist fertig: nur ein angehaltenes ganzes Lied kann zu Ende gesungen werden"
    ),
    "this song cannot be edited as a whole: sing one of its sections again": (
        "dieses Lied lässt sich nicht als Ganzes bearbeiten: bitte einen Abschnitt neu singen"
    ),
    "{folder} holds another song ({names} differ): give another folder, or the request of this "
    "one": (
        "dieses Lied wurde mit anderen Vorgaben gesungen ({names}): bitte dieselben verwenden, "
        "auch dieselbe Stimmvorlage"
    ),
    "{file} is damaged: delete it to generate the section again": (
        "{file} ist beschädigt: bitte das Lied neu singen"
    ),
    "{file} is damaged: delete the folder and start again": (
        "{file} ist beschädigt: bitte das Lied neu singen"
    ),
    # Edits
    "the recording is {kind}: expected 'band' or 'vocal'": (
        "die Aufnahme ist {kind}: erwartet 'band' oder 'vocal'"
    ),
    "the {name} of the stretch must be a number of seconds: got {value}": (
        "{name} des Abschnitts: erwartet eine Zahl von Sekunden, nicht {value}"
    ),
    "the stretch is {start} to {end} s: expected at least 0.1 s within the song of {seconds} s; "
    "drag over the picture": (
        "der Abschnitt geht von {start} bis {end} s: erwartet mindestens 0,1 s im Lied von "
        "{seconds} s; bitte über das Bild ziehen"
    ),
    "there is no recording to sing over: upload a band or a voice": (
        "es gibt keine Aufnahme: bitte eine Band oder eine Stimme hochladen"
    ),
    "the mode is {mode}: a recording needs a mode with two tracks, {modes}": (
        "der Modus ist {mode}: zu einer Aufnahme braucht es einen mit zwei Spuren, {modes}"
    ),
    "the song lasts {seconds} s: edits here are for songs of up to {longest} s; of a whole song, "
    "sing a section again": (
        "das Lied dauert {seconds} s: bearbeitet werden Lieder bis {longest} s; bei ganzen Liedern "
        "bitte einen Abschnitt neu singen"
    ),
    "the song lasts {seconds} s: songs here are up to {longest} s long, which leaves no room to "
    "continue it": (
        "das Lied dauert {seconds} s: Lieder sind hier bis zu {longest} s lang, es bleibt kein "
        "Platz für eine Fortsetzung"
    ),
    "the song has {count} track(s): the mode {mode} sings another number; choose {modes}": (
        "das Lied hat {count} Spur(en): der Modus {mode} singt eine andere Zahl; möglich: {modes}"
    ),
    "the track is {track}: expected 'vocal', 'band' or 'both'": (
        "die Spur ist {track}: erwartet 'vocal', 'band' oder 'both'"
    ),
    "this song was sung as one mix, whose tracks cannot be changed alone: choose both": (
        "dieses Lied wurde als eine Mischung gesungen, deren Spuren sich nicht einzeln ändern "
        "lassen: bitte beide wählen"
    ),
    "this song cannot be edited: it has no codes": (
        "dieses Lied lässt sich nicht bearbeiten: es hat keine Codes"
    ),
    "this song is no longer here: songs are deleted when you leave the page, after {minutes} "
    "minutes, or after {songs} more songs; sing it again with its seed": (
        "dieses Lied ist nicht mehr da: Lieder werden gelöscht, wenn man die Seite verlässt, nach "
        "{minutes} Minuten oder nach {songs} weiteren Liedern; mit seinem Startwert lässt es sich "
        "neu singen"
    ),
    "the balance must be from -100 (band) to 100 (vocal): got {value}": (
        "Balance: erwartet eine Zahl von -100 (Band) bis 100 (Gesang), nicht {value}"
    ),
    'this song was sung as one mix: sing it in the mode "{mode}" to balance it': (
        "dieses Lied wurde als eine Mischung gesungen: für die Balance bitte im Modus „Zwei "
        "Spuren“ singen"
    ),
    # Adapters
    "there is no adapter {name} here: choose one of this Space or give a Hub id; after a colon, a "
    "weight from 0 to 2": (
        "es gibt hier keinen Adapter {name}: bitte einen dieses Space oder eine Hub-Id angeben; "
        "nach einem Doppelpunkt ein Gewicht von 0 bis 2"
    ),
    "there is no adapter {name} here: choose one of this Space ({offered}) or give a Hub id "
    "(owner/name)": (
        "es gibt hier keinen Adapter {name}: bitte einen dieses Space ({offered}) oder eine Hub-Id "
        "(Name/Name) angeben"
    ),
    "this Space offers its own adapters only: got {name}": (
        "dieser Space bietet nur eigene Adapter an, nicht {name}"
    ),
    "{name} has no {file}: give the Hub id of a LoRA adapter saved with safetensors": (
        "{name} hat kein {file}: bitte die Hub-Id eines LoRA-Adapters als safetensors angeben"
    ),
    "{name} has no {file}: give the Hub id of a LoRA adapter": (
        "{name} hat kein {file}: bitte die Hub-Id eines LoRA-Adapters angeben"
    ),
    "the adapter {name} has {size} MB: at most {most} MB are downloaded": (
        "der Adapter {name} hat {size} MB: höchstens {most} MB werden geladen"
    ),
    "cannot fetch the adapter {name} from the Hub: check its name, and whether it is public": (
        "der Adapter {name} lässt sich nicht vom Hub laden: bitte den Namen prüfen und ob er "
        "öffentlich ist"
    ),
    "cannot load the adapter {name}: {reason}; give a folder or Hub id that songgen-hf train lora "
    "wrote for this model": (
        "der Adapter {name} lässt sich nicht laden: er passt nicht zu diesem Modell, oder eine "
        "Datei ist beschädigt"
    ),
    "the weight of the adapter {name} is {weight}: expected a number": (
        "das Gewicht des Adapters {name} ist {weight}: erwartet eine Zahl"
    ),
    "the weight of the adapter {name} is {weight}: expected it finite": (
        "das Gewicht des Adapters {name} ist {weight}: erwartet eine endliche Zahl"
    ),
    "{model} is of type {kind}: adapters are for autoregressive song models; give one of these "
    "with --model": (
        "{model} ist vom Typ {kind}: Adapter sind für autoregressive Modelle; bitte ein solches "
        "wählen"
    ),
    "the adapter in {name} was trained for {base}, --model is {model}: give that model, or "
    "another --out": (
        "der Adapter in {name} gehört zu {base}, gewählt ist {model}: bitte dieses Modell oder "
        "einen anderen Namen wählen"
    ),
    "the adapter in {name} has the rank {rank}, --rank is {given}: give that rank, or another "
    "--out": (
        "der Adapter in {name} hat den Rang {rank}, verlangt ist {given}: bitte diesen Rang oder "
        "einen anderen Namen wählen"
    ),
    "the adapter {name} was trained for the mode {fitting}, not for {mode}: choose that mode, or "
    "no adapter": (
        "der Adapter {name} wurde für den Modus {fitting} trainiert, nicht für {mode}: bitte jenen "
        "Modus oder keinen Adapter wählen"
    ),
    "adapters are for the modes {one} and {other}: choose another mode, or no adapter": (
        "Adapter gibt es für die Modi Mischung und Zwei Spuren: bitte einen davon oder keinen "
        "Adapter wählen"
    ),
    # Adaptations
    "the name of the adapter is {name}: expected letters, digits, - and _": (
        "der Name des Adapters ist {name}: erlaubt sind Buchstaben ohne Umlaute, Ziffern, - und _"
    ),
    "the adapter {name} is being made: wait for it, or stop it": (
        "der Adapter {name} entsteht gerade: bitte warten oder anhalten"
    ),
    "there is nothing to train on: look at the recordings first": (
        "es gibt nichts zum Trainieren: bitte zuerst die Aufnahmen ansehen"
    ),
    "a folder and uploaded songs were both given: give one of them": (
        "es sind ein Ordner und hochgeladene Lieder angegeben: bitte eines davon"
    ),
    "there is no folder {name}: give one with recordings": (
        "es gibt keinen Ordner {name}: bitte einen mit Aufnahmen angeben"
    ),
    "there are no recordings: give a folder, or upload songs": (
        "es gibt keine Aufnahmen: bitte einen Ordner angeben oder Lieder hochladen"
    ),
    "none of the {count} clips of {source} can be used (mostly: {reason}); see {report}, and "
    "change bounds with --set filter.NAME=VALUE": (
        "keiner der {count} Ausschnitte von {source} ist verwendbar (meist: {reason}); "
        "Einzelheiten stehen in {report}"
    ),
    "the training ended unexpectedly (exit status {status}): see the log, and start it again": (
        "das Training endete unerwartet (Status {status}): bitte im Protokoll nachsehen und neu "
        "beginnen"
    ),
    # Why a clip of a recording is not trained on
    "{name}: {score} is below the lowest allowed, {bound}": (
        "{name}: {score}, erlaubt sind mindestens {bound}"
    ),
    "{name}: {score} is above the highest allowed, {bound}": (
        "{name}: {score}, erlaubt sind höchstens {bound}"
    ),
    "{name}: {score} of the clip is above the highest allowed, {bound} of the clip": (
        "{name}: Anteil {score}, erlaubt ist höchstens {bound}"
    ),
    "truncated: the file ends early": "abgeschnitten: die Datei endet zu früh",
    "truncated: the file ends early, at {end} s": (
        "abgeschnitten: die Datei endet zu früh, nach {end} s"
    ),
    "no singing: clips without singing are not kept": (
        "kein Gesang: Ausschnitte ohne Gesang werden nicht verwendet"
    ),
    "language: {language} is not among those allowed, {allowed}": (
        "Sprache: {language} ist nicht dabei; erlaubt: {allowed}"
    ),
    "duplicate: the same sound as {clip}": "doppelt: derselbe Klang wie {clip}",
    "balance: more than {limit} clips of the {name} {value}": (
        "Ausgewogenheit: mehr als {limit} Ausschnitte von {name} {value}"
    ),
    "error: {stage}: {error}": "Fehler beim Schritt „{stage}“: {error}",
    "it has no sound": "enthält keinen Klang",
    "it is silent in mono, below {level} dB throughout: replace it": (
        "in Mono durchgehend still, unter {level} dB; bitte ersetzen"
    ),
    "cannot read {file} as UTF-8: save it in this encoding": (
        "{file} ist kein UTF-8; bitte in dieser Kodierung speichern"
    ),
    "line {line} of {file} is no JSON ({reason}): correct it": (
        "Zeile {line} von {file} ist kein JSON ({reason}); bitte berichtigen"
    ),
    "line {line} of {file}: got {kind}, expected a JSON object such as {example}": (
        "Zeile {line} von {file}: erwartet wird ein JSON-Objekt wie {example}, nicht {kind}"
    ),
    "{column}: got {kind}, expected text; write it as one": (
        "{column}: erwartet Text, nicht {kind}; bitte als Text schreiben"
    ),
    "tempo of the clip {clip}: got {value}, expected beats per minute": (
        "Tempo des Ausschnitts {clip}: erwartet Schläge in der Minute, nicht {value}"
    ),
    "{label} holds no audio": "{label}: enthält keinen Klang",
    "{label} holds NaN or infinite samples; repair or replace the recording": (
        "{label}: enthält ungültige Werte; bitte die Aufnahme ersetzen"
    ),
    "{label} holds NaN or infinite samples; repair or replace it": (
        "{label}: enthält ungültige Werte; bitte die Aufnahme ersetzen"
    ),
    "cannot read {name} ({reason}); expected WAV, FLAC, OGG or MP3 audio": (
        "{name}: lässt sich nicht lesen; erwartet WAV, FLAC, OGG oder MP3"
    ),
    # Recordings
    "the {name} has {size} MB: up to {most} MB are accepted; cut it, a few seconds are enough": (
        "{name}: {size} MB, erlaubt sind {most} MB; bitte kürzen, wenige Sekunden genügen"
    ),
    "the {name} lasts {seconds}: up to {longest} are accepted; cut it, a few seconds are enough": (
        "{name}: {seconds} lang, erlaubt sind {longest}; bitte kürzen, wenige Sekunden genügen"
    ),
    "the {name} is silent from second {start} on: check the microphone, or choose another start": (
        "{name}: ab Sekunde {start} still; bitte das Mikrofon prüfen oder einen anderen Beginn "
        "wählen"
    ),
    "the {name} is a WebM or M4A recording, which this server cannot read without ffmpeg: upload "
    "WAV, FLAC, OGG or MP3": (
        "{name}: WebM und M4A kann dieser Server ohne ffmpeg nicht lesen; bitte WAV, FLAC, OGG "
        "oder MP3 hochladen"
    ),
    "cannot read the {name}: it has no sound that ffmpeg understands; upload WAV, FLAC, OGG or "
    "MP3": ("{name}: enthält keinen lesbaren Klang; bitte WAV, FLAC, OGG oder MP3 hochladen"),
    "the {name} takes too long to read: upload a few seconds as WAV": (
        "{name}: das Lesen dauert zu lange; bitte wenige Sekunden als WAV hochladen"
    ),
    "cannot read the {name} ({reason}); expected WAV, FLAC, OGG or MP3 audio": (
        "{name}: lässt sich nicht lesen; bitte WAV, FLAC, OGG oder MP3 hochladen"
    ),
    "the {name} holds no audio": "{name}: enthält keinen Klang",
    "the {name} holds NaN or infinite samples; repair or replace the recording": (
        "{name}: enthält ungültige Werte; bitte die Aufnahme ersetzen"
    ),
    "the {name} lasts {seconds} s, but reading was to start at {start} s; choose an earlier "
    "start": (
        "{name}: {seconds} s lang, aber der Beginn liegt bei {start} s; bitte früher beginnen"
    ),
}
"""English message with named places of values -> the German one."""

PARTS: dict[str, str] = {
    "the lyrics": "Liedtext",
    "the description": "Beschreibung",
    "the voice's start": "Beginn der Stimmvorlage",
    "the length": "Länge",
    "the seed": "Startwert",
    "guidance": "Führung",
    "guidance of the text (0 for that of guidance)": "Führung der Beschreibung (0 folgt Führung)",
    "guidance of the lyrics (0 for that of guidance)": "Führung des Liedtexts (0 folgt Führung)",
    "guidance of the voice (0 for that of guidance)": "Führung der Stimme (0 folgt Führung)",
    "top-k": "Top-k",
    "the temperature": "Temperatur",
    "the steps": "Schritte",
    "variations": "Varianten",
    "the adapter": "Adapter",
    "the adapter's weight": "Gewicht des Adapters",
    "best of": "Bestes von",
    "takes": "Fassungen",
    "the window": "Fenster",
    "the context": "Kontext",
    "the section": "Abschnitt",
    "the balance": "Balance",
    "whole": "Ganzes Lied",
    "repeat_chorus": "Refrain wiederholen",
    "a number": "eine Zahl",
    "0 or 1": "0 oder 1",
    "a whole number": "eine ganze Zahl",
    "no words": "keine Worte",
    "no length": "keine Länge",
    "start": "Beginn",
    "end": "Ende",
    "reference voice": "Stimmvorlage",
    "recording": "Aufnahme",
    "none": "keiner",
    "too short": "zu kurz",
    "too long": "zu lang",
    "loudness": "Lautheit",
    "clipping (flat peaks)": "Übersteuerung (flache Spitzen)",
    "clipping (density of peaks)": "Übersteuerung (Dichte der Spitzen)",
    "silence": "Stille",
    "bandwidth": "Bandbreite",
    "loss of level in mono": "Pegelverlust in Mono",
    "energy of the vocal": "Energie des Gesangs",
    "energy of the accompaniment": "Energie der Begleitung",
    "speech": "gesprochen",
    "transcripts differ": "Abschriften weichen ab",
    "lyrics are not sung": "Text wird nicht gesungen",
    "caption (CLAP)": "Beschreibung (CLAP)",
    "artist": "Interpret",
    "genre": "Genre",
    "truncated": "abgeschnitten",
    "no singing": "kein Gesang",
    "no singing and no sound": "weder Gesang noch Klang",
    "language": "Sprache",
    "duplicate": "doppelt",
    "balance": "Ausgewogenheit",
    "error": "Fehler beim Lesen",
    "inspect": "Prüfen",
    "separate": "Trennen",
    "segment": "Schneiden",
    "transcribe": "Abschreiben",
    "score": "Bewerten",
    "caption": "Beschreiben",
}
"""What stands in the places of values, where it is words of the page."""

__all__ = ["MESSAGES", "PARTS"]
