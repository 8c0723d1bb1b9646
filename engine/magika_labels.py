"""What Magika does before and after its network: bytes to tokens, scores to a label.

As the package's own magika.py (Apache-2.0, Google) does it, in its mode "high confidence".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import BadInput
from engine.magika_weights import LABELS, PADDING, TOKENS

_HALF = TOKENS // 2  # tokens of the beginning, and of the end
# What the features below are written for; the rest of the file says what labels mean.
_FIXED = {
    "beg_size": _HALF,
    "mid_size": 0,
    "end_size": _HALF,
    "use_inputs_at_offsets": False,
    "padding_token": PADDING,
    "block_size": 4096,
    "min_file_size_for_dl": 8,
}
BLOCK, _FEW = 4096, 8  # bytes read of each end; fewer than these are not the network's


@dataclass(frozen=True)
class Identification:
    """What a file is. `score` is the network's for `dl_label`, of 0 to 1, or 1 where it was not
    asked (`dl_label` is then "undefined"). `overwritten` says why `label` is another than
    `dl_label`: "low_confidence" (text or unknown instead), "overwrite_map" or "none"."""

    label: str
    description: str
    score: float
    dl_label: str
    overwritten: str


def tokens_of(head: bytes, tail: bytes) -> list[int]:
    """The network's 2048 tokens: 1024 of the beginning and 1024 of the end, without the white space
    around, filled up with padding towards the middle. Of what is read, a block of each end."""
    start, end = head[:BLOCK].lstrip()[:_HALF], tail[-BLOCK:].rstrip()[-_HALF:]
    padding = [PADDING] * (TOKENS - len(start) - len(end))
    return [*start, *padding, *end]


class Labels:
    """What the network's outputs stand for, from config.min.json and content_types_kb.min.json."""

    def __init__(self, config: str, content_types: str) -> None:
        read = _json("config.min.json", config)
        for name, needed in _FIXED.items():
            if read.get(name) != needed:
                raise BadInput(
                    f"config.min.json: {name} is {read.get(name)!r:.40}, needs {needed!r}"
                )
        types = _json("content_types_kb.min.json", content_types)
        try:
            self._default = float(read["medium_confidence_threshold"])
            self._thresholds = {str(k): float(v) for k, v in read["thresholds"].items()}
            self._renamed = {str(k): str(v) for k, v in read["overwrite_map"].items()}
            self.names = tuple(map(str, read["target_labels_space"]))
            self._texts = {name for name, entry in types.items() if entry["is_text"]}
            self._described = {k: str(v["description"] or k) for k, v in types.items()}
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise BadInput(
                f"the files of magika's model are not as they were: {error!r:.80}"
            ) from None
        used = {*self.names, *self._renamed.values(), "directory", "empty", "txt", "unknown"}
        missing = sorted(used - self._described.keys())
        if missing:
            raise BadInput(f"content_types_kb.min.json lacks {', '.join(missing[:4])}")
        if len(self.names) != LABELS:
            raise BadInput(f"config.min.json has {len(self.names)} labels, needs {LABELS}")

    def without_network(self, label: str) -> Identification:
        return Identification(label, self._described[label], 1.0, "undefined", "none")

    def of_few_bytes(self, head: bytes) -> Identification | None:
        """Of what is too short for the network, white space aside; None where it is not."""
        if not head:
            return self.without_network("empty")
        if len(head) >= _FEW and len(head[:BLOCK].lstrip()) >= _FEW:
            return None
        try:
            head[:BLOCK].decode()
        except UnicodeDecodeError:
            return self.without_network("unknown")
        return self.without_network("txt")

    def is_close(self, scores: Sequence[float]) -> bool:
        """Whether scores that are a little off could give another label: int8's are, by 0.01."""
        (second, _), (first, name) = sorted(zip(scores, self.names, strict=True))[-2:]
        return first < 1.3 * second or abs(first - self._threshold(name)) < 0.04

    def _threshold(self, dl_label: str) -> float:
        return self._thresholds.get(dl_label, self._default)

    def of_scores(self, scores: Sequence[float]) -> Identification:
        """The label with the largest of 214 scores, or a plainer one where that is too low."""
        score = max(scores)
        if score != score:
            raise BadInput("the scores are NaN: the model's weights are damaged")
        dl_label = self.names[list(scores).index(score)]
        label = self._renamed.get(dl_label, dl_label)
        overwritten = "none" if label == dl_label else "overwrite_map"
        if score < self._threshold(dl_label):
            label = "txt" if label in self._texts else "unknown"
            overwritten = "none" if label == dl_label else "low_confidence"
        return Identification(label, self._described[label], score, dl_label, overwritten)


def _json(name: str, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput(f"{name} of magika's model is no JSON") from None
    if not isinstance(content, dict):
        raise BadInput(f"{name} of magika's model is no JSON object")
    return content
