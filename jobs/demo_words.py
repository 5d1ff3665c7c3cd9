"""The names and words of the demo. Firms are made up; phone numbers come from ranges that regulators keep free for fiction."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple


class City(NamedTuple):
    """Numbers that begin with `prefix` (as far as they are given out below) belong to no subscriber."""

    name: str
    zip_code: str
    prefix: str
    tongue: str


CITIES = (
    City("London", "EC2A 4BX", "442079460", "en"),
    City("Leeds", "LS1 4DY", "441134960", "en"),
    City("Birmingham", "B3 2DX", "441214960", "en"),
    City("Manchester", "M2 5DB", "441614960", "en"),
    City("Edinburgh", "EH2 3ES", "441314960", "en"),
    City("Glasgow", "G2 1DY", "441414960", "en"),
    City("Berlin", "10117", "493023125", "de"),
    City("Hamburg", "20095", "494066969", "de"),
    City("München", "80331", "498999998", "de"),
    City("Frankfurt", "60311", "496990009", "de"),
    City("Paris", "75002", "336399800", "fr"),
    City("Lyon", "69002", "336399820", "fr"),
    City("Nantes", "44000", "336399840", "fr"),
    City("Lille", "59000", "336399860", "fr"),
)
FIRST = {
    "en": ("Amelia", "George", "Isla", "Harry", "Zara", "Callum", "Siân", "Tunde", "Megan", "Imran", "Nadia", "Owen"),
    "de": ("Lena", "Felix", "Jörg", "Katrin", "Emre", "Sabine", "Moritz", "Anja", "Björn", "Petra", "Tobias", "Leyla"),
    "fr": ("Camille", "Hugo", "Zoé", "Mathieu", "Inès", "Élodie", "Karim", "Julie", "Antoine", "Léa", "Rémi", "Aïcha"),
}
LAST = {
    "en": ("Hughes", "Patel", "Fraser", "Okoro", "Whitfield", "Begum", "Barlow", "Evans", "Sinclair", "Ahmed", "Doyle"),
    "de": ("Müller", "Krüger", "Yılmaz", "Hoffmann", "Vogel", "Schäfer", "Brandt", "Kaya", "Lorenz", "Weiß", "Pohl"),
    "fr": ("Moreau", "Lefèvre", "Benali", "Garnier", "Roux", "Faure", "Chevalier", "Diallo", "Marchand", "Petit"),
}
FOUNDERS = (
    *("Alder", "Brannock", "Calloway", "Dunmere", "Eastvale", "Fennimore", "Greyfriars", "Hollin", "Inverlea"),
    *("Jessamy", "Kirkwall", "Larkfield", "Mirefoot", "Nordhafen", "Ostermoor", "Pellworth", "Quillon", "Rosental"),
    *("Seeblick", "Tannhof", "Ulmenau", "Valcourt", "Westerholt", "Yarrow", "Beauclair", "Clairval", "Montferrat"),
)
TRADES = {
    "Agriculture": ("Farms", "Seeds"),
    "Automotive": ("Motors", "Coachworks"),
    "Construction": ("Builders", "Timber"),
    "Education": ("Academy", "Institute"),
    "Energy": ("Solar", "Power"),
    "Finance": ("Advisers", "Capital"),
    "Food": ("Bakery", "Foods"),
    "Healthcare": ("Clinics", "Pharmacies"),
    "Hospitality": ("Hotels", "Kitchens"),
    "IT services": ("Digital", "Networks"),
    "Logistics": ("Freight", "Logistics"),
    "Manufacturing": ("Precision", "Works"),
    "Real estate": ("Estates", "Living"),
    "Retail": ("Outfitters", "Stores"),
    "Textiles": ("Textiles", "Weavers"),
}
ERPS = ("SAP Business One", "Odoo", "Business Central", "Sage", "Xero", "NetSuite", "QuickBooks", "None")
NATURES = ("B2B", "B2B", "B2C", "D2C", "B2B2C")
EVENTS = ("Retail Tech Expo", "Hannover Fair", "Mid-Market Summit", "Salon du Commerce")

HELLOS = (
    "Hi, do you connect to {erp}?",
    "Hello! Could I see your price list, please?",
    "Good morning, we are {firm} in {city} and look for a new CRM.",
    "Hi, a colleague recommended you. Can somebody call me?",
    "Bonjour, proposez-vous une démonstration en français ?",
    "Guten Tag, wir suchen eine Lösung für 12 Mitarbeiter im Vertrieb.",
    "Is there a trial? We would start with five people 🙂",
    "We get about 200 enquiries a month on WhatsApp. Can you help?",
)
ASKS = (
    "Can we import our contacts from Excel?",
    "How long does the set-up take?",
    "Is there a discount for a yearly contract?",
    "Where is our data kept?",
    "Could you send me the offer once more?",
    "Does it work on a phone too?",
    "My partner wants to see it as well. Thursday at 3?",
    "Can two teams work separately in it?",
    "Wann könnten wir anfangen?",
    "Is the {erp} connection included in the price?",
    "We have talked it over. What is the next step?",
)
ANSWERS = (
    "Hello {first}, thanks for writing! I'll send you an overview right away.",
    "Yes, that works. I'll show it to you in the demo.",
    "Of course. Would tomorrow at 10 suit you?",
    "It takes about a week, import included.",
    "I've just sent it to you by e-mail.",
    "Good question, I'll ask our engineers and come back to you today.",
    "Thursday is fine, I'll send an invitation.",
)
NOTES = (
    "Decides together with the finance director.",
    "Their contract with the present supplier ends in autumn.",
    "Wants references from the same industry.",
    "Very price-sensitive, lead with the yearly plan.",
    "Has 14 people in sales, two locations.",
    "Prefers WhatsApp to calls.",
)
CALLS = (
    ("Talked through the requirements, sends a list.", "reached", 14),
    ("Voicemail, try again tomorrow.", "no answer", 1),
    ("Agreed on the next appointment.", "reached", 6),
    ("Asked for a call-back after the budget round.", "call back", 4),
    ("Went through the offer line by line.", "reached", 27),
)
EMAILS = ("Sent the brochure and the price list.", "Sent the offer.", "Sent the summary of our call.")
MEETINGS = (("Product demo with the whole team.", 45), ("Workshop on their processes.", 90), ("Demo on site.", 60))
COMMENTS = ("Came through the spring campaign.", "Knows us from the fair.", "Former customer of a competitor.")
WHY_NOT = ("No need", "Other", "No answer", "Budget")
WHY_LOST = ("Budget", "Timeline", "Competition", "No decision", "Missing feature", "No answer")


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who may buy. `luck` decides what is only known when the story runs."""

    phone: str
    first: str
    last: str
    firm: str
    city: City
    industry: str
    erp: str
    nature: str
    value: int
    luck: int

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def email(self) -> str:
        return f"info@{'-'.join(w for w in self.firm.casefold().split() if w != '&')}.example"

    def fill(self, text: str) -> str:
        return text.format(first=self.first, firm=self.firm, city=self.city.name, erp=self.erp)

    def business(self) -> dict[str, Any]:
        """What one learns of a firm in the first talk."""
        return {
            "firm_name": self.firm,
            "email": self.email,
            "lead_type": "Business",
            "industry": self.industry,
            "erp": self.erp,
            "nature_of_business": self.nature,
            "city": self.city.name,
            "zip_code": self.city.zip_code,
            "value": self.value,
        }

    def person(self) -> dict[str, Any]:
        return {"first_name": self.first, "last_name": self.last, "phone": f"+{self.phone}"}


def customers(rng: Random) -> Iterator[Customer]:
    """One after the other, no phone number and no firm twice."""
    phones: set[str] = set()
    firms: set[str] = set()
    while True:
        city, industry = rng.choice(CITIES), rng.choice(list(TRADES))
        phone = f"{city.prefix}{_ending(city, rng)}"
        firm = f"{rng.choice(FOUNDERS)} {rng.choice(('', '& Sons ', '& Partners ', ''))}{rng.choice(TRADES[industry])}"
        first, last = rng.choice(FIRST[city.tongue]), rng.choice(LAST[city.tongue])
        if phone in phones or firm in firms:
            continue
        phones.add(phone)
        firms.add(firm)
        value = max(600, round(rng.lognormvariate(8.9, 0.85) / 50) * 50)
        yield Customer(
            phone,
            first,
            last,
            firm,
            city,
            industry,
            rng.choice(ERPS),
            rng.choice(NATURES),
            value,
            rng.randrange(10**6),
        )


def _ending(city: City, rng: Random) -> str:
    return f"{rng.randrange(1000):03}" if city.tongue != "fr" else f"{rng.randrange(100):02}"
