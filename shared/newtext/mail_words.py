"""The words by which mail programs announce somebody else's text, one line for each language.

They are what the programs themselves write, as regular expressions without groups; a language is
added by adding its lines here.
"""

from __future__ import annotations

WROTE = {
    "fr": r"a écrit(?: ce qui suit)?|a ecrit|écrivait",
    "en": r"wrote|writes",
    "de": r"schrieb(?: folgendes)?",
    "es": r"escribió|escribio|ha escrito",
    "it": r"ha scritto",
    "pt": r"escreveu",
    "nl": r"schreef|geschreven|schreven",
    "scandinavian": r"skrev|skreiv",
    "fi": r"kirjoitti",
    "pl": r"napisał\(a\)|napisała?",
    "cs, sk": r"napsala?|napsal\(a\)|napísala?|napísal\(a\)",
    "hu": r"ezt írta|írta",
    "ro": r"a scris",
    "ca": r"va escriure|ha escrit",
    "hr, sr, sl": r"je napisao(?:/la)?|je napisala?|je napisal\(a\)|је написао",
    "ru, uk, bg": r"написала?|написал\(а\)|пишет|пише|писал|написа",
    "el": r"έγραψε",
    "tr": r"yazdı|şunları yazdı",
    "vi": r"đã viết",
    "id": r"menulis",
}
WROTE_UNSPACED = r"写道|寫道|님이 작성|のメール|さんは書きました"
"""Of scripts that put no space before their verb."""
WROTE_BEFORE_NAME = r"schrieb|schreef|skrev|heeft|kirjoitti"
"""Verbs that the name of the author may follow: "Am … schrieb X:"."""

DATE_OPENS = (
    r"le|on|el(?: día)?|il(?: giorno)?|em|am|op|den|dnia|på|at|w dniu|в|у|a|在|in data|în|vào"
    r"|pada|dne|στις|dana|на|en date d[eu]|in a message dated"
)
"""What stands before the date at the start of an attribution."""
QUOTING = r"quoting|zitat von|citando(?: a)?|citation de|en réponse à"
"""Openings of Horde and its like: "Quoting X <x@y>:"."""

