"""What programs and organisations add below a message: device footers, disclaimers, notices."""

from __future__ import annotations

import re

_MOBILE = re.compile(
    r"^[<(\[*_\s-]*(?:"
    r"envoyé[es]? (?:de(?:puis)?|à partir d[eu]|avec|via|par)\b.{2,90}"
    r"|télécharge[rz] (?:\[?outlook|proton|l'application).{0,80}|obten(?:ez|ir) \[?outlook.{0,60}"
    r"|provenance\s?: courrier.{0,40}|message envoyé (?:de|avec|depuis).{2,80}"
    r"|(?:someone )?(?:from|sent from|sent via|sent with|sent by|sent using) (?:my |a |the "
    r")?.{2,90}"
    r"|get \[?outlook for .{2,60}|get bluemail.{0,40}|powered by .{2,40}|sent securely .{2,60}"
    r"|von (?:meinem|meiner|unterwegs|mein) .{2,60}gesendet.{0,60}"
    r"|diese (?:nachricht|e-?mail) wurde (?:von|mit) .{2,80}"
    r"|gesendet (?:von|mit|über|via) .{2,60}|von meinem .{2,40}|von unterwegs .{2,40}"
    r"|(?:holen|laden) sie (?:sich )?\[?outlook.{0,60}|outlook für .{2,40}"
    r"|enviado (?:desde|do|de|from|con|com|a partir d[eo]) .{2,60}"
    r"|obt(?:ener|én|enga|er|enha) (?:o )?\[?outlook .{2,60}"
    r"|inviat[oa] (?:da|dal|con|tramite).{2,60}|(?:ottieni|scarica) \[?outlook .{2,60}"
    r"|messaggio inviato (?:da|con).{2,60}"
    r"|(?:verzonden|verstuurd) (?:met|vanaf|via|vanuit) .{2,60}|outlook voor .{2,40}"
    r"|sendt fra .{2,60}|skickat från .{2,60}|hent outlook .{2,40}|skaffa outlook .{2,40}"
    r"|lähetetty .{2,60}|wysłan[eoa] z .{2,60}|odesláno z .{2,60}|odoslané z .{2,60}"
    r"|trimis de pe .{2,60}|отправлено (?:с|из).{2,60}|надіслано з.{2,60}|στάλθηκε από .{2,60}"
    r"|從我的.{2,40}|发自我的.{2,40}|發自我的.{2,40}|iphoneから送信|나의 .{2,20}에서 보냄"
    r")[>)\]*_\s]*$",
    re.IGNORECASE,
)
_FROM_MY = re.compile(r"^from ", re.IGNORECASE)
_DEVICE = re.compile(r"\b(?:mobile|i?phone|ipad|android|blackberry|galaxy)\b", re.IGNORECASE)
# "Sent from my desk, is much easier": a footer's clause excuses itself or names a carrier.
_CLAUSE = re.compile(
    r"^[^,;<]{2,60}[,;]\s+(?!please|sorry|excuse|pardon|veuillez|merci|an? |so )\w"
)
_EXCUSE = re.compile(
    r"^[\s*_(]*(?:(?:please )?(?:excuse|pardon|forgive)(?: my| the| any)? (?:brevity|typos?|"
    r"spelling|mistakes|autocorrect).{0,60}|sorry for (?:any |the )?typos?.{0,40}"
    r"|(?:veuillez|merci d[e'])\s?(?:excuser|bien vouloir excuser).{0,20}(?:briéveté|brièveté|"
    r"fautes|concision).{0,40}|(?:bitte )?entschuldigen sie.{0,20}kürze.{0,30})$",
    re.IGNORECASE,
)
_MESSAGE = (
    r"(?:e-?mail|mail|message|communication|transmission|courriel|courrier(?: électronique)?|mél"
    r"|nachricht|mensaje|correo(?: electrónico)?|messaggio|mensagem|bericht)"
)
_ABOUT = (
    r"(?:confidenti?[ae]l|privileged|intended|recipient|virus|destinataire|pièces? jointes?"
    r"|usage exclusif|vertraulich|empfänger|confidencial|destinatari[oa]|riservat|privat"
    r"|vertrouwelijk|geadresse)"
)
_DISCLAIMER = re.compile(
    r"^[\s*_\[(]*(?:"
    r"(?:avertissement|avis de confidentialité|clause de confidentialité|mentions? légales?"
    r"|confidentiality|disclaimer|legal notice|haftungsausschluss|vertraulichkeitshinweis"
    r"|aviso (?:legal|de confidencialidad)|confidencialidad|avviso di riservatezza)"
    rf"\b.{{0,200}}?{_ABOUT}"
    rf"|(?:ce|cet|le présent|le contenu de ce|les informations contenues dans ce)\s+{_MESSAGE}\b"
    rf".*{_ABOUT}.*"
    rf"|(?:this|the (?:contents? of|information (?:contained )?in) this)\s+{_MESSAGE}\b.*{_ABOUT}.*"
    rf"|(?:diese|der inhalt dieser|die information\w* in dieser)\s+{_MESSAGE}\b.*{_ABOUT}.*"
    rf"|(?:este|el contenido de este|la información contenida en este|esta)\s+{_MESSAGE}\b"
    rf".*{_ABOUT}.*"
    rf"|(?:questo|il presente|il contenuto di questo|le informazioni contenute in questo)\s+"
    rf"{_MESSAGE}\b.*{_ABOUT}.*"
    rf"|(?:dit|de informatie in dit)\s+{_MESSAGE}\b.*{_ABOUT}.*"
    rf"|if you (?:are not the (?:intended|named)|have received this {_MESSAGE}) .*"
    rf"|si vous (?:n'êtes pas (?:le|l'un des?) destinataire|avez reçu ce {_MESSAGE} par erreur).*"
    r"|(?:pensez à|préservons|protégeons|soucieux de) l?['a]?\s?(?:environnement|planète|nature).*"
    r"|(?:avant d'imprimer|n'imprimez|merci de n'imprimer|please consider the environment"
    r"|think before you print|before printing|please don't print|bitte (?:denken|prüfen) sie.{0,60}"
    r"(?:umwelt|drucken|ausdrucken)|antes de imprimir|prima di stampare).*"
    r"|(?:l'absence de virus|garanti sans virus|virus-?free|virenfrei|libre de virus|privo di virus"
    r"|mail priva di virus|cet e-mail a été vérifié|(?:this|the) (?:e-?mail|message) has been "
    r"(?:checked|scanned)|diese e-?mail wurde von .{2,40}geprüft|este correo .{0,40}analizado)\b.*"
    r")",
    re.IGNORECASE,
)
# What mailing lists and groups put below every message.
_LIST_FOOTER = re.compile(
    r"^(?:you (?:received|are receiving) this (?:message|e-?mail|because).*"
    r"|to unsubscribe(?: from| and|,| send|:).*|to post to this group.*|\S+ mailing list$"
    r"|for more options, visit .*|unsubscribe:? https?://.*"
    r"|vous (?:avez reçu|recevez) ce (?:message|courriel|mail) (?:car|parce que).*"
    r"|pour (?:vous désabonner|se désabonner|vous désinscrire).*"
    r"|(?:reply to this e-?mail|view (?:this e-?mail|it)|répondez? à cet e-?mail) .{0,60}"
    r"(?:directly|github|gitlab|browser).*)$",
    re.IGNORECASE,
)


def is_mobile_footer(text: str) -> bool:
    """Whether `text`, as `plain` gives it, is what a telephone or mail program adds by itself."""
    if _EXCUSE.match(text):
        return True
    if not _MOBILE.match(text) or text.endswith("?") or _CLAUSE.match(text):
        return False
    return not _FROM_MY.match(text) or bool(_DEVICE.search(text))


def is_disclaimer(text: str) -> bool:
    """Whether `text`, as `plain` gives it, opens a disclaimer or a notice of a program."""
    return bool(_DISCLAIMER.match(text) or _LIST_FOOTER.match(text))
