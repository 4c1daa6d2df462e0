"""Formulas in the TeX that matplotlib understands: drawn as SVG for a page, spelled in letters for a terminal."""

import functools
import html
import re

from ganforge.errors import ContractError

LETTERS = {
    **{"alpha": "α", "beta": "β", "gamma": "γ", "epsilon": "ε", "lambda": "λ", "mu": "μ", "sigma": "σ", "phi": "φ"},
    **{"Vert": "‖", "nabla": "∇", "sum": "Σ", "cdot": "·", "in": "∈", "to": "→", "infty": "∞", "odot": "⊙"},
    **{"log": "log", "min": "min", "max": "max", "exp": "exp", "leq": "≤", "geq": "≥", "neq": "≠", "ell": "ℓ"},
    **{"approx": "≈", "pm": "±", "times": "×", "sim": "~", "mid": "|", "langle": "⟨", "rangle": "⟩", "theta": "θ"},
}
RAISED = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304"}


def drawn(formula: str, size: float = 21) -> str:
    """A formula as an <svg> element for a page, in the colour of the text; screen readers hear its letters.

    Raises ContractError when matplotlib cannot read it.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    try:
        outline = TextPath((0, 0), f"${formula}$", size=size, prop=FontProperties(math_fontfamily="stix"))
    except ValueError as error:
        raise ContractError(f"The formula {formula!r} cannot be drawn: {' '.join(str(error).split())}") from error
    box, marks = outline.get_extents(), []
    for points, code in outline.iter_segments(simplify=False, curves=True):
        letter = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}[int(code)]
        if letter == "Z":
            marks.append("Z")
            continue
        pairs = [(points[i], -points[i + 1]) for i in range(0, len(points), 2)]
        marks.append(letter + " ".join(f"{x:.1f} {y:.1f}" for x, y in pairs))
    left, top, wide, high = box.x0 - 1, -box.y1 - 1, box.width + 2, box.height + 2
    name = html.escape(spelled(formula))
    return (
        f'<svg class="formula" role="img" aria-label="{name}" width="{wide:.0f}" height="{high:.0f}" '
        f'viewBox="{left:.1f} {top:.1f} {wide:.1f} {high:.1f}" style="vertical-align:{box.y0:.1f}px">'
        f'<path fill="currentColor" d="{"".join(marks)}"/></svg>'
    )


@functools.cache
def spelled(formula: str) -> str:
    """A formula in letters: `\\frac{1}{2}\\mathbb{E}_x[D(x)^2]` becomes `1/2 E_x[D(x)²]`."""
    text = re.sub(r"\\[,; ]", " ", formula).replace("\\!", "").replace("\\|", "‖")
    text = re.sub(r"\\(?:left|right)(?![A-Za-z])", "", text)
    text = re.sub(r"\\([A-Za-z]+)(?: (?=\w))?", letter, text)
    text = re.sub(r"\\(?:mathbb|mathrm|mathcal|mathbf|text)\{([^{}]*)\}", r"\1", text)
    for accent, mark in ACCENTS.items():
        text = re.sub(rf"\\{accent}(?:\{{(\w)\}}|(\w))", lambda m, mark=mark: (m[1] or m[2]) + mark, text)
    text = re.sub(r"\^(?:\{([0-9+\-n]+)\}|([0-9]))", lambda m: (m[1] or m[2]).translate(RAISED), text)
    text = re.sub(
        r"([_^])\{([^{}]*)\}",
        lambda m: m[1] + (m[2] if re.fullmatch(r"\w+[\u0302-\u0304]?", m[2]) else f"({m[2]})"),
        text,
    )
    while (inner := re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", fraction, text)) != text:
        text = inner
    return re.sub(r"\s+", " ", text.replace("{", "").replace("}", "")).strip()


def letter(found: re.Match[str]) -> str:
    """What a command of TeX stands for; words such as log keep their distance from what follows."""
    sign = LETTERS.get(found[1])
    if sign is None:
        return found[0]
    following = found.string[found.end() : found.end() + 1]
    return f"{sign} " if sign.isascii() and (following.isalpha() or following == "\\") else sign


def fraction(found: re.Match[str]) -> str:
    """A numerator and a denominator on one line."""
    above, below = (part if re.fullmatch(r"\d+|\w|\w_\w+", part) else f"({part})" for part in found.groups())
    return f"{above}/{below} "
