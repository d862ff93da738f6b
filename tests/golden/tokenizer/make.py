#!/usr/bin/env python3
"""Writes the golden files of this folder with the reference implementation: pip install tokenizers==0.21.0; make.py DIR

Each file holds a small tokenizer.json of our own ("tokenizer") and cases: text, ids with special tokens parsed ("ids"),
left as text ("plain"), with the post-processor ("framed"), and the decoded text of "framed" ("decoded", "skipped").
"""
import json
import pathlib
import random
import sys

from tokenizers import Tokenizer

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
            "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]
QWEN2 = LLAMA3.replace("{1,3}", "")
POOL = list("abcdeslmrtvASLMTZ019 \t\n\r\x0b'.,!?$+<=>^|`~\"#&()*-/:;@[]\\_{}") + [
    "  ", "   ", "\r\n", "\n\n", "'s", "'S", "'\u017f", "'re", "'LL", "\u0085", "\u00a0", "\u180e", "\u2003", "\u2028",
    "\u3000", "\u200b", "\u200d", "\ufeff", "é", "e\u0301", "ß", "Ü", "÷", "İ", "Σ", "ǅ", "ª", "²", "½", "٣", "Ⅷ", "漢", "字", "龥",
    "あ", "ー", "한", "ᄒ\u1161", "。", "😀", "👩\u200d👩", "ñ", "\u212b", "ﬁ", "▁", "<s>", "</s>", "<|im_start|>", "<think>",
    "hello", " world", "the", " the", "wörd", "ab", "abc"]


def byte_alphabet():
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, shifted = {}, 0
    for b in range(256):
        table[b] = chr(b) if b in own else chr(256 + shifted)
        shifted += b not in own
    return table


def learn(words, vocab, count):
    """Merges for a small vocabulary: most frequent pair first, ties by text."""
    merges, words = [], [list(w) for w in words]
    for _ in range(count):
        pairs = {}
        for w in words:
            for pair in zip(w, w[1:]):
                pairs[pair] = pairs.get(pair, 0) + 1
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        vocab.setdefault("".join(best), len(vocab))
        for w in words:
            i = 0
            while i + 1 < len(w):
                if (w[i], w[i + 1]) == best:
                    w[i:i + 2] = ["".join(best)]
                i += 1
    return merges


TEXT = ("the quick brown fox says hello world and the other worlds answer: hello there, it's 2024! what's 100 + 200? "
        "grüße aus köln, être où, don't we'll they've 漢字かな 안녕 the end. abc abcabc aaaa bbbb\n\n    indent\tTAB ").split(" ")


def added(id, content, special=True, **options):
    return {"id": id, "content": content, "special": special, "normalized": False, "single_word": False, "lstrip": False,
            "rstrip": False, **options}


def document(model, tokens=(), normalizer=None, pre=None, post=None, decoder=None):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(tokens), "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, "model": model}


def bpe(vocab, merges, **options):
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": vocab, "merges": merges, **options}


def byte_level(expressions, normalizer=None, extra=(), legacy=False, use_regex=False, prefix_space=False, **options):
    table = byte_alphabet()
    vocab = {c: i for i, c in enumerate(table.values())}
    words = ["".join(table[b] for b in (" " + w).encode()) for w in TEXT * 2] + [
        "".join(table[b] for b in w.encode()) for w in TEXT]
    merges = learn(words, vocab, 150)
    if options.get("ignore_merges"):
        for word in ["Ġanswers", "zqx", "!!!"]:  # in the vocabulary, not reachable by merging
            vocab[word] = len(vocab)
    n = len(vocab)
    tokens = [added(n, "<s>"), added(n + 1, "</s>"), added(n + 2, "<|im_start|>"), added(n + 3, "<think>", False)]
    new = 4
    for (content, special), settings in extra:
        tokens.append(added(vocab.get(content, n + new), content, special, **settings))
        new += content not in vocab
    pre = [{"type": "Split", "pattern": {"Regex": e}, "behavior": "Isolated", "invert": False} for e in expressions]
    pre.append({"type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": True, "use_regex": use_regex})
    post = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                                                  {"Sequence": {"id": "A", "type_id": 0}},
                                                  {"SpecialToken": {"id": "</s>", "type_id": 0}}],
         "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
         "special_tokens": {"<s>": {"id": "<s>", "ids": [n], "tokens": ["<s>"]},
                            "</s>": {"id": "</s>", "ids": [n + 1], "tokens": ["</s>"]}}}]}
    return document(bpe(vocab, [" ".join(m) if legacy else list(m) for m in merges], **options), tokens, normalizer,
                    {"type": "Sequence", "pretokenizers": pre}, post,
                    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True})


