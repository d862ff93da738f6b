#!/usr/bin/env python3
"""A synchronous run whose services are killed with -9, each in turn at random moments, ends with the same weights,
bit for bit, as one that was left alone; no prompt is lost and none is trained on twice."""
import argparse, hashlib, json, pathlib, random, shutil, signal, socket, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser()
parser.add_argument("--bin", required=True, type=pathlib.Path)
parser.add_argument("--example", required=True, type=pathlib.Path)
parser.add_argument("--kills", type=int, default=20)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()

STEPS, PROMPTS = 30, 4
work = pathlib.Path(tempfile.mkdtemp(prefix="hone_chaos_"))
print(f"work folder {work}", flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    """The four services as processes; each can be killed and started again."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        ports = {n: f"127.0.0.1:{free_port()}" for n in ("coordinator", "rollout", "reward", "learner")}
        admin = {n: ["--listen", p, "--admin", f"127.0.0.1:{free_port()}"] for n, p in ports.items()}
        to = ["--coordinator", ports["coordinator"]]
        self.address = ports["coordinator"]
        self.commands = {
            "coordinator": [*admin["coordinator"], "--data", str(folder / "data"), "--lease-seconds", "5"],
            "reward": [*admin["reward"], "--threads", "1"],
            "rollout": [*admin["rollout"], *to, "--reward", ports["reward"], "--threads", "1"],
            "learner": [*admin["learner"], *to, "--threads", "1"],
        }
        self.processes = {}
        for name in self.commands:
            self.start(name)

    def start(self, name):
        log = open(self.folder / f"{name}.log", "ab")
        self.processes[name] = subprocess.Popen([args.bin / f"hone-{name}", *self.commands[name]], stdout=log, stderr=log)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()
        self.start(name)

    def stop(self):
        for p in self.processes.values():
            p.send_signal(signal.SIGKILL)
            p.wait()

    def hone(self, *words, check=True):
        # Commands may meet a coordinator that is just coming back.
        for attempt in range(60):
            r = subprocess.run([args.bin / "hone", "--coordinator", self.address, *map(str, words)],
                               capture_output=True, text=True)
            if r.returncode != 4:
                break
            time.sleep(0.25)
        if check and r.returncode != 0:
            sys.exit(f"hone {' '.join(map(str, words))}: exit {r.returncode}\n{r.stdout}{r.stderr}")
        return r.stdout

    def begin(self, run):
        for name in ("sft", "rl", "validation", "test"):
            self.hone("prompts", "upload", data / f"{name}.jsonl", "--set", f"countdown-{name}")
        settings = {
            "model.path": data / "model", "checkpoint.path": self.folder / "checkpoints", "checkpoint.every_steps": 7,
            "stages.0.sft.steps": 120, "stages.0.sft.gate.min_pass_at_1": 0, "stages.1.grpo.steps": STEPS,
            "stages.1.grpo.prompts_per_step": PROMPTS, "stages.1.grpo.group_size": 8,
            "stages.1.grpo.sampling.max_new_tokens": 60, "stages.1.grpo.drop_zero_variance": "false",
            "evaluations.0.samples": 2, "evaluations.0.every_steps": 0, "evaluations.0.max_prompts": 16,
            "evaluations.1.samples": 2, "evaluations.1.max_prompts": 16,
        }
        self.hone("run", "create", "-f", args.example, "--id", run,
                  *[w for k, v in settings.items() for w in ("--set", f"{k}={v}")])

    def state(self, run):
        row = json.loads(self.hone("run", "get", run, "-o", "json"))
        return row.get("run", row)

    def result(self, run):
        row = self.state(run)
        if row["state"] != "RUN_STATE_SUCCEEDED":
            sys.exit(f"run {run} ended as {row['state']}: {row.get('message', '')}; logs in {self.folder}")
        weights = pathlib.Path(row["checkpointPath"]) / "hf/model.safetensors"
        return hashlib.sha256(weights.read_bytes()).hexdigest()

    def check_prompts(self, run):
        lines = self.hone("run", "issues", run, "--stage", "grpo", "--limit", "100000", "-o", "jsonl").splitlines()
        issues = [json.loads(line) for line in lines]
        numbers = sorted(int(i.get("issue", 0)) for i in issues)
        if numbers != list(range(STEPS * PROMPTS)):
            sys.exit(f"issues are {numbers}: some are lost or made up")
        for i in issues:
            trained = sum(t["state"] == "ISSUE_STATE_TRAINED" for t in i["history"])
            if i["state"] != "ISSUE_STATE_COVERED" or trained != 1:
                sys.exit(f"issue {i.get('issue', 0)} is {i['state']} and was trained on {trained} times")
        return len(issues)


def ended(row):
    return row["state"] in ("RUN_STATE_SUCCEEDED", "RUN_STATE_FAILED", "RUN_STATE_CANCELLED")


def wait(cluster, run, between):
    deadline = time.time() + 240
    while not ended(cluster.state(run)):
        if time.time() > deadline:
            sys.exit(f"run {run} did not end; logs in {cluster.folder}")
        between()


data = work / "data"
subprocess.run([args.bin / "hone", "demo-data", data, "--seed", "1"], check=True, stdout=subprocess.DEVNULL)
cluster = Cluster(work / "calm")
cluster.begin("run")
wait(cluster, "run", lambda: time.sleep(0.3))
want = cluster.result("run")
count = cluster.check_prompts("run")
cluster.stop()
print(f"left alone: {want[:16]}, {count} prompts trained once each", flush=True)

rng = random.Random(args.seed)
order = ["learner", "rollout", "coordinator", "reward"]
kills, round_ = 0, 0
while kills < args.kills:
    round_ += 1
    cluster = Cluster(work / f"killed-{round_}")
    cluster.begin("run")
    before = kills

    def kill_one():
        global kills
        time.sleep(rng.uniform(0.2, 1.0))
        if kills - before < args.kills:
            cluster.kill(order[kills % len(order)])
            kills += 1

    wait(cluster, "run", kill_one)
    got = cluster.result("run")
    cluster.check_prompts("run")
    cluster.stop()
    print(f"round {round_}: {kills - before} kills, weights {got[:16]}", flush=True)
    if got != want:
        sys.exit(f"weights differ from those of the run that was left alone; logs in {work}")
shutil.rmtree(work)
print(f"{kills} kills: same weights, {count} prompts trained once each, none lost")
