"""Names that sound alike or are spelled nearly alike: what `fuzzymatching` means here.

Fuzzy semantic matching is the implementation's to define (PS3.4 C.2.2.2.1.1, PS3.18 8.3.4.2). Ours:
every word of the key is alike to some word of the name, in any order and any component group. Two
words are alike when they are equal, have the same sound, or (from four letters on) differ by one
letter more, less or other, or by two neighbours that changed places.

The sound is a consonant skeleton for names of Latin script, made for several languages at once:
Meyer, Maier and Mayr; Schmidt, Schmitt and Smith; Stephan, Stefan and Steven; Müller and Mueller.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from apps.dicom.values import fold_text

LONGEST_WORD: Final = 64
_SHORTEST_MISSPELT: Final = 4
_MOST_WORDS: Final = 12
_CUT: Final = re.compile(r"[\s^=,;.\\'\u2019`-]+")
_WILD: Final = re.compile(r"[*?]")
_VOWELS: Final = "aeiou"

# TABLE: spellings of one sound, in the order in which they are rewritten.
_SPELLINGS: Final = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"^(?:kn|gn|pn)", "n"),
        (r"^wr", "r"),
        (r"^y", "j"),
        (r"ae|oe|ue", "e"),
        (r"tsch|tch|sch|sh|cz|cs|sz", "s"),
        (r"ch(?=[lr]|$)", "k"),
        (r"ch", "s"),
        (r"ph|pf", "f"),
        (r"dt|th|d", "t"),
        (r"t[sz]|z", "s"),
        (r"ck|q(?:u)?|g", "k"),
        (r"x", "ks"),
        (r"c(?=[eiy])", "s"),
        (r"c", "k"),
        (r"[vw]", "f"),
        (r"b", "p"),
        (r"(?<!^)h", ""),
        (r"(?<!^)[jy]", "i"),
        (r"(.)\1+", r"\1"),
    )
)


def name_words(text: str) -> tuple[str, ...]:
    """The folded words of a name in any of its groups, each once."""
    words = (word[:LONGEST_WORD] for word in _CUT.split(fold_text(text)))
    return tuple(dict.fromkeys(word for word in words if word))


def key_words(text: str) -> tuple[str, ...]:
    """The words of a key that are to be alike; none where a wild card stands inside a word."""
    words = []
    for word in _CUT.split(fold_text(text)):
        bare = word.strip("*?")[:LONGEST_WORD]
        if _WILD.search(bare):
            return ()
        if bare:
            words.append(bare)
    return tuple(dict.fromkeys(words))[:_MOST_WORDS]


@lru_cache(maxsize=8192)
def sound(word: str) -> str:
    """The word's consonants, `""` for a word of other than Latin letters."""
    if not (word.isascii() and word.isalpha()):
        return ""
    rest = word
    for pattern, replacement in _SPELLINGS:
        rest = pattern.sub(replacement, rest)
    if not rest:
        return ""
    first = "a" if rest[0] in _VOWELS else rest[0]
    code = first + "".join(letter for letter in rest[1:] if letter not in _VOWELS)
    if len(code) > 1:
        return code
    # One consonant alone says too little: Lee is not Lau.
    return code + next((_vowel(letter) for letter in rest[1:] if letter in _VOWELS), "")


def _vowel(letter: str) -> str:
    return {"e": "i", "o": "u"}.get(letter, letter)


def word_keys(word: str) -> frozenset[str]:
    """What two words share if they are alike: their sound, or one of their near spellings.

    Sharing a key is necessary, not sufficient: `alike` decides.
    """
    keys = {f"w{word}"}
    if code := sound(word):
        keys.add(f"s{code}")
    if len(word) >= _SHORTEST_MISSPELT:
        keys |= {f"w{word[:place]}{word[place + 1 :]}" for place in range(len(word))}
    return frozenset(keys)


def alike(one: str, other: str) -> bool:
    """Whether two folded words are taken for the same name."""
    if one == other:
        return True
    code = sound(one)
    if code and code == sound(other):
        return True
    return min(len(one), len(other)) >= _SHORTEST_MISSPELT and _one_slip_apart(one, other)


def _one_slip_apart(one: str, other: str) -> bool:
    """At most one letter more, less or other, or two neighbours exchanged."""
    if abs(len(one) - len(other)) > 1:
        return False
    short, long = sorted((one, other), key=len)
    start = 0
    while start < len(short) and short[start] == long[start]:
        start += 1
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    rest, others = short[start:], long[start:]
    if rest[1:] == others[1:]:
        return True
    return rest[:2] == others[1::-1] and rest[2:] == others[2:]


def sounds_like(key: tuple[str, ...], name: str) -> bool:
    """Whether every word of the key is alike to some word of the name."""
    words = name_words(name)
    return bool(key) and all(any(alike(asked, word) for word in words) for asked in key)
