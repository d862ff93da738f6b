#!/usr/bin/env python3
"""Compares Hone's adapters with the PEFT library, where that is installed.

  compare_peft.py HONE_PROGRAM WRITE_ADAPTER GOLDEN_DIR

For each toy checkpoint of GOLDEN_DIR, in float32:
  from PEFT  a random adapter that PEFT wrote, merged by `hone model convert --adapter`: transformers computes from the
             result what PEFT computes from base and adapter
  to PEFT    an adapter that Hone wrote, by the same comparison; with routed experts, the weights after PEFT's own merge
Exits with 77, and says why, where the packages are missing.
"""
import os
import subprocess
import sys
import tempfile
import warnings

from compare_transformers import LOGPROB_LIMIT, Report, hone, load, logits_of, logprobs_of, one_per_expert, tensors_of

try:
    import peft
    import torch
    import transformers
    from safetensors.torch import load_file
except ImportError as missing:
    print(f"SKIPPED: {missing}")
    sys.exit(77)

warnings.simplefilter("ignore")
NAMES = ["dsv2_lite", "dsv3", "llama2_mha", "llama31_gqa_tied", "moonlight", "qwen2_bias", "qwen3_moe", "qwen3_qknorm"]


def attention_modules(model):
    return sorted({name.split(".")[-1] for name, module in model.named_modules()
                   if isinstance(module, torch.nn.Linear) and ".self_attn." in name})


def compare(program, write, folder, name, report):
    ids = load_file(os.path.join(folder, "golden.safetensors"))["input_ids"]
    base = load(folder)
    sparse = any(".experts" in module for module, _ in base.named_modules())
    attention = attention_modules(base)
    with tempfile.TemporaryDirectory() as work, torch.no_grad():
        plain = logprobs_of(logits_of(base, ids), ids)

        def check(what, adapter, model):
            to = os.path.join(work, what.replace(" ", "-"))
            good, said = hone(program, "convert", folder, to, "--precision", "f32", "--adapter", adapter)
            if not good:
                report.check(name, what, False, said)
                return
            merged = logprobs_of(logits_of(load(to), ids), ids)
            error = float((logprobs_of(logits_of(model, ids), ids) - merged).abs().max())
            effect = float((merged - plain).abs().max())
            report.check(name, what, error <= LOGPROB_LIMIT and effect > 0.05,
                         f"logprobs {error:.1e} of an effect of {effect:.1e}")

        # With routed experts PEFT knows only tensors in which they are stacked, and writes such; Hone refuses those.
        for targets in [attention] + ([] if sparse else ["all-linear"]):
            torch.manual_seed(1)
            model = peft.get_peft_model(load(folder), peft.LoraConfig(
                r=4, lora_alpha=8, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM"))
            what = "from PEFT, " + (targets if targets == "all-linear" else "attention")
            adapter = os.path.join(work, "peft", what)
            model.save_pretrained(adapter)
            check(what, adapter, model.eval())
        for targets in [attention, ["all-linear"]]:
            what = "to PEFT, " + (targets[0] if len(targets) == 1 else "attention")
            adapter = os.path.join(work, "hone", what.replace(" ", "-"))
            done = subprocess.run([write, folder, adapter, *targets], capture_output=True, text=True)
            if done.returncode:
                report.check(name, what, False, done.stderr.strip())
                continue
            adapter += "/adapter"
            model = peft.PeftModel.from_pretrained(load(folder), adapter)
            if not sparse or len(targets) > 1:
                check(what, adapter, model)
                continue
            # PEFT stacks the adapters of routed experts, and forgets those of dense layers and shared experts, whose
            # modules have the same names. What it keeps must merge to the same weights.
            to = os.path.join(work, "merged")
            good, said = hone(program, "convert", folder, to, "--precision", "f32", "--adapter", adapter)
            if not good:
                report.check(name, what, False, said)
                continue
            wanted, first, error, kept = tensors_of(to), tensors_of(folder), 0.0, 0
            for stacked, parameter in model.merge_and_unload().named_parameters():
                for one, tensor in one_per_expert(stacked, parameter):
                    if ".self_attn." not in one and ".mlp.experts." not in one:
                        continue
                    error = max(error, float((tensor - wanted[one]).abs().max()))
                    kept += not torch.equal(tensor, first[one].float())
            report.check(name, what, error <= 1e-6 and kept > 50,
                         f"{kept} merged weights of attention and experts within {error:.1e}")


def main():
    program, write, root = sys.argv[1:]
    print(f"peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    report = Report()
    for name in NAMES:
        compare(program, write, os.path.join(root, name), name, report)
    print(f"{report.failures} failures")
    return report.failures > 0


if __name__ == "__main__":
    sys.exit(main())
