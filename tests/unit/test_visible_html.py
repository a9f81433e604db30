"""HTML replies as mail programs write them: through text, down to what is new."""

from __future__ import annotations

import pytest

from services.ingest.html_mail import html_to_text
from shared.newtext.visible import new_text

REPLIES = {
    "gmail": (
        '<div dir="ltr">Bonjour,<div><br></div><div>Quel est le taux&nbsp;?</div><div>'
        '<br clear="all"><div>-- <br></div><div dir="ltr" class="gmail_signature"><b>Mairie'
        '</b></div></div></div><br><div class="gmail_quote">'
        '<div dir="ltr" class="gmail_attr">Le&nbsp;lun. 3 mars 2026 à&nbsp;10:12, Service '
        '&lt;<a href="mailto:s@x.example">s@x.example</a>&gt; a écrit&nbsp;:<br></div>'
        '<blockquote class="gmail_quote" style="margin:0px"><p>Ancien ?</p></blockquote>'
        "</div>"
    ),
    "outlook desktop": (
        "<div class=WordSection1><p class=MsoNormal>Bonjour,<o:p></o:p></p>"
        "<p class=MsoNormal><o:p>&nbsp;</o:p></p><p class=MsoNormal>Quel est le taux ?<o:p>"
        "</o:p></p><p class=MsoNormal>Cordialement,</p><p class=MsoNormal><b>Service</b></p>"
        "<div><div style='border:none;border-top:solid #E1E1E1 1.0pt'><p class=MsoNormal>"
        "<b>De&nbsp;:</b> Service &lt;s@x.example&gt; <br><b>Envoyé&nbsp;:"
        "</b> lundi 3 mars 2026 10:12<br><b>À&nbsp;:</b> Mairie<br><b>Objet&nbsp;:</b> RE: x"
        "<o:p></o:p></p></div></div><p class=MsoNormal>Ancien ?</p></div>"
    ),
    "outlook web": (
        '<div>Bonjour,</div><div><br></div><div>Quel est le taux ?</div><div id="Signature">'
        '<div>Cordialement</div><div>Le maire</div></div><div id="appendonsend"></div>'
        '<hr style="display:inline-block;width:98%" tabindex="-1">'
        '<div id="divRplyFwdMsg" dir="ltr"><font face="Calibri"><b>De :'
        "</b> Service &lt;s@x.example&gt;<br><b>Envoyé :</b> lundi 3 mars 2026 10:12<br>"
        "<b>À :</b> Mairie<br><b>Objet :</b> x</font><div>&nbsp;</div></div><div>Ancien ?"
        "</div>"
    ),
    "thunderbird": (
        '<p>Quel est le taux ?</p><div class="moz-signature">-- <br>Mairie</div>'
        '<div class="moz-cite-prefix">Le 03/03/2026 à 10:12, Service a écrit :<br></div>'
        '<blockquote type="cite" cite="mid:x"><p>Ancien ?</p></blockquote>'
    ),
    "apple": (
        '<body>Quel est le taux ?<br id="lineBreakAtBeginningOfMessage">'
        '<div dir="ltr">Envoyé de mon iPhone</div><div dir="ltr"><br>'
        '<blockquote type="cite">Le 3 mars 2026 à 10:12, Service &lt;s@x.example&gt; a écrit '
        ':<br><br></blockquote></div><blockquote type="cite"><div dir="ltr">Ancien ?</div>'
        "</blockquote></body>"
    ),
    "yahoo": (
        '<div class="ydp"><div>Quel est le taux ?</div></div><div class="yahoo_quoted"><div>'
        "<div>Le lundi 3 mars 2026 à 10:12:33 UTC+1, Service &lt;s@x.example&gt; a écrit :"
        "</div><div><br></div><div>Ancien ?</div></div></div>"
    ),
    "zimbra": (
        '<div><div>Quel est le taux ?</div><hr id="zwchr" data-marker="__DIVIDER__">'
        '<div data-marker="__HEADERS__"><b>De: </b>"Service" &lt;s@x.example&gt;<br><b>À: '
        '</b>"Mairie" &lt;m@y.example&gt;<br><b>Envoyé: </b>Lundi 3 Mars 2026 10:12:00<br>'
        "<b>Objet: </b>x<br></div><div>Ancien ?</div></div>"
    ),
    "orange": (
        '<p>Quel est le taux ?</p><blockquote style="margin-left:5px">> Message du 03/03/26 '
        '10:12<br>> De : "Service" &lt;s@x.example&gt;<br>> A : m@y.example<br>> Copie à : '
        "<br>> Objet : x<br>> <br>> Ancien ?</blockquote>"
    ),
    "lotus": (
        "<p>Quel est le taux ?</p><br><font>De :  Service/X<br>A :  m@y.example"
        "<br>Date :  03/03/2026 10:12<br>Objet :  x</font><hr><br>Ancien ?"
    ),
    "table sig": (
        '<p>Quel est le taux ?</p><p>Bien cordialement,</p><table><tr><td><img src="x"></td>'
        "<td>Le directeur<br>Tél. : 01 23 45 67 89<br>"
        '<a href="https://www.x.example">www.x.example</a></td></tr></table>'
    ),
    "proton": (
        '<div>Quel est le taux ?</div><div class="protonmail_quote">Le lundi 3 mars 2026 à '
        '10:12 AM, Service &lt;s@x.example&gt; a écrit :<br><blockquote type="cite">Ancien ?'
        "</blockquote></div>"
    ),
    "roundcube": (
        '<div>Quel est le taux ?</div><p id="reply-intro">Le 2026-03-03 10:12, Service a '
        "écrit :</p><blockquote>Ancien ?</blockquote>"
    ),
    "gmail sig without dashes": (
        '<div dir="ltr">Quel est le taux ?<br><div dir="ltr" class="gmail_signature" '
        'data-smartmail="gmail_signature"><div>Jean Dupont</div><div>Maire de Valcourt</div>'
        "</div></div>"
    ),
    "outlook mobile": (
        '<div dir="auto">Quel est le taux ?</div><div id="ms-outlook-mobile-signature">'
        "<div>Obtenir <a href='https://aka.ms/o0ukef'>Outlook pour iOS</a></div></div>"
        '<hr style="width:98%"><div id="divRplyFwdMsg"><b>De :</b> S &lt;s@x.example&gt;<br>'
        "<b>Envoyé :</b> lundi 3 mars 2026 10:12<br><b>À :</b> M<br><b>Objet :</b> x</div>"
        "<div>Ancien ?</div>"
    ),
    "outlook web sig": (
        '<div>Quel est le taux ?</div><div id="x_Signature"><p>Jeanne Martin</p><p>Directrice '
        "des services</p></div>"
    ),
    "infomaniak fwd": (
        "<div>---------- Message transféré ----------<br>De : Mairie &lt;m@y.example&gt;"
        "<br>Date : lundi 3 mars<br>Objet : x<br>À : s@x.example</div>"
        "<div>Quel est le taux ?</div>"
    ),
}


@pytest.mark.parametrize("html", REPLIES.values(), ids=REPLIES.keys())
def test_only_what_is_new_is_left(html: str) -> None:
    kept = new_text(html_to_text(html))
    assert "Quel est le taux" in kept
    assert "Ancien" not in kept
    assert kept.removeprefix("Bonjour,").strip().replace("\xa0", " ") == "Quel est le taux ?"
