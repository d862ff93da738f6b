#!/usr/bin/env python3
"""Turns GSM8K (github.com/openai/grade-school-math, one {"question", "answer"} per line) into a prompt set.

  gsm8k.py --template r1_zero train.jsonl > gsm8k-train.jsonl
  hone prompts upload gsm8k-train.jsonl --set gsm8k-train
"""
import argparse
import json
import sys

INSTRUCTION = "Reason step by step, and put the final answer within \\boxed{}."
TEMPLATES = {
    # For base models: no special tokens.
    "r1_zero": "A user asks a question and the assistant answers it. The assistant first reasons step by step between "
               "<think> and </think>, and then gives the final answer, a number and nothing else, between <answer> and "
               "</answer>.\nUser: {question}\nAssistant:",
    # For DeepSeek-R1 and what was distilled from it: the completion begins inside <think>.
    "r1": "<｜begin▁of▁sentence｜><｜User｜>{question}\n" + INSTRUCTION + "<｜Assistant｜><think>\n",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="train.jsonl or test.jsonl of GSM8K")
    parser.add_argument("--template", choices=TEMPLATES, default="r1_zero")
    parser.add_argument("--limit", type=int, default=0, help="only the first so many; 0: all")
    options = parser.parse_args()
    with open(options.file, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if options.limit and number > options.limit:
                break
            problem = json.loads(line)
            _, mark, answer = problem["answer"].rpartition("####")
            if not mark:
                sys.exit(f"{options.file}:{number}: the answer has no ####")
            json.dump({"id": str(number),
                       "prompt": TEMPLATES[options.template].replace("{question}", problem["question"].strip()),
                       "answer": answer.strip().replace(",", "")}, sys.stdout, ensure_ascii=False)
            print()


if __name__ == "__main__":
    main()
