"""The new text in the forms that mail programs write, one example of each, in many languages.

Written from how the programs announce a quote or add a footer, not from the rules.
"""

from __future__ import annotations

import textwrap

import pytest

from shared.newtext.segments import segments
from shared.newtext.visible import new_text

NEW = "Le programme finance-t-il l'étude ?"
OLD = "Voici les pièces à fournir."

ATTRIBUTIONS = [
    # Gmail
    "Le lun. 3 mars 2026 à 10:12, Service Prêts <s@x.example> a écrit :",
    "On Tue, 3 Mar 2026 at 10:12, Desk <d@x.example> wrote:",
    "Am Di., 3. März 2026 um 10:12 Uhr schrieb Amt <a@x.example>:",
    "El mar, 3 mar 2026 a las 10:12, Oficina (<o@x.example>) escribió:",
    "Il giorno mar 3 mar 2026 alle ore 10:12 Ufficio <u@x.example> ha scritto:",
    "Em ter., 3 de mar. de 2026 às 10:12, Balcão <b@x.example> escreveu:",
    "Op di 3 mrt 2026 om 10:12 schreef Loket <l@x.example>:",
    "wt., 3 mar 2026 o 10:12 Urząd <u@x.example> napisał(a):",
    "Den tis 3 mars 2026 kl 10:12 skrev Kontor <k@x.example>:",
    "tir. 3. mar. 2026 kl. 10:12 skrev Kontor <k@x.example>:",
    "ti 3. maalisk. 2026 klo 10.12 Toimisto (t@x.example) kirjoitti:",
    "út 3. 3. 2026 v 10:12 odesílatel Úřad <u@x.example> napsal:",
    "Hivatal <h@x.example> ezt írta (időpont: 2026. márc. 3., K, 10:12):",
    "În mar., 3 mar. 2026 la 10:12, Birou <b@x.example> a scris:",
    "вт, 3 мар. 2026 г. в 10:12, Отдел <o@x.example>:",
    "вт, 3 бер. 2026 р. о 10:12 Відділ <v@x.example> пише:",
    "Ofis <o@x.example>, 3 Mar 2026 Sal, 10:12 tarihinde şunu yazdı:",
    "2026年3月3日(火) 10:12 窓口 <m@x.example>:",
    "窗口 <m@x.example> 于2026年3月3日周二 10:12写道：",
    "Στις Τρί 3 Μαρ 2026 στις 10:12 ο χρήστης Γραφείο <g@x.example> έγραψε:",
    "2026-03-03 10:12 GMT+01:00 Service <s@x.example>:",
    # Apple Mail
    "Le 3 mars 2026 à 10:12, Service <s@x.example> a écrit :",
    "On Mar 3, 2026, at 10:12 AM, Desk <d@x.example> wrote:",
    "On 3 Mar 2026, at 10:12, Desk <d@x.example> wrote:",
    "Am 03.03.2026 um 10:12 schrieb Amt <a@x.example>:",
    "El 3 mar 2026, a las 10:12, Oficina <o@x.example> escribió:",
    "Il giorno 3 mar 2026, alle ore 10:12, Ufficio <u@x.example> ha scritto:",
    "Op 3 mrt. 2026, om 10:12 heeft Loket <l@x.example> het volgende geschreven:",
    # Thunderbird, without an address
    "Le 03/03/2026 à 10:12, Service des prêts a écrit :",
    "On 3/3/2026 10:12 AM, Desk wrote:",
    "Am 03.03.26 um 10:12 schrieb Das Amt:",
    "El 3/3/26 a las 10:12, Oficina escribió:",
    "Il 03/03/2026 10:12, Ufficio ha scritto:",
    # Others
    "On Tuesday, March 3rd, 2026 at 10:12 AM, Desk <d@x.example> wrote:",
    "Le mardi 3 mars 2026 à 10:12:33 UTC+1, Service <s@x.example> a écrit :",
    "--- En date de : Mar 3.3.26, Service <s@x.example> a écrit :",
    "Le mardi 03 mars 2026 à 10:12 +0100, Service a écrit :",
    "Am Dienstag, 3. März 2026, 10:12:00 CET schrieb Das Amt:",
    "On Tue, Mar 03, 2026 at 10:12:00AM +0100, Desk wrote:",
    "Le 2026-03-03 10:12, Service a écrit :",
    "Desk <d@x.example> wrote on 03/03/2026 10:12:33 AM:",
    "In a message dated 3/3/2026 10:12:00 A.M. Romance Standard Time, d@x.example writes:",
    "---- Le mar., 03 mars 2026 10:12:33 +0100 Service <s@x.example> a écrit ----",
    "Le 3 Mar 26, à 10:12, Service s@x.example a écrit :",
    "De : Service\nDate : mardi 3 mars 2026 à 10:12\nÀ : Mairie <m@y.example>\nObjet : Re : étude",
    "Quoting Desk <d@x.example>:",
    "Zitat von Amt <a@x.example>:",
    "Service <s@x.example> a écrit :",
]


