"""Writes `docs/reference/engines-file.md` from the declaration of the engines' file, or checks it (`--check`).

Run in the tests' environment: `.venvs/dev/bin/python docs/generate_engines_file.py`.
"""

import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ByteSize
from pydantic.fields import FieldInfo

from tandem_inference.engines.declaration import DeclaredEngines, Engine, OnDemand
from tandem_inference.engines.declared_adapter import Adapter
from tandem_inference.engines.vllm_values import KV_CACHE_DTYPES, LOAD_FORMATS, LORA_RANKS, QUANTIZATIONS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/reference/engines-file.md"
VALUES: dict[str, tuple[Any, ...]] = {
    "quantization": QUANTIZATIONS,
    "load_format": LOAD_FORMATS,
    "kv_cache_dtype": KV_CACHE_DTYPES,
    "max_lora_rank": LORA_RANKS,
}
TYPES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    ByteSize: "size, e.g. 1GiB",
}
INTRODUCTION = """\
# The engines' file

Generated from `services/inference/src/tandem_inference/engines/declaration.py` by `docs/generate_engines_file.py`; edit those instead.

`TANDEM_INFERENCE_ENGINES_FILE` names the file. It is read when the service starts and again on SIGHUP or `POST /engines/reload`. Mistakes
are told by line and field; one mistake, and nothing of the file is taken over. Examples: [without a GPU](../../local/engines.cpu.yaml),
[with one](../../local/engines.gpu.yaml).

At run time only `adapters` change (and `max_loras`, `max_lora_rank` from the engine's next start on); a reload names the fields that wait
for a restart of the service.
"""


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` return 1 when it is not current."""
    if PAGE.exists() and PAGE.read_text() == page():
        return 0
    if "--check" in arguments:
        sys.stderr.write(
            f"Not current: {PAGE.relative_to(ROOT)}. Run `make generate` and commit the result.\n"
        )
        return 1
    PAGE.write_text(page())
    return 0


def page() -> str:
    """Return the reference page."""
    return "\n".join(
        [
            INTRODUCTION,
            f"## The file\n\n{table(DeclaredEngines)}",
            f"## An engine\n\n{table(Engine)}",
            f"## An adapter\n\n{table(Adapter)}",
            f"## `on_demand`\n\n{table(OnDemand)}",
            f"## Values that are vLLM's own\n\n{values()}",
            f"## Flags that vLLM dropped\n\nRefused in `extra_args` and as fields.\n\n{gone_flags()}",
        ]
    )


def table(model: type[BaseModel]) -> str:
    """Return a Markdown table of the model's fields."""
    rows = [
        f"| `{name}` | {kind(field)} | {default(field)} | {field.description} |"
        for name, field in model.model_fields.items()
    ]
    return "\n".join(["| field | kind | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def kind(field: FieldInfo) -> str:
    """Return what a value of the field looks like."""
    annotation = str(field.annotation)
    if "Literal" in annotation:
        return " or ".join(f"`{value}`" for value in get_args(field.annotation))
    if "tuple" in annotation:
        return "list"
    if "dict" in annotation:
        return "names and values"
    if "OnDemand" in annotation:
        return "fields"
    return next(words for known, words in TYPES.items() if known in flat(field.annotation))


def flat(annotation: Any) -> set[Any]:
    """Return the annotation and everything that it is made of."""
    return {annotation}.union(*map(flat, get_args(annotation))) if get_args(annotation) else {annotation}


def default(field: FieldInfo) -> str:
    """Return the default as a user would write it; nothing where the field may be left out."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def values() -> str:
    """Return the values of the fields whose choice is vLLM's."""
    return "".join(
        f"- `{field}`: {', '.join(f'`{one}`' for one in known)}\n" for field, known in VALUES.items()
    )


def gone_flags() -> str:
    """Return the table of what is refused, with the reason and what to do."""
    text = (files("tandem_inference.engines") / "data" / "gone_flags.yaml").read_text(encoding="utf-8")
    lines = ["| what | why | instead |", "|---|---|---|"]
    for section, rows in yaml.safe_load(text).items():
        for row in rows:
            what = f"`{row['flag']}`" if section == "flags" else f"`{section}`: {', '.join(row['values'])}"
            sizes = (
                f" of other sizes than multiples of {row['multiples_of']}" if "multiples_of" in row else ""
            )
            plugin = f"; or install {row['plugin']} beside vLLM" if "plugin" in row else ""
            lines.append(f"| {what}{sizes} | {row['reason']} | {row['instead']}{plugin} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
