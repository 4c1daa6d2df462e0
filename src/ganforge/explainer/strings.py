"""What a lesson says about every model alike, in both languages."""

import math
from collections.abc import Sequence

from ganforge.explainer.layers import EVERYTHING, Layer, Network
from ganforge.explainer.lesson import LessonContent
from ganforge.explainer.notes import Language
from ganforge.tracing import Turn

PHRASES: dict[Language, dict[str, str]] = {
    "en": {
        "solves": "What it solves",
        "players": "The players",
        "moves": "moves",
        "parameters": "{n} parameters",
        "parameters_short": "parameters",
        "round": "One round",
        "round_from": "A round as first played at step {step}",
        "all_times": "{title}, all of it {n} times",
        "descends": "descends the sum of",
        "holds": "keeps the gradient of",
        "times": "{n} times in a row",
        "term": "term",
        "formula": "formula and meaning",
        "value": "at the start",
        "value_note": "Values are those of first weights on noise; terms without a gradient are only logged.",
        "symbols": "The letters",
        "network": "The network",
        "networks": "The networks",
        "cost": "{n} FLOPs a picture",
        "layer": "layer",
        "shape": "result",
        "flops": "FLOPs",
        "sees": "sees",
        "from": "from",
        "everything": "all",
        "layers": "All {n} layers",
        "sees_note": "“sees”: pixels of the given picture that one pixel of the result depends on, norms aside; FLOPs: "
        "two a multiplication and addition.",
        "result": "The paper's result",
        "trying": "When it fails",
        "next": "Go on",
        "made": "Made from the code of {name} with the preset {preset}, for pictures of {size}.",
        "settings": "Settings",
        "file": "What the file says (English)",
    },
    "ko": {
        "solves": "무엇을 푸는가",
        "players": "플레이어",
        "moves": "움직이는 신경망:",
        "parameters": "파라미터 {n}개",
        "parameters_short": "파라미터",
        "round": "한 라운드",
        "round_from": "{step}번째 라운드부터 나타나는 모습",
        "all_times": "{title}, 전체를 {n}번",
        "descends": "다음의 합을 줄입니다",
        "holds": "다음의 기울기를 모아 둡니다",
        "times": "{n}번 연달아",
        "term": "항",
        "formula": "식과 뜻",
        "value": "처음 값",
        "value_note": "값은 학습 전 가중치와 잡음으로 계산한 것입니다. 기울기가 없는 항은 기록만 합니다.",
        "symbols": "기호",
        "network": "신경망",
        "networks": "신경망",
        "cost": "그림 한 장에 {n} FLOPs",
        "layer": "층",
        "shape": "출력",
        "flops": "FLOPs",
        "sees": "수용 영역",
        "from": "입력",
        "everything": "전체",
        "layers": "모든 층 ({n}개)",
        "sees_note": "수용 영역: 출력 한 픽셀이 의존하는 입력 그림의 픽셀 수(정규화 제외). "
        "FLOPs: 곱셈과 덧셈 한 쌍을 2로 셉니다.",
        "result": "논문의 대표 결과",
        "trying": "잘 안 될 때",
        "next": "이어서",
        "made": "{name}의 코드와 {preset} 프리셋, {size} 그림으로 만든 설명입니다.",
        "settings": "설정",
        "file": "파일의 설명 (영어)",
    },
}


def rounds_title(lesson: LessonContent, number: int, language: Language) -> str:
    """The title of a kind of round."""
    say, kind = PHRASES[language], lesson.rounds[number]
    title = say["round"] if len(lesson.rounds) == 1 else say["round_from"].format(step=kind.step)
    return say["all_times"].format(title=title, n=kind.times) if kind.times > 1 else title


def turn_title(turn: Turn, language: Language) -> str:
    """Who moves, how often."""
    say = PHRASES[language]
    often = f" ({say['times'].format(n=turn.times)})" if turn.times > 1 else ""
    return f"{turn.player}{often}: {say['descends' if turn.steps else 'holds']}"


def alike(networks: Sequence[Network]) -> list[tuple[list[str], Network]]:
    """Networks of one form together, each with the names of those that have it."""
    groups: list[tuple[list[str], Network]] = []
    for network in networks:
        same = next((group for group in groups if form(group[1]) == form(network)), None)
        if same:
            same[0].append(network.name)
        else:
            groups.append(([network.name], network))
    return groups


def form(network: Network) -> tuple[object, ...]:
    """What two networks of one form share."""
    return network.given, *((layer.kind, layer.detail, layer.shape, layer.inputs) for layer in network.layers)


def cost(network: Network, language: Language) -> str:
    """What a network weighs and works."""
    say = PHRASES[language]
    return f"{say['parameters'].format(n=big(network.parameters))}, {say['cost'].format(n=big(network.flops))}"


def big(number: int) -> str:
    """A count that a person can read: 1.23 M."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= size:
            return f"{number / (1_000 if letter == 'k' else size):.3g} {letter}"
    return f"{number:,}"


def shape(sizes: tuple[int, ...]) -> str:
    """`64×32×32`; one number for what has none."""
    return "×".join(map(str, sizes)) or "1"


def seen(layer: Layer, language: Language) -> str:
    """A receptive field."""
    if layer.field is None:
        return ""
    if EVERYTHING in layer.field:
        return PHRASES[language]["everything"]
    height, width = (math.ceil(side) for side in layer.field)
    return f"{height}" if height == width else f"{height}×{width}"
