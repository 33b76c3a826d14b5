"""From what is seen of an image to a verdict with its confidence and reasons.

`unsure` is the usual answer where no air shows and nothing is known of the source. Whoever reads
"inverted" here must be able to rely on it more than on "expected": a false alarm costs trust.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from apps.polarity.air import Air, find_air
from apps.polarity.candidates import Kind
from apps.polarity.models import PolarityObservation
from apps.polarity.seeing import Seen

Verdict = PolarityObservation.Verdict

FEWEST_SIBLINGS: Final = 4
_ALIKE: Final = 0.6
_ALIKE_WITHOUT_AIR: Final = 0.8
_CLEAR: Final = 0.25
_LEAST_CONFIDENCE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Sibling:
    """An earlier image of the same source, class and body part that did not appear inverted."""

    signature: list[int]
    statement: str
    known: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with 0 to 1 of confidence and its reasons in sentences without patient data."""

    verdict: PolarityObservation.Verdict
    confidence: float
    evidence: list[str]


def judge(seen: Seen, kind: Kind, siblings: Sequence[Sibling]) -> Judgement:
    """Weighs the image's content, its attributes and its source's earlier images."""
    evidence = seen.statement.words(white=seen.white)
    if seen.ruled:
        evidence.append("A polarity rule for its source turns that round.")
    score = _by_air(seen, kind, evidence) if kind.by_air else 0.0
    if not kind.by_air:
        evidence.append("Images of this kind have no usual polarity: only their source tells.")
    score = _by_siblings(seen, kind, siblings, score, evidence)
    if abs(score) < _LEAST_CONFIDENCE:
        return Judgement(Verdict.UNSURE, round(abs(score), 2), evidence)
    verdict = Verdict.EXPECTED if score > 0 else Verdict.INVERTED
    return Judgement(verdict, round(min(abs(score), 1.0), 2), evidence)


def _by_air(seen: Seen, kind: Kind, evidence: list[str]) -> float:
    """The confidence that the image appears right, negative that it appears inverted."""
    air = find_air(seen.values, straight_outlines=kind.mammogram)
    evidence.append(air.why)
    if not air.end:
        return 0.0
    shown, other = (seen.low, seen.high) if air.end < 0 else (seen.high, seen.low)
    if abs(shown - other) < _CLEAR:
        evidence.append("Air and body are shown in nearly the same grey.")
        return 0.0
    bright = shown > other
    evidence.append(f"Air is shown {'bright' if bright else 'dark'}; dark is usual.")
    score = air.confidence + _by_sign(seen, air, evidence)
    return -score if bright else score


def _by_sign(seen: Seen, air: Air, evidence: list[str]) -> float:
    """Pixel Intensity Relationship Sign weighs little: devices often state it wrongly."""
    claimed = seen.statement.claimed_air
    if not claimed:
        return 0.0
    where = "high" if claimed > 0 else "low"
    fits = claimed == air.end
    evidence.append(
        f"Pixel Intensity Relationship Sign says that air has {where} values, "
        f"{'as' if fits else 'unlike what'} the image shows."
    )
    return 0.03 if fits else -0.03


def _by_siblings(
    seen: Seen, kind: Kind, siblings: Sequence[Sibling], score: float, evidence: list[str]
) -> float:
    """The score after a look at the source's earlier images."""
    likeness = likeness_of(seen.signature, [each.signature for each in siblings])
    least = _ALIKE if kind.by_air else _ALIKE_WITHOUT_AIR
    if likeness is not None and likeness <= -least:
        evidence.append(
            f"It looks like the negative of the {len(siblings)} earlier images of its source and "
            "body part."
        )
        score = score - 0.2 if score > 0 else min(score - 0.05, -0.7)
    elif likeness is not None and likeness >= least:
        evidence.append(f"It looks like the {len(siblings)} earlier images of its source.")
        known = any(each.known for each in siblings)
        score = score + 0.2 if score < 0 else max(score + 0.05, _LEAST_CONFIDENCE if known else 0.0)
    return _by_statement(seen, siblings, score, evidence)


def _by_statement(
    seen: Seen, siblings: Sequence[Sibling], score: float, evidence: list[str]
) -> float:
    """A source that states something new where it now appears wrong is the likelier at fault."""
    said = Counter(each.statement for each in siblings)
    if len(siblings) < FEWEST_SIBLINGS or str(seen.statement) in said:
        return score
    usual = said.most_common(1)[0][0]
    evidence.append(f"The {len(siblings)} earlier images of its source state {usual}.")
    return score - 0.05 if score < 0 else score


def likeness_of(signature: Sequence[int], others: Sequence[Sequence[int]]) -> float | None:
    """Correlation with the others' mean, -1 to 1; None where they differ or are too few."""
    known = [each for each in others if len(each) == len(signature)]
    if len(known) < FEWEST_SIBLINGS or not signature:
        return None
    rows = np.array([signature, *known], dtype=np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if (lengths < 1.0).any():
        return None
    rows /= lengths
    middle = rows[1:].mean(axis=0)
    # The length of the mean of unit vectors says how much they point the same way.
    alike = float(np.linalg.norm(middle))
    if alike < _ALIKE:
        return None
    return float(rows[0] @ middle / alike)