ORIGINAL = (
    r"message d['´`]origine|message original|message initial|mail original|e-mail original"
    r"|courriel original|courrier original|message précédent"
    r"|original message|original e-?mail|original appointment|previous message|reply message"
    r"|ursprüngliche nachricht|urspruengliche nachricht|originalnachricht|original[- ]nachricht"
    r"|ursprüngliche e-?mail|ursprünglicher termin|original-?mail"
    r"|mensaje original|correo original|cita original"
    r"|messaggio originale|messaggio originario|appuntamento originale"
    r"|mensagem original|oprindelig (?:besked|meddelelse)|opprinnelig melding"
    r"|ursprungligt meddelande|originalmeddelande|oorspronkelijk bericht|origineel bericht"
    r"|alkuperäinen viesti|oryginalna wiadomość|wiadomość oryginalna|původní (?:zpráva|e-?mail)"
    r"|pôvodná správa|eredeti üzenet|mesajul original|mesaj original|orijinal mesaj|özgün ileti"
    r"|исходное сообщение|оригинальное сообщение|пересылаемое сообщение|αρχικό μήνυμα"
    r"|missatge original|原始邮件|原始郵件|元のメッセージ|원본 메시지"
)
REPLY_ABOVE = (
    r"(?:please )?(?:type |write |enter |add )?(?:your )?(?:reply|replies|response) above this line"
    r"|(?:merci de |veuillez )?répond(?:re|ez) au[- ]dessus de cette ligne"
    r"|(?:bitte )?antworten sie (?:oberhalb|über) dieser (?:linie|zeile)"
    r"|(?:por favor,? )?(?:responda|escriba su respuesta) (?:por )?encima de esta línea"
    r"|rispond[ai] sopra (?:a )?questa (?:linea|riga)"
)
"""What help desks put above the text they send, for replies to be cut there."""
FORWARDED = (
    r"message transféré|mail transféré|e-mail transféré|courriel transféré|message réexpédié"
    r"|courriel réexpédié|message renvoyé|(?:réacheminé|transféré|transmis|envoyé) par\b.{1,120}"
    r"|forwarded message|forwarded e-?mail|forwarded by\b.{1,120}|forwarded message from\b.{1,120}"
    r"|weitergeleitete (?:nachricht|e-?mail|mail)|weitergeleitet (?:von|durch)\b.{1,120}"
    r"|mensaje reenviado|correo reenviado|reenviado por\b.{1,120}"
    r"|messaggio inoltrato|e-?mail inoltrata|inoltrato da\b.{1,120}"
    r"|mensagem (?:encaminhada|reencaminhada)|doorgestuurd bericht|vidarebefordrat meddelande"
    r"|vidarebefordrat brev|videresendt (?:besked|melding|meddelelse)|välitetty viesti"
    r"|wiadomość przekazana|přeposlaná zpráva|továbbított üzenet|mesaj redirecționat"
    r"|пересылаемое сообщение|пересланное сообщение|переслане повідомлення"
    r"|转发邮件|轉寄郵件|転送メッセージ|전달된 메시지|iletilen mesaj|missatge reenviat"
)
FORWARD_BEGINS = (
    r"début du (?:message|courriel|mail|e-mail) (?:transféré|réexpédié)|message transféré"
    r"|begin forwarded message|anfang der weitergeleiteten (?:nachricht|e-?mail)"
    r"|inicio del mensaje reenviado|inizio (?:del )?messaggio inoltrato"
    r"|início da mensagem (?:re)?encaminhada|begin doorgestuurd bericht"
    r"|vidarebefordrat (?:brev|meddelande)|start på videresendt (?:besked|melding)"
    r"|videresendt (?:besked|melding)|välitetty viesti alkaa|początek przekazywanej wiadomości"
    r"|začátek přeposílané zprávy|начало переадресованного сообщения|inici del missatge reenviat"
)
"""Apple Mail's, without dashes, ended by a colon."""

HEADER_ROLES = {
    "from": (
        r"de|from|von|da|van|från|fra|od|от|від|de la part de|expéditeur|sender|absender|remitente"
        r"|mittente|lähettäjä|feladó|de la|από|kimden|gönderen|发件人|寄件者|差出人|보낸 사람"
    ),
    "sent": (
        r"envoyée?(?: le)?|message du|sent|gesendet|skickat|inviato|verzonden"
        r"|enviad[ao](?: el| em)?|sendt"
        r"|lähetetty|wysłano|wysłane|odesláno|odoslané|elküldve|trimis|отправлено"
        r"|надіслано|στάλθηκε|gönderilme|gönderildi|发送时间|寄件日期|送信日時|보낸 날짜"
    ),
    "date": (
        r"date|datum|data|dato|fecha|дата|dátum|päivä|päiväys|tarih|ημερομηνία|日期|日付"
        r"|date d'envoi|reçue?(?: le)?|received"
    ),
    "to": (
        r"à|a|to|an|para|aan|till|til|do|pour|destinataires?|empfänger|destinatari[oa]?|кому"
        r"|vastaanottaja|komu|címzett|către|προς|kime|收件人|宛先|받는 사람"
    ),
    "subject": (
        r"objet|subject|betreff|oggetto|asunto|assunto|onderwerp|ämne|emne|temat|тема|sujet|titre"
        r"|aihe|předmět|predmet|tárgy|subiect|θέμα|konu|主题|主旨|件名|제목"
    ),
    "other": (
        r"cci?|bcc|copie(?: à)?|copia|kopie|kopia|kopi|in kopie|reply[- ]to|antwort an|répondre à"
        r"|responder a|rispondi a|risposta|importance|priorité|priority|wichtigkeit|priorität"
        r"|pièces? jointes?|pj|attachments?|anlagen?|anhänge|adjuntos?|allegat[oi]|message-id"
        r"|organisation|organization|копия|kopio|másolat|抄送"
    ),
}
"""What the line above somebody else's text may name, by what it says of that text."""
