#!/usr/bin/env python3
"""Plays a Lean REPL for tests.

fake_repl.py replay IN OUT... answers the commands of transcript IN with those of OUT, byte for byte, then those of the next
fake_repl.py prove [RECORDS]  plays Lean: believes every proof but those that name a fault (below). RECORDS has folders input
                              and output of what a Kimina server was asked and said; a proof of one of its theorems gets
                              what was said then.

$FAKE_REPL_LOG is a file that gets one line for each start, header, proof and replay.

A proof that contains one of these words makes it misbehave in that way; `old_...` only when it is not the first proof
of the process. What a second process says of a pickled proof is chosen by `again_...`.
"""
import json
import os
import re
import resource
import sys
import time

QUOTES = {"say_sorry_quoted": "declaration uses 'sorry'", "say_sorry_ticked": "declaration uses `sorry`",
          "say_sorry_bare": "declaration uses sorry"}
ALLOWED = "[propext,\n Classical.choice,\n Quot.sound]"


def log(line):
    path = os.environ.get("FAKE_REPL_LOG")
    if path:
        with open(path, "a") as f:
            f.write(line + "\n")


def commands():
    """JSON objects on stdin, each followed by a blank line. Other line ends mean nothing, not even within strings."""
    lines = []
    for line in sys.stdin:
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield json.loads("".join(lines))
            lines = []
    if lines:
        yield json.loads("".join(lines))


def say(reply):
    sys.stdout.write((reply if isinstance(reply, str) else json.dumps(reply, indent=1, ensure_ascii=False)) + "\n\n")
    sys.stdout.flush()


def frames(path):
    with open(path, encoding="utf-8") as f:
        return [frame for frame in re.split(r"\n[ \t]*\n", f.read()) if frame.strip()]


def replay(*files):
    wanted, replies = [], []
    for commands_file, replies_file in zip(files[::2], files[1::2]):
        replies += frames(replies_file)
        asked = [json.loads("".join(line.rstrip() for line in f.split("\n"))) for f in frames(commands_file)]
        wanted += asked[:len(replies) - len(wanted)]
    for command, want, reply in zip(commands(), wanted, replies):
        say(reply.rstrip("\n") if command == want else {"message": "the transcript has another command"})


def message(severity, line, data):
    return {"severity": severity, "pos": {"line": line, "column": 0}, "endPos": {"line": line, "column": 1}, "data": data}


def line_of(text, word):
    return text[:text.index(word)].count("\n") + 1


def misbehave(text, proofs):
    """Faults that are of the process, not of the proof."""
    def fault(name):
        return f"fault_{name}" in text or (f"old_{name}" in text and proofs > 0)
    if fault("hang"):
        time.sleep(600)
    if fault("crash"):
        sys.stderr.write("Stack overflow detected. Aborting.\n")
        os.abort()
    if fault("memory"):
        try:
            hog = bytearray(1 << 40)
            hog[0] = 1
        except MemoryError:
            sys.stderr.write(f"INTERNAL PANIC: out of memory (limit {resource.getrlimit(resource.RLIMIT_AS)[0]})\n")
            sys.stderr.flush()
            os._exit(1)
    if fault("partial"):
        sys.stdout.write('{"env": 1, "messages": [{"sever')
        sys.stdout.flush()
        time.sleep(600)
    if fault("cut"):
        sys.stdout.write('{"env": 1, "messages": [{"sever')
        sys.stdout.flush()
        sys.exit(0)
    if fault("huge"):
        sys.stdout.write('{"env": 1, "messages": [{"data": "')
        for _ in range(17):
            sys.stdout.write("x" * (1 << 20))
        say('"}]}')
    if fault("garbage"):
        say("Segmentation fault? {not json}")
    if fault("nan"):
        say('{"env": NaN}')
    if fault("types"):
        say('{"env": "1", "messages": {}}')
    if fault("twice"):
        say({"env": 1})
        say({"env": 2})
    if fault("wrong_env"):
        say({"message": "Unknown environment."})
    if fault("no_env"):
        say({"messages": []})
    return any(fault(n) for n in ("huge", "garbage", "nan", "types", "twice", "wrong_env", "no_env"))