@pytest.mark.parametrize("marks", ["> ", ""], ids=["quoted", "unmarked"])
@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_attributions(attribution: str, marks: str) -> None:
    assert new_text(f"{NEW}\n\n{attribution}\n\n{marks}{OLD}\n{marks}\n{marks}Fin.") == NEW


@pytest.mark.parametrize("width", [40, 50, 60])
@pytest.mark.parametrize("attribution", [a for a in ATTRIBUTIONS if "\n" not in a])
def test_folded_attributions(attribution: str, width: int) -> None:
    folded = textwrap.fill(attribution, width, break_long_words=False, break_on_hyphens=False)
    assert new_text(f"{NEW}\n\n{folded}\n\n> {OLD}") == NEW


HEADERS = {
    "fr": ("De", "Envoyé", "À", "Objet"),
    "en": ("From", "Sent", "To", "Subject"),
    "de": ("Von", "Gesendet", "An", "Betreff"),
    "es": ("De", "Enviado el", "Para", "Asunto"),
    "it": ("Da", "Inviato", "A", "Oggetto"),
    "pt": ("De", "Enviada em", "Para", "Assunto"),
    "nl": ("Van", "Verzonden", "Aan", "Onderwerp"),
    "sv": ("Från", "Skickat", "Till", "Ämne"),
    "da": ("Fra", "Sendt", "Til", "Emne"),
    "fi": ("Lähettäjä", "Lähetetty", "Vastaanottaja", "Aihe"),
    "pl": ("Od", "Wysłano", "Do", "Temat"),
    "cs": ("Od", "Odesláno", "Komu", "Předmět"),
    "hu": ("Feladó", "Elküldve", "Címzett", "Tárgy"),
    "ro": ("De la", "Trimis", "Către", "Subiect"),
    "ru": ("От", "Отправлено", "Кому", "Тема"),
    "tr": ("Kimden", "Gönderilme", "Kime", "Konu"),
    "el": ("Από", "Στάλθηκε", "Προς", "Θέμα"),
    "zh": ("发件人", "发送时间", "收件人", "主题"),
    "ja": ("差出人", "送信日時", "宛先", "件名"),
    "ko": ("보낸 사람", "보낸 날짜", "받는 사람", "제목"),
}
SHAPES = {
    "plain": "{0}: X <x@x.example>\n{1}: mardi 3 mars 2026 10:12\n{2}: Mairie\n{3}: RE: étude",
    "bold": "*{0}:* X <x@x.example>\n*{1}:* 3 mars 2026 10:12\n*{2}:* Mairie\n*{3}:* RE: étude",
    "ruled": "_____\n{0} : X\n{1} : 3 mars 2026 10:12\n{2} : M <m@y.example>\n{3} : RE: étude",
    "paragraphs": "{0}: X <x@x.example>\n\n{1}: 3 mars 2026\n\n{2}: Mairie\n\n{3}: étude",
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("names", HEADERS.values(), ids=HEADERS.keys())
def test_outlook_headers(names: tuple[str, ...], shape: str) -> None:
    assert new_text(f"{NEW}\n\n{shape.format(*names)}\n\n{OLD}") == NEW


@pytest.mark.parametrize(
    "separator",
    [
        "-----Message d'origine-----",
        "-------- Message d'origine --------\nDe : X <x@x.example>\nDate : 03/03/2026 10:12 (GMT)",
        "----- Mail original -----",
        "-----Original Message-----",
        "------- Original Message -------",
        "‐‐‐‐‐‐‐ Original Message ‐‐‐‐‐‐‐",
        "-----Ursprüngliche Nachricht-----",
        "-------- Original-Nachricht --------",
        "-----Mensaje original-----",
        "-----Messaggio originale-----",
        "-----Mensagem Original-----",
        "-----Oorspronkelijk bericht-----",
        "-----Oprindelig meddelelse-----",
        "-----Ursprungligt meddelande-----",
        "-----Alkuperäinen viesti-----",
        "-----Исходное сообщение-----",
        '------ Message d\'origine ------\nDe "X" <x@x.example>\nÀ "M" <m@y.example>\nDate 3/3/26',
        "> Message du 03/03/26 10:12\n> De : X <x@x.example>\n> A : m@y.example\n> Objet : étude",
        "========================================\n\nMessage du : 03/03/2026 10:12\n"
        'De : "X" <x@x.example>\nA : m@y.example\nCopie à : \nSujet : étude',
        "----- Message de X <x@x.example> ---------\nDate : Tue, 3 Mar 2026",
        "Gesendet: Dienstag, 03. März 2026 um 10:12 Uhr\nVon: X <x@x.example>\nAn: M\nBetreff: y",
    ],
)
def test_separators(separator: str) -> None:
    assert new_text(f"{NEW}\n\n{separator}\n\n{OLD}") == NEW


@pytest.mark.parametrize(
    "footer",
    [
        "Envoyé de mon iPad",
        "Envoyé depuis mon smartphone Samsung Galaxy.",
        "Envoyé depuis Yahoo Mail pour iPhone",
        "Envoyé de mon appareil Android avec K-9 Mail. Veuillez excuser ma brièveté.",
        "Envoyé depuis mon téléphone Orange",
        "Envoyé par Magic Mail",
        "Télécharger Outlook pour iOS<https://aka.ms/o0ukef>",
        "Obtenir [Outlook pour Android](https://aka.ms/x)",
        "Provenance : Courrier pour Windows 10",
        "Sent from my iPad",
        "Sent from Mail for Windows 10",
        "Sent from Yahoo Mail on Android",
        "Sent via the Samsung Galaxy S21, an AT&T 5G smartphone",
        "Sent from my Android device with K-9 Mail. Please excuse my brevity.",
        "Sent with Proton Mail secure email.",
        "Get Outlook for Android",
        "Von meinem iPhone gesendet",
        "Gesendet von Mail für Windows",
        "Gesendet mit der GMX Mail App",
        "Holen Sie sich Outlook für iOS",
        "Outlook für Android herunterladen",
        "Enviado desde mi iPhone",
        "Enviado desde Correo para Windows",
        "Obtener Outlook para iOS",
        "Inviato da iPhone",
        "Inviato da Libero Mail per Android",
        "Ottieni Outlook per iOS",
        "Enviado do meu iPhone",
        "Verstuurd vanaf mijn iPhone",
        "Skickat från min iPhone",
        "Sendt fra min iPhone",
        "Wysłane z iPhone'a",
        "Отправлено с iPhone",
        "Garanti sans virus. www.avast.com",
        "Virus-free. www.avast.com",
        "Virenfrei. www.avast.com",
        "CONFIDENTIALITY NOTICE: This e-mail is intended for the named recipient only.",
        "If you are not the intended recipient, please delete this message.",
        "Diese E-Mail enthält vertrauliche Informationen und ist nur für den Empfänger bestimmt.",
        "Este mensaje y sus archivos adjuntos son confidenciales y van dirigidos al destinatario.",
        "Questo messaggio contiene informazioni riservate al solo destinatario.",
        "Si vous n'êtes pas le destinataire de ce message, merci de le détruire.",
        "Please consider the environment before printing this e-mail.",
        "You received this message because you are subscribed to the Google Groups group.",
    ],
)
def test_footers(footer: str) -> None:
    assert new_text(f"{NEW}\n\n{footer}\n") == NEW


@pytest.mark.parametrize(
    "tail",
    [
        "Mit freundlichen Grüßen\nMax Muster\nTel.: +49 30 1234567",
        "Viele Grüße\n\nErika Muster\nBauamt\nStadt Musterdorf",
        "Un cordial saludo,\n\nAna Pérez\nTeléfono: +34 911 23 45 67",
        "Atentamente,\n\nAna Pérez\nDirectora\nAyuntamiento",
        "Cordiali saluti\n\nMario Rossi\nTel. +39 06 1234567",
        "Distinti saluti,\nMario Rossi\nUfficio tecnico\nComune di Prova",
        "Kind regards,\n\nJane Doe\nHead of Estates\nTown Council",
        "--\nJane Doe | Head of Estates | Town Council",
        "—————\nJane Doe\nHead of Estates\njane@x.example",
        "-Jean Dupont",
        "Merci par avance,\n\nJean Dupont",
        "Bien à vous,\n\nJean Dupont\n\nEnvoyé de mon iPhone",
    ],
)
def test_signatures(tail: str) -> None:
    assert new_text(f"{NEW}\n\n{tail}\n") == NEW


@pytest.mark.parametrize(
    "text",
    [
        "On Thursday, 3 March we met the contractor.\n\nHe asks: is VAT included?",
        "Le 3 mars 2026, la préfecture nous a écrit :\n« Le dossier est incomplet. »\nQue faire ?",
        "De plus, à partir du 3 mars 2026 : quel taux ?",
        "Sent from my desk, this is easier than by phone.",
        "Envoyé le dossier hier. L'avez-vous reçu ?",
        "Von meinem Kollegen habe ich gehört, dass es Hilfen gibt.",
        "Date : 3 mars\nLieu : Valcourt\nObjet : visite. Qui vient ?",
        "Nous avons trois bâtiments :\n- école\n- mairie\n- gymnase\n\nLequel est éligible ?",
        "Danke für die Antwort.\n\nWelche Frist gilt?",
        "Merci,\n\nEt pour la cantine ?",
        "Best regards\nJane",
        "Gracias\nAna",
        "Bonjour,\n\nsurface : 1 200 m²\nannée : 1974\nchauffage : gaz",
        "Voici l'adresse : https://x.example/a\n\nEst-ce le bon formulaire ?",
        "Il a écrit : non.",
        "Quelles sanctions ?\n\nAvertissement ou blâme\nMise à pied\nLicenciement",
        "Bonjour,\n\nCe courriel concerne l'usage du gymnase et ses horaires.",
        "Bonjour,\n\nLes travaux portent sur :\n- les murs\n- le toit",
        "Option 1\n-----\nOption 2\n\nLaquelle ?",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert new_text(text) == text


@pytest.mark.parametrize(
    "announced",
    [
        "-------- Message transféré --------\nSujet : étude\nDate : Mon, 2 Mar 2026 10:12 +0100\n"
        "De : Mairie <m@y.example>\nPour : s@x.example",
        "-------- Forwarded Message --------\nSubject: study\nDate: Mon, 2 Mar 2026 10:12 +0100\n"
        "From: Town <m@y.example>\nTo: s@x.example",
        "-------- Weitergeleitete Nachricht --------\nBetreff: Studie\nDatum: Mon, 2 Mar 2026\n"
        "Von: Stadt <m@y.example>\nAn: s@x.example",
        "---------- Forwarded message ---------\nDe: Pueblo <m@y.example>\n"
        "Date: lun, 2 mar 2026 a las 10:12\nSubject: estudio\nTo: <s@x.example>",
        "Begin forwarded message:\n\nFrom: Town <m@y.example>\nSubject: study\n"
        "Date: 2 March 2026 at 10:12:00 CET\nTo: s@x.example",
        "Anfang der weitergeleiteten Nachricht:\n\nVon: Stadt <m@y.example>\nBetreff: Studie\n"
        "Datum: 2. März 2026 um 10:12:00 MEZ\nAn: s@x.example",
        "Inizio messaggio inoltrato:\n\nDa: Comune <m@y.example>\nOggetto: studio\n"
        "Data: 2 marzo 2026 alle ore 10:12:00 CET\nA: s@x.example",
        "________________________________\nDe : Mairie <m@y.example>\n"
        "Envoyé : lundi 2 mars 2026 10:12\nÀ : Service <s@x.example>\nObjet : étude",
        '------ Message transféré ------\nDe "Mairie" <m@y.example>\nÀ "S" <s@x.example>\n'
        "Date 02/03/2026 10:12:00\nObjet étude",
        "----- Mail transféré -----\nDe: Mairie <m@y.example>\nÀ: s@x.example\n"
        "Envoyé: Lundi 2 Mars 2026 10:12:00\nObjet: étude",
    ],
)
@pytest.mark.parametrize("note", ["", "Pour traitement.\n\n", "FYI\n\n", "Zur Info\n\n"])
def test_forwards(announced: str, note: str) -> None:
    assert new_text(f"{note}{announced}\n\nBonjour,\n\n{NEW}\n") == f"Bonjour,\n\n{NEW}"


def test_segments_name_every_part_and_lose_nothing() -> None:
    text = (
        f"Bonjour,\r\n\r\n{NEW}\r\n\r\nMerci d'avance !\r\n\r\nCordialement,\r\nJean Dupont\r\n"
        "Tél. : 01 23 45 67 89\r\nEnvoyé de mon iPhone\r\n\r\n"
        "Le 3 mars 2026 à 10:12, S <s@x.example> a écrit :\r\n> ancien\r\n"
    )
    found = segments(text)
    assert "".join(segment.text for segment in found) == text
    assert [(segment.label, segment.visible) for segment in found] == [
        ("greeting", True),
        ("body", True),
        ("thanks", True),
        ("closing", False),
        ("signature", False),
        ("footer", False),
        ("quote", False),
    ]


def test_segments_of_a_forward() -> None:
    text = f"Pour info\n\n--- Message transféré ---\nDe : M <m@y.example>\nObjet : x\n\n{NEW}\n"
    assert [(segment.label, segment.visible) for segment in segments(text)] == [
        ("forward", False),
        ("body", True),
    ]
    text = f"Peut-on répondre oui ?\n\n--- Message transféré ---\nDe : M <m@y.example>\n\n{NEW}\n"
    assert [(segment.label, segment.visible) for segment in segments(text)] == [
        ("body", True),
        ("forward", False),
    ]


def test_a_bare_closing_stays_and_is_named() -> None:
    assert [(segment.label, segment.visible) for segment in segments("Yes.\n\nRegards,\nJo")] == [
        ("body", True),
        ("closing", True),
        ("signature", True),
    ]
