"""Invented names: unique by construction, so varied that they must be copied from a passage and cannot be guessed."""

from dataclasses import dataclass


def words(text: str) -> tuple[str, ...]:
    """Split a line of words; shorter to read than a tuple of quoted ones."""
    return tuple(text.split())


ONSETS = words("b br bl cl ch d dr f fl fr g gl gr h j k kl l m n p pl pr r s sh sl st t th tr v w z")
VOWELS = ("a", "e", "i", "o", "u")
MEDIALS = words(
    "b br d dr f k kt l lb ld lg lk lm ln lp lt lv lz mb mbr mn nd ndr ng nk r rb rg rk rl rm rn rp rt rv rz s sk sm "
    "sp st v ft zd zr"
)
# Every ending starts with a vowel, and no two roles share one: a word can be read back in one way only, so two numbers
# never give the same word and two roles never share a word.
ENDINGS = {
    "given": "a an ara as eza el ela ena eth ia ian id ie iel il ilo in ina isa ira esa ita o odan or os ona una us "
    "ora ana eda",
    "family": "ack ade ane ard aw eck elm est ow ew ick idge iff ill ish oft old ole olm onds ook ord ough ull umb "
    "urst ett ars ovan ister osk ock",
    "town": "ab ad adan ak al aban ar at av edan edor ek em ep ev ib im ip ir it iv ob od ok om op oss ub uk ur "
    "und ask",
    "house": "ac ald alt amp anic ang ank arn art ast ax ect eld elt emp end enk erk ern esk ex ift ild ilt ind int "
    "irk isp olt omp ond ont",
    "work": "ael air aine ais eau eer eil eim ein eis eon eur iad iade iam ieu ine iane ique ise oir oil ois ola oon "
    "our ouse oy uel uin uis une",
    "river": "ance ash ath awe ease eave eche edge ege eme ence enne ere esse ethe eve ibe iche ife ime inge isse ithe "
    "obe oche ode ome onne osse othe ume uthe",
    "place": "aith aul aum aur auth eald earn eath eav eith emm enn erl erth eum eult irld irn oulm oald oath oim olk "
    "orl oul ourn urn urth airsk isk elk ersk",
    "piece": "aka ala alo ami amo avi ego emi emu era eva ezo iba idda iga ika iko imu iru iva obi oby oki oma oro "
    "osa otta ova ubi ula uma uru",
    "firm": "arv asp arl elv eph erg erv esh enz evin ibb igg irv isto izz onz odd oaz okk olv omb oph orv ozz ubb "
    "udd ulk ulv umm urg urv uzz",
}
WORDS = len(ONSETS) * len(VOWELS) * len(MEDIALS) * 32
# Two names share a first word only when their numbers differ by a multiple of WORDS; this stride keeps their second
# words apart, also where one is borrowed from a neighbour.
STRIDE = 7919
ENDING_TABLE = {role: words(endings) for role, endings in ENDINGS.items()}
ROLE_KEYS = {role: place for place, role in enumerate(ENDINGS)}
MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Names:
    """The name-giver of one world; every method is a pure function of the seed and a running number."""

    seed: int

    def word(self, role: str, number: int) -> str:
        """Return a word of a role; no two numbers below WORDS give the same."""
        key = mix(self.seed ^ mix(ROLE_KEYS[role]))
        endings = ENDING_TABLE[role]
        start, end = shuffled(number % WORDS, len(ONSETS) * len(VOWELS), len(MEDIALS) * 32, key)
        onset, vowel = divmod(start, len(VOWELS))
        medial, ending = divmod(end, 32)
        return (ONSETS[onset] + VOWELS[vowel] + MEDIALS[medial] + endings[ending]).capitalize()

    def pair(self, roles: tuple[str, str], number: int, first: int | None = None, second: int | None = None) -> str:
        """Return a name of two words; `first` or `second` borrows that word from a neighbour's number."""
        head = self.word(roles[0], number if first is None else first)
        lender = number if second is None else second
        return f"{head} {self.word(roles[1], lender + STRIDE * (lender // WORDS))}"


def shuffled(number: int, starts: int, ends: int, key: int) -> tuple[int, int]:
    """Map `number` below starts * ends one to one onto (start, end): a Feistel network in mixed radix."""
    end, start = divmod(number, starts)
    for turn in range(0, 6, 2):
        start = (start + mix(key + turn + (end << 8))) % starts
        end = (end + mix(key + turn + 1 + (start << 8))) % ends
    return start, end


def mix(value: int) -> int:
    """Return 64 well-mixed bits of an integer (SplitMix64)."""
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)
