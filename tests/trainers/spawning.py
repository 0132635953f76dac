"""Starts scenario scripts: alone, or on several gloo ranks that meet on the loopback interface."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "tests/trainers/scenarios"
LOOPBACK = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
# Whatever the machine's own name resolves to.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": LOOPBACK}


def launch(*command) -> subprocess.Popen:
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(*processes: subprocess.Popen):
    """Waits for all; the output of one that fails is shown."""
    for process in processes:
        output, _ = process.communicate(timeout=400)
        assert process.returncode == 0, output[-6000:]


def run(script: str, *arguments):
    wait_for(launch(sys.executable, SCENARIOS / script, *arguments))


def torchrun(world: int, script: str, *arguments):
    """Several ranks of one machine."""
    where = ("--master_addr", "127.0.0.1", "--master_port", free_port(), "--nproc_per_node", world)
    wait_for(launch(sys.executable, "-m", "torch.distributed.run", *where, SCENARIOS / script, *arguments))


def torchrun_on_two_nodes(script: str, *arguments):
    """Two ranks, each started by a command of its own, as on two machines."""
    where = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-id", "sensia")
    # Both would find out their own address by a name that need not resolve.
    where = ("--nnodes", 2, "--nproc_per_node", 1, "--local-addr", "127.0.0.1", *where)
    command = (sys.executable, "-m", "torch.distributed.run", *where, SCENARIOS / script, *arguments)
    wait_for(launch(*command), launch(*command))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
