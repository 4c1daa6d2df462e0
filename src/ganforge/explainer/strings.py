"""Texts of a lesson that are the same for every model, in both languages, and how numbers are written."""

import math
from collections.abc import Sequence

from ganforge.explainer.layers import WHOLE_IMAGE, Layer, Network
from ganforge.explainer.lesson import LessonContent
from ganforge.explainer.notes import Language
from ganforge.tracing import Turn

PHRASES: dict[Language, dict[str, str]] = {
    "en": {
        "solves": "What it solves",
        "players": "The players",
        "updates": "updates",
        "parameters": "{n} parameters",
        "parameters_short": "parameters",
        "step": "One step",
        "step_from": "One step (from step {step} on)",
        "repeated": "{title}, repeated {n} times",
        "descends": "minimises the sum of",
        "holds": "accumulates the gradient of",
        "times": "{n} times in a row",
        "term": "term",
        "formula": "formula and meaning",
        "value": "initial value",
        "value_note": "Values are computed with initial weights on noise; terms without a gradient are not listed.",
        "symbols": "Symbols",
        "network": "The network",
        "networks": "The networks",
        "cost": "{n} FLOPs per image",
        "layer": "layer",
        "shape": "output",
        "flops": "FLOPs",
        "field": "receptive field",
        "from": "input",
        "whole_image": "all",
        "layers": "All {n} layers",
        "layers_note": "Receptive field: pixels of the input image that one output pixel depends on, norms aside. "
        "FLOPs: a multiplication with its addition counts as two.",
        "result": "The paper's result",
        "trying": "When training fails",
        "next": "Next",
        "made": "Generated from the code of {name} with the preset {preset}, for images of {size}.",
        "file": "The docstring of the file (English)",
    },
    "ko": {
        "solves": "무엇을 푸는가",
        "players": "플레이어",
        "updates": "학습하는 신경망:",
        "parameters": "파라미터 {n}개",
        "parameters_short": "파라미터",
        "step": "한 스텝",
        "step_from": "한 스텝 (스텝 {step}부터)",
        "repeated": "{title}, 전체 {n}회 반복",
        "descends": "다음 항의 합을 최소화",
        "holds": "다음 항의 기울기를 누적",
        "times": "연속 {n}회",
        "term": "항",
        "formula": "수식과 의미",
        "value": "초깃값",
        "value_note": "값은 초기 가중치와 노이즈로 계산했습니다. 기울기가 없어 기록만 하는 항은 생략했습니다.",
        "symbols": "기호",
        "network": "신경망",
        "networks": "신경망",
        "cost": "이미지당 {n} FLOPs",
        "layer": "레이어",
        "shape": "출력",
        "flops": "FLOPs",
        "field": "수용 영역",
        "from": "입력",
        "whole_image": "전체",
        "layers": "전체 레이어 ({n}개)",
        "layers_note": "수용 영역: 출력 픽셀 하나가 의존하는 입력 이미지의 픽셀 수(정규화 제외). "
        "FLOPs: 곱셈과 덧셈 한 쌍을 2로 셉니다.",
        "result": "논문의 주요 결과",
        "trying": "학습이 잘 안 될 때",
        "next": "다음 단계",
        "made": "{name}의 코드에서 {preset} 프리셋, {size} 이미지를 기준으로 생성했습니다.",
        "file": "파일의 docstring (영어)",
    },
}


def format_round_title(lesson: LessonContent, number: int, language: Language) -> str:
    """The title of one kind of step."""
    phrases, kind = PHRASES[language], lesson.rounds[number]
    title = phrases["step"] if len(lesson.rounds) == 1 else phrases["step_from"].format(step=kind.step)
    return phrases["repeated"].format(title=title, n=kind.times) if kind.times > 1 else title


def format_turn_title(turn: Turn, language: Language) -> str:
    """The player of a turn, how often it repeats, and what it does with the terms."""
    phrases = PHRASES[language]
    times = f" ({phrases['times'].format(n=turn.times)})" if turn.times > 1 else ""
    return f"{turn.player}{times}: {phrases['descends' if turn.steps else 'holds']}"


def group_identical(networks: Sequence[Network]) -> list[tuple[list[str], Network]]:
    """Networks with identical layers together: the names of all, and the first of them."""
    groups: list[tuple[list[str], Network]] = []
    for network in networks:
        group = next((one for one in groups if structure_of(one[1]) == structure_of(network)), None)
        if group:
            group[0].append(network.name)
        else:
            groups.append(([network.name], network))
    return groups


def structure_of(network: Network) -> tuple[object, ...]:
    """What identical networks have in common: inputs and layers, without their names."""
    return network.inputs, *((layer.kind, layer.detail, layer.shape, layer.inputs) for layer in network.layers)


def format_cost(network: Network, language: Language) -> str:
    """`1.23 M parameters, 4.56 G FLOPs per image`."""
    phrases = PHRASES[language]
    parameters = phrases["parameters"].format(n=format_count(network.parameters))
    return f"{parameters}, {phrases['cost'].format(n=format_count(network.flops))}"


def format_count(number: int) -> str:
    """A count with three digits and a unit: `1.23 M`."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= size:
            return f"{number / (1_000 if letter == 'k' else size):.3g} {letter}"
    return f"{number:,}"


def format_shape(sizes: tuple[int, ...]) -> str:
    """`64×32×32`; `1` for a scalar."""
    return "×".join(map(str, sizes)) or "1"


def format_field(layer: Layer, language: Language) -> str:
    """The receptive field: `70` for a square, `70×35`, the word for the whole image, or nothing."""
    if layer.receptive_field is None:
        return ""
    if WHOLE_IMAGE in layer.receptive_field:
        return PHRASES[language]["whole_image"]
    height, width = (math.ceil(side) for side in layer.receptive_field)
    return f"{height}" if height == width else f"{height}×{width}"
