"""Kills adaptations at random moments and starts them again: are losses and weights those of a run left alone?

    python benchmarks/restarts.py
    python benchmarks/restarts.py --kills 2 --kinds plain streamed --seed 7
    python benchmarks/restarts.py --kills 3 --steps 20 --kinds rank node

Each run is `examples/adapt.py` on the embedded bitext with a tiny random Backpack (dropout 0.1). Of each kind, one run
is left alone. The others get a SIGKILL, every other one while a checkpoint is being written, the rest at a moment that
is uniform over the training; then the same command is given again. "Equal" means that every logged number of every
step, and every bit of the final weights, is that of the run left alone. A start takes 15 seconds and more, a kill two
of them.

`rank` and `node` are two gloo ranks, which one launcher starts, or one each. Of `rank`, a rank is killed, and its
launcher starts both again (`--max-restarts`). Of `node`, a launcher is killed with its rank, and the same command is
given again on that node, while the other one waits for it.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from transformers import AutoTokenizer, GPT2Config

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.trainers.checkpoints import WRITING_FOLDER, newest_checkpoint

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "examples/assets"
KINDS = {
    "plain": {},
    "accumulated": {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 8},
    "gradient-cached": {"contrastive_batch_size": 16, "per_device_train_batch_size": 8},
    "streamed": {"streaming": True, "shuffle_buffer": 64},
    "frozen-polish": {"align_share": 0.2, "joint_share": 0.1, "polish_freeze": "sense_vectors"},
    "rank": {"per_device_train_batch_size": 8},
    "node": {"per_device_train_batch_size": 8},
}
#: Launchers of the kinds that are launched, and ranks of each.
LAUNCHED = {"rank": (1, 2), "node": (2, 1)}
#: Seconds after which a launcher takes a silent one for gone, in place of minutes.
RENDEZVOUS = "keep_alive_interval=2,keep_alive_max_attempt=5,last_call_timeout=1"
COMMON = {
    "train_data": ASSETS / "bitext/en-id.dev-indomain.parquet",
    "target_language": "id",
    "max_steps": 60,
    "per_device_train_batch_size": 16,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "save_steps": 5,
    "save_total_limit": 1,
    "max_length": 64,
    "disable_tqdm": True,
    "use_cpu": True,
    "report_to": "none",
}
#: How long after its beginning a checkpoint's writing is interrupted, at most, in seconds.
LONGEST_WRITING = 0.1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="kills of each kind (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), help="which runs")
    parser.add_argument("--steps", type=int, default=COMMON["max_steps"], help="of a run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    return parser.parse_args()


def save_tiny_model(folder: Path):
    tokenizer = AutoTokenizer.from_pretrained(ASSETS / "backpack-en-mini")
    eos = tokenizer.eos_token_id
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
    torch.manual_seed(0)
    trunk = GPT2Config(vocab_size=len(tokenizer), bos_token_id=eos, eos_token_id=eos, **sizes)
    BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=4)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class Adaptation:
    """One run in a folder of its own; the same command each time that it is started."""

    def __init__(self, folder: Path, model: Path, settings: dict):
        self.output = folder / "output"
        self.log = folder / "log.txt"
        folder.mkdir()
        given = {**COMMON, **settings, "model": model, "output_dir": self.output}
        options = [word for name, value in given.items() for word in (f"--{name}", str(value))]
        self.command = [sys.executable, str(ROOT / "examples/adapt.py"), *options]

    def remove(self):
        """Forgets a run that was over before it could be killed."""
        shutil.rmtree(self.output)

    def start(self) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        with open(self.log, "w", encoding="utf-8") as log:
            return subprocess.Popen(self.command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def finish(self) -> float:
        """Runs to the end; seconds from the first logged step to the last."""
        process = self.start()
        self.wait(process, lambda: self.steps() >= 1)
        began = time.monotonic()
        self.wait(process, lambda: self.steps() >= COMMON["max_steps"])
        seconds = time.monotonic() - began
        if process.wait():
            raise RuntimeError(f"The run failed:\n{self.log.read_text(encoding='utf-8')[-4000:]}")
        return seconds

    def kill(self, delay: float, while_writing: int | None) -> bool:
        """
        Kills a run some seconds after its first step, or after it has begun to write its nth checkpoint.

        Returns:
            `bool`: whether it was still running.
        """
        process = self.start()
        folder = self.output / WRITING_FOLDER / f"checkpoint-{(while_writing or 0) * COMMON['save_steps']}"
        self.wait(process, lambda: folder.exists() if while_writing else self.steps() >= 1)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    def wait(self, process: subprocess.Popen, condition):
        while process.poll() is None and not condition():
            time.sleep(0.002)

    def steps(self) -> int:
        return len(re.findall(r"^step ", self.log.read_text(encoding="utf-8"), re.MULTILINE))

    def outcome(self) -> tuple[list[dict], dict[str, torch.Tensor]]:
        """Returns the log of each step without the clock, and the final weights."""
        checkpoint = self.output / f"checkpoint-{COMMON['max_steps']}"
        history = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
        steps = [{name: value for name, value in entry.items() if "seconds" not in name} for entry in history]
        return [entry for entry in steps if "loss" in entry], load_file(self.output / "final/model.safetensors")


class LaunchedAdaptation(Adaptation):
    """One run of two ranks, which launchers start, and start again when one of them has been killed."""

    def __init__(self, folder: Path, model: Path, settings: dict, nodes: int, ranks: int):
        super().__init__(folder, model, settings)
        self.nodes, self.ranks, self.options = nodes, ranks, self.command[1:]
        self.launchers: list[subprocess.Popen] = []

    def start(self) -> subprocess.Popen:
        self.log.write_text("")
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        self.launchers = [self.launch() for _ in range(self.nodes)]
        return self.launchers[0]

    def launch(self) -> subprocess.Popen:
        where = f"--nnodes {self.nodes} --nproc_per_node {self.ranks} --max-restarts 3 --local-addr 127.0.0.1"
        where += f" --rdzv-backend c10d --rdzv-id restarts --rdzv-endpoint {self.endpoint} --rdzv-conf {RENDEZVOUS}"
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        apart = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "GLOO_SOCKET_IFNAME": loopback, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "torch.distributed.run", *where.split(), *self.options]
        with open(self.log, "a", encoding="utf-8") as log:
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **apart}
            launcher = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        # The first one keeps the rendezvous, so it is not the one to be killed.
        while not self.launchers and launcher.poll() is None and not self.answers():
            time.sleep(0.2)
        return launcher

    def answers(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", int(self.endpoint.rpartition(":")[2]))) == 0

    def finish(self) -> float:
        launcher = self.launchers[0] if self.launchers else self.start()
        self.wait(launcher, lambda: self.steps() >= 1)
        began = time.monotonic()
        for each in self.launchers:
            if each.wait():
                raise RuntimeError(f"The run failed:\n{self.log.read_text(encoding='utf-8')[-4000:]}")
        return time.monotonic() - began

    def kill(self, delay: float, while_writing: int | None) -> bool:
        first = self.start()
        folder = self.output / WRITING_FOLDER / f"checkpoint-{(while_writing or 0) * COMMON['save_steps']}"
        self.wait(first, lambda: folder.exists() if while_writing else self.steps() >= 1)
        time.sleep(delay)
        launcher = psutil.Process(self.launchers[-1].pid)
        ranks = launcher.children()
        if not ranks or (self.output / "final").exists():
            return False
        ranks[-1].kill()
        if self.nodes > 1:
            launcher.kill()
            self.launchers[-1].wait()
            self.launchers[-1] = self.launch()
        return True

    def remove(self):
        for each in self.launchers:
            each.wait()
        self.launchers = []
        super().remove()


def adaptation(kind: str, folder: Path, model: Path) -> Adaptation:
    if kind in LAUNCHED:
        return LaunchedAdaptation(folder, model, KINDS[kind], *LAUNCHED[kind])
    return Adaptation(folder, model, KINDS[kind])


def equal(ours, expected) -> bool:
    (steps, weights), (expected_steps, expected_weights) = ours, expected
    return (
        len(steps) == COMMON["max_steps"]
        and steps == expected_steps
        and weights.keys() == expected_weights.keys()
        and all(torch.equal(weights[name], value) for name, value in expected_weights.items())
    )


def interrupt(run: Adaptation, moments: random.Random, seconds: float, while_writing: bool) -> bool:
    """Kills a run at a random moment; draws again if it was over before."""
    checkpoints = COMMON["max_steps"] // COMMON["save_steps"]
    while True:
        if while_writing:
            killed = run.kill(moments.uniform(0, LONGEST_WRITING), moments.randint(1, checkpoints))
        else:
            killed = run.kill(moments.uniform(0, seconds), None)
        if killed:
            return (run.output / WRITING_FOLDER).exists()
        run.remove()


def measure(kind: str, kills: int, seed: int, root: Path) -> dict[str, int]:
    model, moments = root / "model", random.Random(f"{seed} {kind}")
    alone = adaptation(kind, root / kind, model)
    seconds = alone.finish()
    expected = alone.outcome()
    found = {"kills": kills, "inside a checkpoint": 0, "resumed from a checkpoint": 0, "equal": 0}
    for number in range(kills):
        run = adaptation(kind, root / f"{kind}-{number}", model)
        found["inside a checkpoint"] += interrupt(run, moments, seconds, while_writing=number % 2 == 0)
        found["resumed from a checkpoint"] += newest_checkpoint(run.output) is not None
        run.finish()
        found["equal"] += equal(run.outcome(), expected)
        print(f"{kind}: {number + 1} of {kills} kills, {found['equal']} equal", file=sys.stderr, flush=True)
    return found


def main():
    args = parse_arguments()
    COMMON["max_steps"] = args.steps
    table = Table(title=f"Killed and started again, {COMMON['max_steps']} steps each", title_justify="left")
    table.add_column("run")
    found = {}
    with tempfile.TemporaryDirectory() as root:
        save_tiny_model(Path(root, "model"))
        for kind in args.kinds:
            found[kind] = measure(kind, args.kills, args.seed, Path(root))
    for heading in found[args.kinds[0]]:
        table.add_column(heading, justify="right")
    for kind, counts in found.items():
        table.add_row(kind, *map(str, counts.values()))
    Console().print(table)
    sys.exit(any(counts["equal"] < counts["kills"] for counts in found.values()))


if __name__ == "__main__":
    main()
