#!/usr/bin/env python3
"""Writes tools.json: what transformers' own apply_chat_template makes of conversations with tools.

  pip install transformers; make_tools.py FOLDER_OF_TEMPLATES > tools.json

Renders whose text does not depend on the case are as long as the templates' own words, so cases are few: tools offered, a
call with its result, two calls at once, and arguments with characters that JSON or HTML would escape.
"""
import datetime
import json
import pathlib
import sys

import jinja2
import transformers
from transformers.utils import chat_template_utils

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Today's weather <in a place> & its \"temperature\" in °C.",
        "parameters": {"type": "object", "properties": {
            "place": {"type": "string", "description": "Städte: Zürich, 東京"},
            "days": {"type": "integer", "minimum": 1, "default": None}}, "required": ["place"]}}},
    {"type": "function", "function": {"name": "now", "description": "The time.", "parameters": {
        "type": "object", "properties": {}}}},
]


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


USER = {"role": "user", "content": "How warm is it in 東京?"}
SYSTEM = {"role": "system", "content": "Be brief."}
CALL = {"role": "assistant", "content": "", "tool_calls": [call("get_weather", {"place": "東京 <b>", "days": 1, "exact": True})]}
RESULT = {"role": "tool", "name": "get_weather", "content": "{\"temperature\": 21.5}"}
TWO = {"role": "assistant", "content": "Let me see.", "tool_calls": [call("get_weather", {"place": "Zürich"}), call("now", {})]}
AS_TEXT = {"role": "assistant", "content": None, "tool_calls": [call("get_weather", "{\"place\": \"東京\"}")]}
CASES = {
    "tools": {"messages": [USER], "tools": TOOLS, "add_generation_prompt": True},
    "tools_system": {"messages": [SYSTEM, USER], "tools": TOOLS, "add_generation_prompt": True},
    "call_result": {"messages": [SYSTEM, USER, CALL, RESULT], "tools": TOOLS[:1], "add_generation_prompt": True},
    "two_calls": {"messages": [USER, TWO, RESULT, dict(RESULT, name="now", content="12:00")], "tools": TOOLS,
                  "add_generation_prompt": True},
    "call_text": {"messages": [USER, AS_TEXT, RESULT, {"role": "assistant", "content": "21.5 °C."}, USER],
                  "add_generation_prompt": True},
    "tools_not_in_user_message": {"messages": [SYSTEM, USER], "tools": TOOLS[1:], "tools_in_user_message": False,
                                  "add_generation_prompt": False},
}
BOS_EOS = {"deepseek": ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"], "llama": ["<|begin_of_text|>", "<|eot_id|>"],
           "qwq": [None, "<|im_end|>"], "qwen": [None, "<|im_end|>"]}


def family(name):
    low = name.lower()
    return "qwq" if "qwq" in low else "deepseek" if "deepseek" in low else "llama" if "llama" in low else "qwen"


class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2025, 1, 2)


def render(template, name, case):
    bos, eos = BOS_EOS[family(name)]
    more = {k: v for k, v in case.items() if k not in ("messages", "tools")}
    if bos:
        more["bos_token"] = bos
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            conversations=[case["messages"]], tools=case.get("tools"), chat_template=template, eos_token=eos, **more)
    except (jinja2.TemplateError, TypeError) as error:
        return {"error": str(error)}
    return {"ok": texts[0]}


def main():
    chat_template_utils.datetime = Day if hasattr(chat_template_utils.datetime, "now") else chat_template_utils.datetime
    renders = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jinja")):
        renders[path.stem] = {key: render(path.read_text(), path.stem, case) for key, case in CASES.items()}
    json.dump({"transformers": transformers.__version__, "jinja2": jinja2.__version__, "cases": CASES, "bos_eos": BOS_EOS,
               "renders": renders}, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
