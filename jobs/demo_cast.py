"""Who is in the demo: two companies, their people with the same sign-in names, their accounts on the channels."""

from dataclasses import dataclass
from typing import NamedTuple

from backend.access.roles import Role

PARTNER = "Partner One"


class Part(NamedTuple):
    """A sign-in name and the place that it has; references are sign-in names, and come after whom they name."""

    username: str
    role: Role
    manager: str | None = None
    salesperson: str | None = None
    partner: bool = False
    visibility: str = "Own"


PARTS = (
    Part("admin", Role.ADMIN),
    Part("manager1", Role.MANAGER),
    Part("manager2", Role.MANAGER),
    Part("sales1", Role.SALESPERSON, manager="manager1"),
    Part("sales2", Role.SALESPERSON, manager="manager1"),
    Part("sales3", Role.SALESPERSON, manager="manager2"),
    Part("cosales1", Role.COSALES),
    Part("warrior1", Role.WARRIOR, salesperson="sales1", partner=True),
    Part("warrior2", Role.WARRIOR, salesperson="sales2", partner=True),
    Part("warrior3", Role.WARRIOR, salesperson="sales2", partner=True, visibility="All"),
    Part("partner1", Role.PARTNER, partner=True),
    Part("support1", Role.CUSTOMER_SUCCESS),
    Part("guest1", Role.GUEST),
    Part("integration1", Role.INTEGRATION),
    Part("dev1", Role.DEV),
)


class Account(NamedTuple):
    """An account of ours: the channel, the provider's id, what it is called."""

    channel: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Cast:
    """A demo company. `players` are the people's names in the order of `PARTS`; `node` keeps the ids of its past apart."""

    slug: str
    name: str
    players: tuple[str, ...]
    accounts: tuple[Account, ...]
    leads: int
    fewest: bool
    node: int

    @property
    def phone(self) -> str:
        """The phone_number_id that customers write to."""
        return next(a.id for a in self.accounts if a.channel == "whatsapp")

    def email(self, player: str) -> str:
        return f"{player.casefold().replace(' ', '.')}@{self.name.split()[0].casefold()}.example"


DEMO = Cast(
    slug="demo",
    name="Harbourline Software",
    players=(
        *("Helena Marsh", "Tom Okafor", "Ingrid Solberg", "Priya Raman", "Daniel Weiss", "Claire Laurent"),
        *("Marek Nowak", "Sofia Rossi", "Jonas Berg", "Fatima Haddad", "Luca Ferri", "Grace Kim"),
        *("Oliver Hunt", "Website Forms", "Kofi Mensah"),
    ),
    accounts=(
        Account("whatsapp", "880077665544332", "Harbourline WhatsApp"),
        Account("facebook", "610055501234567", "Harbourline Software"),
        Account("instagram", "17841400000000001", "harbourline.software"),
    ),
    leads=420,
    fewest=True,
    node=1,
)
BETA = Cast(
    slug="beta",
    name="Kestrel Systems",
    players=(
        *("Ruth Adler", "Samir Patel", "Nora Lindgren", "Ben Carter", "Yuki Tanaka", "Elif Demir"),
        *("Anna Novak", "Pedro Alves", "Mia Fischer", "Omar Farouk", "Carla Mendes", "Leo Martin"),
        *("Julia Stone", "Shop Connector", "Igor Petrov"),
    ),
    accounts=(Account("whatsapp", "880077665544999", "Kestrel WhatsApp"),),
    leads=40,
    fewest=False,
    node=2,
)
COMPANIES = (DEMO, BETA)
