"""Files that look like images and are not taken: they are counted and named, so that none is missed in silence."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ganforge import images
from ganforge.data.layouts.files import Files
from ganforge.data.layouts.names import shorten
from ganforge.errors import DataError

MOST_OPENED = 200  # files without the suffix of an image that are opened to see whether they are one
OTHERS = re.compile(  # suffixes of files that are certainly not images
    r"\.(txt|json|jsonl|csv|tsv|xml|md|html?|pdf|py|ipynb|ya?ml|toml|ini|db|log|cls|parquet|arrow|pth?|ckpt|pkl|safetensors|"
    r"zip|tar|gz|7z|rar|mp4|mov|mkv|avi|webm|m4v|mp3|wav)$"
)


def describe_untaken(files: Files) -> Iterator[str]:
    """Yield a sentence for each suffix of images that are not read, and one for images without a suffix."""
    taken = set(files.image_names)
    others = [name for name in sorted(files.marks) if name not in taken and not OTHERS.search(name.lower())]
    suffixes = {name: name.rpartition("/")[2].lower().rpartition(".")[2] for name in others}
    counts = Counter(suffix for suffix in suffixes.values() if suffix in images.OTHER_IMAGES)
    for suffix, count in counts.items():
        first = next(name for name in others if suffixes[name] == suffix)
        yield (
            f"Not taken: {count} file{'s' * (count > 1)} that end{'s' * (count == 1)} in {suffix}, the first "
            f"{shorten(first)}: {images.OTHER_IMAGES[suffix]}."
        )
    unknown = [name for name in others if suffixes[name] not in counts]
    hidden = [name for name in unknown[:MOST_OPENED] if _is_image(files, name)]
    if hidden:
        yield (
            f"Not taken: {len(hidden)} image{'s' * (len(hidden) > 1)} whose names do not end as an image's, the first "
            f"{shorten(hidden[0])}: rename them to .png, .jpg or what they are."
        )


def _is_image(files: Files, name: str) -> bool:
    try:
        source = files.open(name)
        if not isinstance(source, Path):
            return images.looks_like_image(source.read(16))
        with source.open("rb") as file:
            return images.looks_like_image(file.read(16))
    except (OSError, DataError):
        return False
