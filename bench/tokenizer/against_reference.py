#!/usr/bin/env python3
"""against_reference.py tokenizer_bench tokenizer.json...: ids of 10,000 random texts here and in the reference package.

The reference is Hugging Face's tokenizers, or tiktoken for *.tiktoken. Skips visibly where it is not installed.

Two differences are counted apart and are no failure: texts with characters that Unicode assigned after version 14, whose
class is unknown to the Oniguruma 6.9.8 of Debian 12 (the reference brings a newer one); and added tokens to which the
reference gives other ids than the file says, which are compared as the file has them.
"""
import json
import random
import subprocess
import sys
import unicodedata

PARTS = (list("abcdeslmrtvASLMTZ019 \t\n\r\x0b'.,!?$+<=>^|`~\"#&()*-/:;@[]\\_{}") +
         ["  ", "   ", "\r\n", "\n\n", "'s", "'S", "'\u017f", "'re", "'LL", "\u0085", "\u00a0", "\u180e", "\u2003", "\u2028",
          "\u3000", "\u200b", "\u200d", "\ufeff", "é", "e\u0301", "ß", "Ü", "÷", "İ", "Σ", "ǅ", "ª", "²", "½", "٣", "Ⅷ", "漢", "字", "龥",
          "あ", "ー", "한", "ᄒ\u1161", "。", "😀", "👩\u200d👩", "▁", "<s>", "</s>", "<|endoftext|>", "<think>", "hello", " world", "the",
          " the", " function", "return", "12345", "ing", "    "])


def texts():
    rng = random.Random(5)
    for _ in range(10000):
        parts = [chr(rng.choice([rng.randrange(1, 0x800), rng.randrange(0x800, 0xD800), rng.randrange(0xE000, 0x20000)]))
                 if rng.random() < 0.1 else rng.choice(PARTS) for _ in range(rng.randrange(1, 30))]
        yield "".join(parts)


def of_the_file(path, reference):
    """Ids of the reference that differ from those in the file, and what they are there."""
    with open(path, encoding="utf-8") as file:
        added = json.load(file).get("added_tokens", [])
    return {reference.token_to_id(t["content"]): t["id"] for t in added if reference.token_to_id(t["content"]) != t["id"]}


def main():
    if unicodedata.unidata_version[:3] != "14.":
        print(f"this Python knows Unicode {unicodedata.unidata_version}: characters newer than 14 count as differences")
    program, files = sys.argv[1], sys.argv[2:]
    try:
        import tiktoken
        import tokenizers
        from tiktoken.load import load_tiktoken_bpe
    except ImportError as missing:
        print(f"SKIPPED: {missing}")
        return 0
    print(f"tokenizers {tokenizers.__version__}, tiktoken {tiktoken.__version__}")
    sample, failed = list(texts()), False
    for path in files:
        if path.endswith(".tiktoken"):
            # cl100k's expression; Qwen's first models have the same with single digits.
            pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
                       r"|\s+(?!\S)|\s+")
            if path.endswith("/qwen.tiktoken"):
                pattern = pattern.replace(r"\p{N}{1,3}", r"\p{N}")
            reference = tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=load_tiktoken_bpe(path), special_tokens={})
            want = [reference.encode_ordinary(text) for text in sample]
        else:
            reference = tokenizers.Tokenizer.from_file(path)
            other = of_the_file(path, reference)
            want = [[other.get(i, i) for i in reference.encode(text, add_special_tokens=False).ids] for text in sample]
            for theirs, ours in other.items():
                print(f"{path}: the reference numbers {reference.id_to_token(theirs)} {theirs}, the file {ours}")
        out = subprocess.run([program, path, "--ids"], input="".join(text + "\0" for text in sample).encode(), capture_output=True,
                             check=True).stdout.decode()
        got = [[int(i) for i in line.split()] for line in out.splitlines()]
        different = [i for i in range(len(sample)) if got[i] != want[i]]
        wrong = [i for i in different if not any(unicodedata.category(c) == "Cn" for c in sample[i])]
        print(f"{path}: {len(wrong)} of {len(sample)} texts differ, and {len(different) - len(wrong)} with new characters")
        for i in wrong[:3]:
            print(f"  {sample[i]!r}\n  here      {got[i]}\n  reference {want[i]}")
        failed |= bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
