"""What the seeded desk holds: answers to the e-mails of ``examples``, and e-mails of our own.

Every answer rests on passages of ``examples/documents``, found by a phrase of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Said:
    """A statement and where it is written: document and a phrase of the passage."""

    text: str
    where: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Case:
    """An e-mail (a file of ``examples/mails``, or sender, subject and text) and its draft.

    ``hours`` ago it came. ``then`` is what became of the draft; ``declined`` a refusal instead.
    """

    name: str
    hours: float
    said: tuple[Said, ...] = ()
    file: str = ""
    sender: str = ""
    subject: str = ""
    text: str = ""
    mailbox: str = "edurenov"
    category: str | None = None
    engine: str = "openai"
    declined: str = ""
    detail: str = ""
    then: str = ""
    final: tuple[str, str] = ("", "")
    reasons: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = field(default=())
    near: tuple[tuple[str, str], ...] = ()


BAREME = "bareme-cofinancement-etudes.pdf"
ELIGIBLE = "batiments-eligibles.html"
PRET = "fiche-pret-travaux.docx"
CONFORT = "confort-ete.md"
CUMUL = "cumul-des-aides.md"
VERSEMENT = "versement-des-fonds.odt"
PIECES = "pieces-a-fournir.odt"
GUICHETS = "guichets-regionaux.xlsx"
SUIVI = "suivi-des-economies.pdf"
POSTES = "travaux-eligibles.csv"
CALENDRIER = "calendrier-depot.csv"

CASES = (
    Case(
        "creche",
        50,
        file="01-creche-municipale.eml",
        category="éligibilité",
        said=(
            Said(
                "Oui : les crèches municipales et intercommunales sont éligibles comme les écoles,"
                " y compris les multi-accueils et les haltes-garderies.",
                ((ELIGIBLE, "crèches municipales"),),
            ),
            Said(
                "Votre crèche, gérée par la commune, peut donc bénéficier du programme dans les"
                " mêmes conditions qu'une école.",
                ((ELIGIBLE, "crèches municipales"),),
            ),
        ),
    ),
    Case(
        "emprunt",
        29,
        file="02-duree-emprunt.eml",
        category="prêt travaux",
        said=(
            Said(
                "Pour un bouquet de travaux dont deux postes d'isolation au moins, le prêt peut"
                " être remboursé sur 25 ans au maximum, et sur 10 ans au minimum.",
                ((PRET, "Durée maximale : 25 ans"),),
            ),
            Said(
                "Si votre projet vise 50 % d'économies d'énergie ou plus, la durée maximale est"
                " portée à 30 ans.",
                ((PRET, "Rénovation globale visant 50 %"),),
            ),
        ),
    ),
    Case(
        "appel-offres",
        6.5,
        file="03-fil-gmail-appel-offres.eml",
        category="prêt travaux",
        said=(
            Said(
                "Oui, l'appel d'offres peut être lancé avant notre accord de financement, à"
                " condition que les marchés de travaux ne soient pas signés.",
                (("demarrage-des-travaux.txt", "L'appel d'offres peut donc être lancé"),),
            ),
            Said(
                "Prévoyez dans le règlement de consultation une durée de validité des offres d'au"
                " moins 180 jours.",
                (("demarrage-des-travaux.txt", "durée de validité des offres"),),
            ),
        ),
    ),
    Case(
        "deliberation",
        4.2,
        file="04-fil-outlook-deliberation.eml",
        category="prêt travaux",
        said=(
            Said(
                "Pour un prêt travaux, la délibération est exigée dès le dépôt du dossier ; un"
                " projet de délibération non voté n'est pas accepté.",
                ((PIECES, "la délibération est exigée"),),
            ),
        ),
    ),
    Case(
        "deux-questions",
        3.1,
        file="05-deux-questions.eml",
        category="études",
        said=(
            Said(
                "Oui, le cofinancement des études peut s'ajouter à une subvention du département ;"
                " le total des aides publiques ne peut pas dépasser 80 % du coût hors taxes de"
                " l'étude.",
                ((CUMUL, "ne peut pas dépasser 80 %"),),
            ),
            Said(
                "L'aide est versée en trois fois : un acompte de 30 % à la signature de la"
                " convention, 40 % à la remise du rapport intermédiaire, puis le solde de 30 % à"
                " la remise du rapport final et des factures.",
                ((VERSEMENT, "un acompte de 30 %"),),
            ),
        ),
    ),
    Case(
        "part-etude",
        2.4,
        file="06-part-prise-en-charge.eml",
        category="études",
        said=(
            Said(
                "Pour une commune de 2 000 à 9 999 habitants, l'étude de faisabilité est prise en"
                " charge à 60 %.",
                ((BAREME, "2 000 à 9 999 habitants"),),
            ),
            Said(
                "Le plafond de l'aide est de 55 000 € par projet.",
                ((BAREME, "Plafond par projet : 55 000 €"),),
            ),
        ),
        failed=(
            (
                "chiffres",
                "Le montant « 55 000 € » est celui de tout le projet : vérifiez qu'il s'applique"
                " bien à cette étude.",
            ),
        ),
    ),
    Case(
        "session",
        1.6,
        file="07-piece-jointe-deliberation.eml",
        category="prêt travaux",
        engine="extractive",
        said=(
            Said(
                "Période : Hiver 2027 ; Type de dossier : Prêt travaux ; Ouverture du dépôt :"
                " 11 janvier 2027 ; Clôture du dépôt : 26 février 2027 à 17 h.",
                ((CALENDRIER, "Ouverture du dépôt : 11 janvier 2027"),),
            ),
        ),
    ),
    Case(
        "universite",
        1.2,
        file="13-english-university.eml",
        category="éligibilité",
        said=(
            Said(
                "Yes. Teaching, research and library buildings of a public university are eligible"
                " for the programme.",
                (("reponse-universites.eml", "sont éligibles au programme"),),
            ),
            Said(
                "A building that belongs to the State and is entrusted to the university is"
                " eligible if the State, as its owner, gives its written agreement.",
                (("reponse-universites.eml", "donne son accord écrit"),),
            ),
        ),
    ),
    Case(
        "prefabriques",
        0.9,
        file="14-injection-et-question.eml",
        category="éligibilité",
        said=(
            Said(
                "Le remplacement de préfabriqués par un bâtiment durable est financé par le prêt"
                " travaux lorsque les modules ont plus de dix ans et appartiennent à la"
                " collectivité.",
                (("batiments-prefabriques.docx", "plus de dix ans"),),
            ),
            Said(
                "Le nouveau bâtiment ne peut pas dépasser de plus de 10 % la surface des modules"
                " démolis.",
                (("batiments-prefabriques.docx", "ne peut pas dépasser de plus de 10 %"),),
            ),
        ),
        failed=(
            (
                "consignes",
                "L'e-mail contient des consignes adressées à une machine ; elles n'ont pas été"
                " suivies.",
            ),
        ),
    ),
    Case(
        "bretagne",
        0.6,
        file="15-courtoisie-et-pied-de-page.eml",
        said=(
            Said(
                "Pour la Bretagne, écrivez au guichet Ouest : ouest@edurenov-demo.example, ou"
                " appelez le 01 99 00 10 02 le mardi et le vendredi, de 9 h à 12 h.",
                ((GUICHETS, "Région : Bretagne"),),
            ),
        ),
    ),
    Case(
        "guadeloupe",
        0.35,
        file="16-windows-1252-outre-mer.eml",
        category="études",
        mailbox="outre-mer",
        said=(
            Said(
                "C'est exact : les parts de cofinancement des études sont majorées de 10 points en"
                " outre-mer.",
                (("edurenov-outre-mer.odt", "majorées de 10 points"),),
            ),
            Said(
                "Le total des aides publiques peut atteindre 90 % du coût de l'étude.",
                (("edurenov-outre-mer.odt", "90 % du coût de l'étude"),),
            ),
        ),
    ),
    Case(
        "penalite",
        0.2,
        file="17-html-seul-economies.eml",
        category="suivi",
        said=(
            Said(
                "Aucune pénalité n'est appliquée et l'aide aux études n'est pas à rembourser.",
                ((SUIVI, "Aucune pénalité"),),
            ),
            Said(
                "Si l'économie constatée au bout de cinq ans reste inférieure à 40 %, la"
                " collectivité remet un plan d'action dans les six mois, et le suivi est prolongé"
                " de deux ans.",
                ((SUIVI, "plan d'action dans les six mois"),),
            ),
        ),
    ),
    Case(
        "climatiseurs",
        0.1,
        file="18-climatisation.eml",
        category="prêt travaux",
        said=(
            Said(
                "Les climatiseurs individuels et les appareils mobiles ne sont pas financés.",
                ((CONFORT, "ne sont pas financés"),),
            ),
            Said(
                "Pour rafraîchir les salles l'été, le prêt finance notamment les brasseurs d'air"
                " de plafond, la ventilation nocturne, les stores et casquettes, l'isolation et la"
                " peinture claire des toitures.",
                ((CONFORT, "brasseurs d'air"),),
            ),
        ),
    ),
    Case(
        "chaudiere",
        75,
        file="20-chaudiere-fioul.eml",
        category="prêt travaux",
        said=(
            Said(
                "Le remplacement par une chaudière au gaz n'est pas financé, même à condensation ;"
                " une pompe à chaleur, une chaudière à bois ou un raccordement à un réseau de"
                " chaleur l'est.",
                (("foire-aux-questions.html", "chaudière fossile"), (POSTES, "chaudière fossile")),
            ),
            Said(
                "Les panneaux photovoltaïques peuvent entrer dans le même emprunt, pour"
                " l'autoconsommation sur le site, dans la limite de 20 % du montant des travaux"
                " financés.",
                ((POSTES, "Panneaux photovoltaïques"),),
            ),
        ),
    ),
    Case(
        "stationnement",
        5,
        file="08-carte-de-stationnement.eml",
        declined="out-of-scope",
        detail="La question porte sur une carte de stationnement, dont aucun document ne parle.",
        near=((GUICHETS, "Région : Bretagne"),),
    ),
    Case(
        "passeport",
        1.4,
        file="09-passeport.eml",
        declined="not-enough-evidence",
        detail="Les passages trouvés ne répondent pas à la question sur les passeports.",
        near=((PIECES, "la délibération est exigée"),),
    ),
    Case(
        "controle",
        0.5,
        file="19-injection-sans-question.eml",
        declined="unsupported",
        detail="L'e-mail donne des consignes et ne pose pas de question à laquelle les documents"
        " répondent.",
        near=((SUIVI, "Aucune pénalité"),),
    ),
    Case("absence", 8, file="10-absence-du-bureau.eml"),
    Case("lettre", 12, file="11-lettre-information.eml"),
    Case("vide", 2, file="12-message-vide.eml"),
    Case(
        "en-preparation",
        0.02,
        sender="Mairie de Trévallon <mairie@trevallon.example>",
        subject="Aide pour un audit énergétique",
        text="Bonjour,\n\nNotre commune de 900 habitants voudrait faire auditer son école."
        " Quelle part de l'audit énergétique prenez-vous en charge ?\n\nCordialement,\nLa mairie",
    ),
    # Decided ones, for the figures and the datasets.
    Case(
        "audit-approuve",
        24 * 9,
        sender="Mairie de Lestrac <secretariat@lestrac.example>",
        subject="Audit énergétique de l'école",
        text="Bonjour,\n\nNous sommes 1 400 habitants. Quelle part de notre audit énergétique"
        " serait financée ?\n\nMerci d'avance,\nLa secrétaire de mairie",
        category="études",
        said=(
            Said(
                "Pour une commune de moins de 2 000 habitants, l'audit énergétique est financé à"
                " 80 %.",
                ((BAREME, "moins de 2 000 habitants"),),
            ),
        ),
        then="approved",
    ),
    Case(
        "isolation-corrigee",
        24 * 6,
        sender="Services techniques de Bois-Joli <travaux@boisjoli.example>",
        subject="Prêt pour un seul poste de travaux",
        text="Bonjour,\n\nNous ne changerons que l'éclairage. Le prêt travaux est-il possible pour"
        " un poste seul ?\n\nBien à vous,\nLes services techniques",
        category="prêt travaux",
        said=(
            Said(
                "Le prêt travaux peut durer 25 ans pour un bouquet de travaux.",
                ((PRET, "Durée maximale : 25 ans"),),
            ),
        ),
        then="edited",
        final=(
            "Le prêt travaux peut durer 25 ans pour un bouquet de travaux.",
            "Pour un bouquet dont deux postes d'isolation au moins, le prêt travaux peut durer 25"
            " ans ; votre guichet régional vous dira ce qui est possible pour l'éclairage seul.",
        ),
        reasons=("missing-information",),
    ),
    Case(
        "capteurs-rejetes",
        24 * 4,
        sender="Lycée agricole du Val <intendance@lyceeduval.example>",
        subject="Capteurs de CO2",
        text="Bonjour,\n\nLes capteurs de CO2 sont-ils financés dans les classes ?\n\nCordialement",
        said=(
            Said(
                "Les brasseurs d'air de plafond sont financés dans les classes.",
                ((CONFORT, "brasseurs d'air"),),
            ),
        ),
        then="rejected",
        reasons=("wrong-source",),
    ),
    Case(
        "solde-approuve",
        24 * 2.3,
        sender="Communauté de communes des Deux-Rives <contact@deuxrives.example>",
        subject="Versement du solde",
        text="Bonjour,\n\nQuand le solde de l'aide aux études est-il versé ?\n\nMerci",
        category="études",
        said=(
            Said(
                "Le solde de 30 % est versé à la remise du rapport final et des factures.",
                ((VERSEMENT, "le solde de 30 %"),),
            ),
        ),
        then="approved",
    ),
)
