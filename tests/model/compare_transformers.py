#!/usr/bin/env python3
"""Compares Hone's models and checkpoints with the transformers library, where that is installed.

  compare_transformers.py HONE_PROGRAM GOLDEN_DIR

For each toy checkpoint of GOLDEN_DIR:
  goldens    transformers' logprobs, loss and gradients (float32, eager) against golden.safetensors
  from Hone  what `hone model convert` wrote, in f32, bf16 and shards: transformers computes the golden's logprobs from
             f32; in bf16 it computes what it computes in float32 from the same rounded weights, when each token is
             sent to the same experts. How far rounding the weights and other experts move it is printed beside.
  to Hone    what transformers saves, experts apart and stacked: `hone model verify` accepts it, and converting it gives
             the bytes of the original back
Exits with 77, and says why, where the packages are missing.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

LOGPROB_LIMIT, GRADIENT_LIMIT, BF16_LIMIT = 2e-5, 1e-4, 5e-2

try:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import torch
    import transformers
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM
except ImportError as missing:
    print(f"SKIPPED: {missing}")
    sys.exit(77)


def load(folder, dtype=torch.float32):
    extra = {"attn_implementation": "eager", "dtype": dtype}
    try:
        return AutoModelForCausalLM.from_pretrained(folder, experts_implementation="eager", **extra)
    except TypeError:  # an architecture without experts, or an older release
        return AutoModelForCausalLM.from_pretrained(folder, **extra)


def one_per_expert(name, tensor):
    """Releases since 5 stack the experts of a layer; checkpoints name them one by one."""
    if name.endswith(".mlp.experts.gate_up_proj"):
        stem, half = name[: -len("gate_up_proj")], tensor.shape[1] // 2
        for e in range(tensor.shape[0]):
            yield f"{stem}{e}.gate_proj.weight", tensor[e, :half]
            yield f"{stem}{e}.up_proj.weight", tensor[e, half:]
    elif name.endswith(".mlp.experts.down_proj"):
        for e in range(tensor.shape[0]):
            yield f"{name[:-len('down_proj')]}{e}.down_proj.weight", tensor[e]
    else:
        yield name, tensor


def tensors_of(folder):
    found = {}
    for file in sorted(os.listdir(folder)):
        if file.endswith(".safetensors") and not file.startswith(("golden", "dequantised")):
            for name, tensor in load_file(os.path.join(folder, file)).items():
                found.update(one_per_expert(name, tensor))
    return found


def logits_of(model, ids):
    return torch.stack([model(input_ids=row[None], use_cache=False).logits[0] for row in ids])


def logprobs_of(logits, ids):
    return torch.log_softmax(logits[:, :-1].float(), -1).gather(2, ids[:, 1:, None])[..., 0]


def check_golden(folder, golden):
    """Largest logprob error and relative error of all gradients together."""
    model = load(folder)
    ids, lengths = golden["input_ids"], golden["lengths"].tolist()
    logprobs = logprobs_of(logits_of(model, ids), ids)
    counted = torch.cat([row[: n - 1] for row, n in zip(logprobs, lengths)])
    (-counted.mean()).backward()
    wanted = torch.cat([row[: n - 1] for row, n in zip(golden["logprobs"], lengths)])
    got = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            got.update(one_per_expert(name, parameter.grad))
    difference = norm = 0.0
    for name, want in golden.items():
        if name.startswith("grad."):
            difference += float((got[name[5:]].double() - want.double()).pow(2).sum())
            norm += float(want.double().pow(2).sum())
    return float((counted - wanted).detach().abs().max()), math.sqrt(difference / norm)


class Choices:
    """Lets a model choose its experts again as it chose them before, whatever the scores now say."""

    def __enter__(self):
        self.original, self.chosen, self.next, self.flips = torch.topk, [], None, 0
        torch.topk = self.topk
        return self

    def __exit__(self, *_):
        torch.topk = self.original

    def replay(self):
        self.next = 0

    def topk(self, scores, k, *arguments, **more):
        found = self.original(scores, k, *arguments, **more)
        if self.next is None:
            self.chosen.append(found.indices)
            return found
        before = self.chosen[self.next]
        self.next += 1
        self.flips += int((before.sort(-1)[0] != found.indices.sort(-1)[0]).any(-1).sum())
        return torch.return_types.topk((scores.gather(-1, before), before))


def compare_bf16(name, folder, ids, golden, report):
    with Choices() as choices:
        exact = logprobs_of(logits_of(load(folder), ids), ids)
        choices.replay()
        model = load(folder, torch.bfloat16)
        rounded = logprobs_of(logits_of(model, ids), ids)
    error = float((rounded - exact).abs().max())
    free = float((logprobs_of(logits_of(model, ids), ids) - golden).abs().max())
    report.check(name, "from Hone, bf16", error <= BF16_LIMIT and (choices.flips > 0 or free <= BF16_LIMIT),
                 f"logprobs {error:.1e} with the same experts, {choices.flips} choices would differ; against the golden: "
                 f"{free:.1e}, rounded weights alone {float((exact - golden).abs().max()):.1e}")


class Report:
    def __init__(self):
        self.failures = 0

    def check(self, name, what, good, detail):
        self.failures += not good
        print(f"{'ok    ' if good else 'FAILED'} {name:18} {what:28} {detail}", flush=True)


def hone(program, *arguments):
    done = subprocess.run([program, "model", *arguments], capture_output=True, text=True)
    return done.returncode == 0, (done.stderr or done.stdout).strip()


def same_bytes(a, b):
    return set(a) == set(b) and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and torch.equal(a[k], b[k]) for k in a)


def compare(program, root, name, report):
    folder = os.path.join(root, name)
    golden = load_file(os.path.join(folder, "golden.safetensors"))
    ids = golden["input_ids"]
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    quantised = "quantization_config" in config
    rounded = quantised or config.get("torch_dtype") == "bfloat16"
    if not rounded:
        logprob, gradient = check_golden(folder, golden)
        report.check(name, "golden", logprob <= LOGPROB_LIMIT and gradient <= GRADIENT_LIMIT,
                     f"logprobs {logprob:.1e}, gradients {gradient:.1e}")
    with tempfile.TemporaryDirectory() as work, torch.no_grad():
        for form, arguments in {"f32": ["--precision", "f32"], "bf16": ["--precision", "bf16"],
                                "f32 in shards": ["--precision", "f32", "--max-shard-gb", "2e-5"]}.items():
            to = os.path.join(work, form.replace(" ", "-"))
            good, said = hone(program, "convert", folder, to, *arguments)
            if not good:
                report.check(name, f"from Hone, {form}", False, said)
                continue
            if form == "bf16":
                compare_bf16(name, to, ids, golden["logprobs"], report)
                continue
            model = load(to)
            error = float((logprobs_of(logits_of(model, ids), ids) - golden["logprobs"]).abs().max())
            report.check(name, f"from Hone, {form}", error <= LOGPROB_LIMIT, f"logprobs {error:.1e}")
            if form != "f32":
                continue
            for layout in ("apart", "stacked"):
                saved = os.path.join(work, "saved-" + layout)
                model.save_pretrained(saved, save_original_format=layout == "apart")
                good, said = hone(program, "verify", saved)
                back = os.path.join(work, "back-" + layout)
                if good:
                    good, said = hone(program, "convert", saved, back, "--precision", "f32")
                good = good and same_bytes(tensors_of(back), tensors_of(to))
                report.check(name, f"to Hone, experts {layout}", good,
                             "the same bytes" if good else said or "other bytes")


def main():
    program, root = sys.argv[1:]
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    report = Report()
    for name in sorted(os.listdir(root)):
        if os.path.exists(os.path.join(root, name, "golden.safetensors")):
            compare(program, root, name, report)
    print(f"{report.failures} failures")
    return report.failures > 0


if __name__ == "__main__":
    sys.exit(main())
