"""Formulas in the TeX that matplotlib understands: drawn as SVG for a page, written as Unicode text for a terminal."""

import functools
import html
import re

from ganforge.errors import ContractError

LETTERS = {
    **{"alpha": "α", "beta": "β", "gamma": "γ", "epsilon": "ε", "lambda": "λ", "mu": "μ", "sigma": "σ", "phi": "φ"},
    **{"Vert": "‖", "nabla": "∇", "sum": "Σ", "cdot": "·", "in": "∈", "to": "→", "infty": "∞", "odot": "⊙"},
    **{"log": "log", "min": "min", "max": "max", "exp": "exp", "leq": "≤", "geq": "≥", "neq": "≠", "ell": "ℓ"},
    **{"approx": "≈", "pm": "±", "times": "×", "sim": "~", "mid": "|", "langle": "⟨", "rangle": "⟩", "theta": "θ"},
    **{"kappa": "κ"},
}
SUPERSCRIPTS = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304"}


def draw_formula(formula: str, size: float = 21) -> str:
    """A formula as an <svg> element in the colour of the text; its aria-label is the Unicode text.

    Raises ContractError when matplotlib cannot parse it.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    try:
        outline = TextPath((0, 0), f"${formula}$", size=size, prop=FontProperties(math_fontfamily="stix"))
    except ValueError as error:
        raise ContractError(f"The formula {formula!r} cannot be drawn: {' '.join(str(error).split())}") from error
    box, commands = outline.get_extents(), []
    for points, code in outline.iter_segments(simplify=False, curves=True):
        command = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}[int(code)]
        if command == "Z":
            commands.append("Z")
            continue
        pairs = [(points[i], -points[i + 1]) for i in range(0, len(points), 2)]
        commands.append(command + " ".join(f"{x:.1f} {y:.1f}" for x, y in pairs))
    left, top, width, height = box.x0 - 1, -box.y1 - 1, box.width + 2, box.height + 2
    label = html.escape(formula_to_text(formula))
    return (
        f'<svg class="formula" role="img" aria-label="{label}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" style="vertical-align:{box.y0:.1f}px">'
        f'<path fill="currentColor" d="{"".join(commands)}"/></svg>'
    )


@functools.cache
def formula_to_text(formula: str) -> str:
    """A formula as Unicode text: `\\frac{1}{2}\\mathbb{E}_x[D(x)^2]` becomes `1/2 E_x[D(x)²]`."""
    text = re.sub(r"\\[,; ]", " ", formula).replace("\\!", "").replace("\\|", "‖")
    text = re.sub(r"\\(?:left|right)(?![A-Za-z])", "", text)
    text = re.sub(r"\\([A-Za-z]+)(?: (?=\w))?", replace_command, text)
    text = re.sub(r"\\(?:mathbb|mathrm|mathcal|mathbf|text)\{([^{}]*)\}", r"\1", text)
    for accent, mark in ACCENTS.items():
        text = re.sub(rf"\\{accent}(?:\{{(\w)\}}|(\w))", lambda m, mark=mark: (m[1] or m[2]) + mark, text)
    text = re.sub(r"\^(?:\{([0-9+\-n]+)\}|([0-9]))", lambda m: (m[1] or m[2]).translate(SUPERSCRIPTS), text)
    text = re.sub(
        r"([_^])\{([^{}]*)\}",
        lambda m: m[1] + (m[2] if re.fullmatch(r"\w+[\u0302-\u0304]?", m[2]) else f"({m[2]})"),
        text,
    )
    while (inner := re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", replace_fraction, text)) != text:
        text = inner
    return re.sub(r"\s+", " ", text.replace("{", "").replace("}", "")).strip()


def replace_command(match: re.Match[str]) -> str:
    """The symbol of a TeX command; names such as log keep a space before a letter."""
    symbol = LETTERS.get(match[1])
    if symbol is None:
        return match[0]
    following = match.string[match.end() : match.end() + 1]
    return f"{symbol} " if symbol.isascii() and (following.isalpha() or following == "\\") else symbol


def replace_fraction(match: re.Match[str]) -> str:
    """Numerator and denominator on one line."""
    above, below = (part if re.fullmatch(r"\d+|\w|\w_\w+", part) else f"({part})" for part in match.groups())
    return f"{above}/{below} "
