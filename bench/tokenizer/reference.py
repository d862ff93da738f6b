#!/usr/bin/env python3
"""reference.py tokenizer.json text...: what tokenizer_bench measures, for the Hugging Face tokenizers and tiktoken packages.

One thread. tiktoken is measured on the same file's ranks when it is named *.tiktoken.
"""
import os
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def speed(size, work):
    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return size / best / 1e6


def main():
    path, texts = sys.argv[1], sys.argv[2:]
    if path.endswith(".tiktoken"):
        import tiktoken
        from tiktoken.load import load_tiktoken_bpe
        pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
                   r"|\s+(?!\S)|\s+")
        reference = tiktoken.Encoding("bench", pat_str=pattern, mergeable_ranks=load_tiktoken_bpe(path), special_tokens={})
        encode, decode = reference.encode_ordinary, reference.decode
        batch = lambda lines: [encode(line) for line in lines]
        name = f"tiktoken {tiktoken.__version__}"
    else:
        import tokenizers
        reference = tokenizers.Tokenizer.from_file(path)
        encode = lambda text: reference.encode(text, add_special_tokens=False).ids
        decode = lambda ids: reference.decode(ids, skip_special_tokens=False)
        batch = lambda lines: reference.encode_batch_fast(lines, add_special_tokens=False)
        name = f"tokenizers {tokenizers.__version__}"
    for file in texts:
        raw = open(file, "rb").read()
        if len(raw) > 4 << 20:
            raw = raw[:raw.rfind(b"\n", 0, (4 << 20) + 1) + 1]
        text = raw.decode()
        lines = text.splitlines(keepends=True)
        ids = encode(text)
        print(f"{name}, {file}: {len(raw)} bytes, {len(ids)} tokens; encode by line {speed(len(raw), lambda: batch(lines)):.1f} MB/s, "
              f"whole {speed(len(raw), lambda: encode(text)):.1f} MB/s; decode {speed(len(raw), lambda: decode(ids)):.1f} MB/s")


if __name__ == "__main__":
    main()