def pieces(normalizer, pre, decoder, post=None, tokens=None, **options):
    """SentencePiece style: ▁ for blanks, <unk>, bytes where byte_fallback."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    if options.get("byte_fallback"):
        for b in range(256):
            vocab[f"<0x{b:02X}>"] = len(vocab)
    for c in "▁" + "".join(sorted(set("".join(TEXT)) - set("漢字かな안녕\n\t?"))):
        vocab.setdefault(c, len(vocab))
    words = [w for w in ("▁" + t for t in TEXT) if all(c in vocab for c in w)]
    merges = learn(words * 2, vocab, 120)
    options.setdefault("unk_token", "<unk>")
    tokens = tokens or [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")]
    for i, token in enumerate(tokens[3:]):
        token["id"] = len(vocab) + i
    return document(bpe(vocab, [list(m) for m in merges], **options), tokens, normalizer, pre, post, decoder)


def words(pre, tokens, extra=(), decoder=None, normalizer=None):
    vocab = {}
    for w in [*tokens, *map(str, range(30)), *"+-*=.,?();:▁abc", *extra, "hello", "world", "the", "Use", "to", "make", "answer"]:
        vocab.setdefault(w, len(vocab))
    return document({"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
                    [added(vocab[t], t) for t in tokens], normalizer, pre, None, decoder)


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


LLAMA2_NORM = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                                                   {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
LLAMA2_DECODE = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                                  {"type": "ByteFallback"}, {"type": "Fuse"},
                                                  {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
BOS = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
       "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
       "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
META = lambda scheme, split=True: {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}

FILES = {
    "gpt2_style": byte_level([], use_regex=True, legacy=True),
    "gpt2_prefix_space": byte_level([], use_regex=True, prefix_space=True),
    "llama3_style": byte_level([LLAMA3], ignore_merges=True),
    "qwen2_style": byte_level([QWEN2], normalizer={"type": "NFC"}),
    "deepseek_style": byte_level(DEEPSEEK, normalizer={"type": "Sequence", "normalizers": []}),
    "added_options": byte_level([LLAMA3], extra=[
        (("word", False), {"single_word": True}), (("<l>", True), {"lstrip": True}), (("<r>", True), {"rstrip": True}),
        (("<lr>", False), {"lstrip": True, "rstrip": True, "normalized": True}), (("ab", False), {}), (("abc", False), {"normalized": True}),
        (("abcab", False), {}), (("the", False), {"single_word": True, "normalized": True}), (("zebra", True), {"single_word": True, "normalized": True})]),
    "llama2_style": pieces(LLAMA2_NORM, None, LLAMA2_DECODE, BOS, byte_fallback=True, fuse_unk=True),
    "unk_fused": pieces(LLAMA2_NORM, None, LLAMA2_DECODE, BOS, fuse_unk=True),
    "unk_each": pieces(LLAMA2_NORM, None, LLAMA2_DECODE, BOS),
    "unk_dropped": pieces(None, META("always"), META("always"), unk_token=None),
    "metaspace_first": pieces(None, META("first"), META("first"), byte_fallback=True),
    "metaspace_never": pieces(None, META("never"), META("never"), fuse_unk=True),
    "metaspace_whole": pieces(None, META("always", False), META("always", False), fuse_unk=True),
    "normalizers": pieces({"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": "▁"}]}, None, LLAMA2_DECODE, fuse_unk=True),
    "normalized_added": pieces(LLAMA2_NORM, None, LLAMA2_DECODE, BOS, [
        added(0, "<unk>"), added(1, "<s>", normalized=True), added(2, "</s>"), added(None, "hello world", False, normalized=True),
        added(None, "abcd", False, normalized=True, single_word=True)], byte_fallback=True),
    "word_level": words({"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, split({"Regex": r"</?[a-z]+>|\d+|[A-Za-z]+|[^\w\s]"}, "Isolated")]},
        ["<pad>", "<unk>", "<s>", "</s>", "<think>"], decoder={"type": "Fuse"}),
    "word_level_joined": words({"type": "Whitespace"}, ["<unk>", "<s>"]),
    "punctuation": words({"type": "Sequence", "pretokenizers": [
        {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "Digits", "individual_digits": False},
        {"type": "WhitespaceSplit"}]}, ["<unk>", "<s>"], ["!?", "..."], {"type": "Fuse"}),
}
for name in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
    for kind, pattern in [("string", {"String": " "}), ("regex", {"Regex": "[ab]|\\d"})]:
        for invert in [False, True]:
            extra = ["hello ", " hello", "hello▁", "a ", " a", "ab", "1a", "a1", "11", " the", "the ", "  ", " "]
            FILES[f"split_{name}_{kind}{'_inverted' * invert}"] = words(split(pattern, name, invert), ["<unk>"], extra,
                                                                       {"type": "Fuse"})

out = pathlib.Path(sys.argv[1])
for name, spec in FILES.items():
    text = json.dumps(spec, ensure_ascii=False)
    reference = Tokenizer.from_str(text)
    small = name.startswith("split_")
    rng = random.Random(name)
    cases = ["", " ", "\n", "  hello  world  ", "<s>hello</s> the<think> end", "word swords word. <l> x  <l>  <r>  <lr> abcabcab the theabc zebra zebras",
             "hello world abc abcd abcde", "Use 16,6,12 to make 22.", "\tabc", "a" * 70, " " * 33 + "x"]
    cases += ["".join(rng.choice(POOL) for _ in range(rng.randint(1, 16))) for _ in range(16 if small else 50)]
    rows = []
    for case in cases:
        reference.encode_special_tokens = False
        ids = reference.encode(case, add_special_tokens=False).ids
        framed = reference.encode(case, add_special_tokens=True).ids
        reference.encode_special_tokens = True
        plain = reference.encode(case, add_special_tokens=False).ids
        if spec["model"]["type"] == "WordLevel":
            # Hone's one difference here: text never spells a special token, also where a piece equals one.
            special = {t["id"] for t in spec["added_tokens"] if t["special"]}
            plain = [spec["model"]["vocab"]["<unk>"] if i in special else i for i in plain]
        rows.append({"text": case, "ids": ids, "plain": plain, "framed": framed,
                     "decoded": reference.decode(framed, skip_special_tokens=False),
                     "skipped": reference.decode(framed, skip_special_tokens=True)})
    body = ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows)
    (out / f"{name}.json").write_text('{"tokenizer": %s,\n"cases": [\n%s\n]}\n' % (text, body), encoding="utf8")
