#!/usr/bin/env python3
"""Hone against transformers and PyTorch on one random checkpoint, one machine, in turns.

  compare_transformers.py MODEL_BENCH [--shape 100m|0.6b] [--device cpu|cuda] [--precision f32|bf16] [--threads N]
                          [--rounds N] [--compile]

generation  64 prompts of 128 tokens, 64 sampled tokens each, transformers' generate with a static cache; decoding alone
            (what 4 tokens more than the prompt take is subtracted)
training    one optimiser step on 8 sequences of 513 tokens, loss on all but 16 of each; AdamW of torch, in the precision
            of the model (Hone's has f32 moments, masters and gradients besides bf16 weights)
logprobs    of one sequence of 128 tokens, in the same precision
Exits with 77, and says why, where the packages are missing.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

try:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, Qwen3Config
except ImportError as missing:
    print(f"SKIPPED: {missing}")
    sys.exit(77)

SHAPES = {
    "100m": {"hidden_size": 768, "num_hidden_layers": 10, "num_attention_heads": 12, "num_key_value_heads": 4,
             "head_dim": 64, "intermediate_size": 2560, "vocab_size": 16384},
    "0.6b": {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
             "head_dim": 128, "intermediate_size": 3072, "vocab_size": 151936},
}
SEQUENCES, PROMPT, NEW, SKIPPED = 64, 128, 64, 4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model_bench")
    parser.add_argument("--shape", choices=SHAPES, default="100m")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile the training step")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    torch.manual_seed(1)
    dtype = torch.float32 if flags.precision == "f32" else torch.bfloat16
    sync = torch.cuda.synchronize if flags.device == "cuda" else (lambda: None)

    with tempfile.TemporaryDirectory() as folder:
        config = Qwen3Config(**SHAPES[flags.shape], max_position_embeddings=2048, tie_word_embeddings=False,
                             bos_token_id=0, eos_token_id=1)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        model.save_pretrained(folder)
        model.to(flags.device)
        parameters = sum(p.numel() for p in model.parameters())
        print(f"torch {torch.__version__}, transformers {transformers.__version__}, {flags.device}, {flags.threads} threads, "
              f"{flags.precision}, Qwen3 of {parameters / 1e6:.1f} M parameters; medians of {flags.rounds} rounds")

        def hone(part):
            out = subprocess.run([flags.model_bench, flags.precision, str(flags.threads), part, flags.device, folder],
                                 check=True, capture_output=True, text=True).stdout
            return out

        def rate(part, pattern):
            return float(re.search(pattern + r" ([0-9.]+) tokens/s", hone(part)).group(1))

        prompts = torch.randint(2, config.vocab_size, (SEQUENCES, PROMPT), device=flags.device)

        @torch.no_grad()
        def generate(tokens):
            sync()
            start = time.perf_counter()
            model.generate(prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=tokens, min_new_tokens=tokens,
                           do_sample=True, top_k=0, cache_implementation="static", pad_token_id=0)
            sync()
            return time.perf_counter() - start

        text = torch.randint(2, config.vocab_size, (8, 513), device=flags.device)
        labels = text.clone()
        labels[:, :16] = -100
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)

        def loss_of():
            return model(input_ids=text, labels=labels, use_cache=False).loss

        run = torch.compile(loss_of) if flags.compile else loss_of

        def step():
            sync()
            start = time.perf_counter()
            run().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            sync()
            return text.numel() / (time.perf_counter() - start)

        # Before any step: the weights are still those of the folder.
        ids = torch.tensor([[2 + (7 * i * i + 3 * i) % (config.vocab_size - 2) for i in range(128)]], device=flags.device)
        with torch.no_grad():
            theirs = torch.log_softmax(model(ids).logits[0, :-1].float(), -1).gather(1, ids[0, 1:, None])[:, 0].cpu()
        ours = torch.tensor([float(x) for x in hone("logprobs").split()])
        assert len(ours) == len(theirs)
        print(f"logprobs: worst difference {(ours - theirs).abs().max():.1e}, mean {(ours - theirs).abs().mean():.1e}")

        generate(SKIPPED)
        step()  # compiles
        rows = {"generation": ([], []), "training": ([], [])}
        for _ in range(flags.rounds):
            rows["generation"][0].append(rate("decode", "decoding, 64 sequences:"))
            rows["generation"][1].append(SEQUENCES * (NEW - SKIPPED) / (generate(NEW) - generate(SKIPPED)))
            rows["training"][0].append(rate("train", "training:"))
            rows["training"][1].append(step())
        for name, (mine, other) in rows.items():
            a, b = statistics.median(mine), statistics.median(other)
            print(f"{name}: Hone {a:.0f} tokens/s ({min(mine):.0f} to {max(mine):.0f}), transformers {b:.0f} "
                  f"({min(other):.0f} to {max(other):.0f}): {a / b:.2f} times")


main()