def verdict(text, answers):
    """What Lean says of a proof."""
    messages, sorries = [], []
    checks = re.findall(r"^#print axioms _root_\.(\S+)$", text, re.M)
    name = re.search(r"theorem (\w+)", text.split("honeBegin_")[-1].split("\n", 1)[-1]) if checks else None
    if name and name[1] in answers:
        result = answers[name[1]]
        if result["error"]:
            time.sleep(600)
        messages += result["response"].get("messages", [])
    if "say_error" in text:
        messages.append(message("error", line_of(text, "say_error"), "unsolved goals\n⊢ False"))
    if "bad_statement" in text:
        messages.append(message("error", line_of(text, "bad_statement"), "unknown identifier 'bad_statement'"))
    for word, data in QUOTES.items():
        if word in text:
            messages.append(message("warning", line_of(text, word), data))
    if "say_sorries" in text:
        sorries.append({"pos": {"line": 1, "column": 0}, "goal": "⊢ False", "proofState": 0})
    if checks:
        line = line_of(text, "#print axioms")
        axioms = "[propext, cheat]" if "say_axiom" in text else "[propext, sorryAx]" if "say_sorry_axiom" in text else ALLOWED
        report = f"'{checks[0]}' depends on axioms: {axioms}"
        if "say_none" in text:
            report = f"'{checks[0]}' does not depend on any axioms"
        if "say_forged" in text:  # what a proof can print that does not know the mark
            messages.append(message("info", line_of(text, "say_forged"), "'hone_check' does not depend on any axioms"))
            report = f"'{checks[0]}' depends on axioms: [sorryAx]"
        if "say_two_reports" in text:
            messages.append(message("info", line, "'hone_check' does not depend on any axioms"))
        if "say_silence" not in text:
            messages.append(message("info", line, report))
    return messages, sorries


def recorded(folder):
    """Theorem -> the first result of what was said of it."""
    answers = {}
    for name in os.listdir(os.path.join(folder, "input")):
        with open(os.path.join(folder, "input", name), encoding="utf-8") as f:
            theorem = re.search(r"^theorem (\w+)", f.read(), re.M)[1]
        with open(os.path.join(folder, "output", name.removesuffix(".lean") + ".json"), encoding="utf-8") as f:
            answers[theorem] = json.load(f)["results"][0]
    return answers


def prove(records=None):
    envs, proofs, answers = [], 0, recorded(records) if records else {}
    log("start")
    for command in commands():
        if "pickleTo" in command:
            with open(command["pickleTo"], "w") as f:
                f.write(envs[command["env"]])
            log("pickle")
            if "again_lost" in envs[command["env"]]:
                os.unlink(command["pickleTo"])
            say({"env": command["env"]})
            continue
        if "unpickleEnvFrom" in command:
            log("unpickle")
            with open(command["unpickleEnvFrom"]) as f:
                text = f.read()
            if "again_kernel" in text:
                sys.stderr.write("uncaught exception: (kernel) declaration type mismatch, 'X' has type\n")
                sys.exit(1)
            if "again_hang" in text:
                time.sleep(600)
            envs.append(text)
            say({"env": len(envs) - 1})
            continue
        text = command["cmd"]
        if "env" not in command:
            log("header")
            if "header_hang" in text:
                time.sleep(600)
            if "header_crash" in text:
                os.abort()
            if "NoSuchModule" in text:
                say({"message": "unknown module prefix 'NoSuchModule'"})
                continue
            if "header_error" in text:
                say({"env": 0, "messages": [message("error", 1, "unknown namespace 'header_error'")]})
                continue
        elif command["env"] >= len(envs):
            say({"message": "Unknown environment."})
            continue
        elif "honeAgain_" in text:
            before = envs[command["env"]]
            name = re.search(r"#print axioms _root_\.(\S+)", text)[1]
            axioms = "[cheat]" if "again_axiom" in before else ALLOWED
            messages = [message("info", 2, f"'{name}' depends on axioms: {axioms}")]
            if "again_error" in before:
                messages.append(message("error", 1, "unknown constant"))
            say({"env": len(envs), "messages": messages})
            continue
        else:
            log("proof")
            if misbehave(text, proofs):
                continue
            proofs += 1
        messages, sorries = verdict(text, answers)
        envs.append(text)
        reply = {"env": len(envs) - 1}
        if messages:
            reply["messages"] = messages
        if sorries:
            reply["sorries"] = sorries
        say(reply)


if __name__ == "__main__":
    {"replay": replay, "prove": prove}[sys.argv[1]](*sys.argv[2:])
