"""Recognise that a sentence asks for something, in French and in English."""

from __future__ import annotations

import re

# A question mark inside an address ("…?LinkId=5") asks nothing.
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|\S{1,100}@\S{1,100}")
_MARK = re.compile(r"[?？]")

_TELL = (
    r"indiquer|informer|dire|préciser|confirmer|renseigner|expliquer|transmettre|envoyer"
    r"|communiquer"
    r"|faire (?:savoir|parvenir|connaître|part)|fournir|aider|éclairer|orienter|répondre|donner"
    r"|adresser"
)
_TO_US = r"(?:bien |vouloir |me |nous |m'|de |à )*"
_WH = r"(?:si|s'il|s'ils|quel\w*|comment|quand|pourquoi|combien|où|ce qu\w*)"
_FRENCH = re.compile(
    # Inverted verbs: « Pourriez-vous … », « L'étude est-elle … ».
    r"\b(?:pourriez|pourrions|pouvez|pourrait|peut|pourrais|peux|auriez|avez|seriez|sauriez|savez)"
    r"-(?:vous|nous|on|il|elle|je|tu)\b"
    r"|\best-(?:ce|il|elle)\b|\bsont-(?:ils|elles)\b|\bqu'en est-il\b"
    # « Je souhaiterais savoir si … », « j'ai besoin de précisions ».
    r"|\b(?:je |nous |on |j'(?:ai |aurais )?)(?:souhait\w+|voudr\w+|aimer\w+|désir\w+|cherch\w+"
    r"|veux|voulons|avons besoin|aurions besoin|besoin)\b.{0,80}?"
    r"\b(?:savoir|conna[iî]tre|comprendre|vérifier|obtenir|recevoir|précisions?|renseignements?"
    r"|informations?|éclaircissements?|confirmation|si|comment|quand|combien|quel\w*)\b"
    # « Merci de me préciser … », « Je vous serais reconnaissant de bien vouloir m'indiquer … ».
    r"|\b(?:merci|remerci\w+|reconnaissante?s?|gré|obligée?s?|prière|prie|prions|demande\w*)\s"
    rf"(?:par avance |d'avance )?(?:de |d'){_TO_US}(?:{_TELL})\b"
    rf"|\b(?:veuillez|voulez-vous) {_TO_US}(?:{_TELL})\b"
    # « Je me demande si … », « nous ne savons pas comment … », « ma question porte sur … ».
    rf"|\bdemand(?:e|ons|ais|ions) {_WH}\b"
    rf"|\b(?:sais|savons|comprends|comprenons|trouve|trouvons|vois|voyons) pas\b.{{0,40}}?\b{_WH}\b"
    r"|\b(?:ma|notre|mes|nos) questions?\s(?:est|sont|porte\w*|concerne\w*)\b",
    re.IGNORECASE,
)
_ENGLISH = re.compile(
    r"\b(?:(?:could|can|would|will|may|might) (?:you|we|i)\b(?: (?:please|kindly))?"
    r"|(?:please|kindly) (?:let|tell|advise|confirm|explain|send|provide|clarify|indicate|inform)"
    r"|(?:i|we)(?:'d| would) (?:like|love|appreciate|be (?:grateful|interested)).{0,60}"
    r"\b(?:know|understand|find out|learn|information|whether|if|details|hear|confirm)"
    r"|(?:i|we) (?:am|are|was|were)? ?wondering|(?:i|we) (?:wonder|want to know|need to know)"
    r"|(?:i|we) (?:do not|don't) (?:know|understand) (?:if|whether|how|what|when|which|why|where)"
    r"|(?:my|our) questions? (?:is|are|concerns?))\b",
    re.IGNORECASE,
)
# Open-ended openings whose answer nobody expects from a document.
_COURTESY = re.compile(
    r"^\W*(?:(?:bonjour|bonsoir|hello|hi|dear \w+|madame|monsieur)[\s,!.]*)?"
    r"(?:(?:comment|how) (?:allez-vous|vas-tu|ça va|ca va|vous portez-vous|are you(?: doing| "
    r"today)?)"
    r"|ça va|vous allez bien|tout va bien|comment se passe .{0,30}"
    r"|(?:j'espère|nous espérons) que vous (?:allez|vous portez) bien"
    r"|(?:i|we) hope (?:you are|this (?:e-?mail|message) finds you) .{0,40})"
    r"(?: (?:depuis|bien|vous|today|aujourd'hui|ces temps-ci|en ce moment|depuis la dernière "
    r"fois))*\s*[?.!]*$",
    re.IGNORECASE,
)
# "Pourriez-vous me rappeler ?" asks for a call: nothing a document answers, yet an agent must see
# it. Only these fixed politenesses count as asking nothing.
_POLITE = re.compile(
    r"^\W*(?:n'hésitez pas|je (?:reste|me tiens)|nous (?:restons|nous tenons)|dans l'attente|en "
    r"attendant"
    r"|en vous remerciant|(?:je|nous) vous remerci\w+ (?:par avance|d'avance|beaucoup|pour|de "
    r"votre)"
    r"|merci (?:par avance|d'avance|beaucoup|pour|de votre)"
    r"|(?:un grand |encore )?(?:merci(?: bien| infiniment| encore| à vous)*"
    r"|thanks?(?: you)?(?: very much| a lot)?)[\s.!…]*$)[^?]*$",
    re.IGNORECASE,
)


def is_courtesy(sentence: str) -> bool:
    """Whether `sentence` is pure courtesy, whatever its punctuation."""
    return bool(_COURTESY.match(sentence) or _POLITE.match(sentence))


def is_request(sentence: str) -> bool:
    """Whether `sentence` asks: a question mark outside an address, or an indirect question."""
    text = _ADDRESS.sub(" ", sentence.replace("’", "'"))
    if is_courtesy(text):
        return False
    return bool(_MARK.search(text) or _FRENCH.search(text) or _ENGLISH.search(text))
