"""The cluster files are what their parsers take, and name only options and files that there are."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from accelerate.commands.launch import launch_command_parser

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "examples/cluster"
SCRIPTS = sorted(CLUSTER.glob("*.sh"))
#: Stand-ins of SLURM's commands: they show what they were given; `srun` also runs it.
STANDINS = {
    "srun": 'exec "$@"',
    "scontrol": "printf 'node-a\\nnode-b\\n'",
    "accelerate": 'printf "%s\\n" accelerate "$@"',
}


def commands_of(path):
    return yaml.safe_load(path.read_text())["run"] if path.suffix == ".yaml" else path.read_text()


def put(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def run(script, folder, *arguments, **environment):
    for name, text in {**STANDINS, "sensia": STANDINS["accelerate"].replace("accelerate", "sensia")}.items():
        put(folder, name, text)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **environment}
    return subprocess.run(["bash", script, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_directives_stand_before_the_first_command(script):
    lines = script.read_text().splitlines()
    directives = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert directives and all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", lines[number]) for number in directives)
    assert max(directives) < min(number for number, line in enumerate(lines) if line and not line.startswith("#"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_without_settings_a_script_says_what_it_needs(script, tmp_path):
    done = run(script, tmp_path)
    assert done.returncode != 0 and f"sbatch {script.name} my.yaml" in done.stderr


def test_one_node_starts_a_process_for_each_gpu(tmp_path):
    done = run(CLUSTER / "slurm_one_node.sh", tmp_path, "my.yaml", SLURM_GPUS_ON_NODE="4")
    expected = ["sensia", "adapt", "--config", "my.yaml", "--accelerate_config", "ddp", "--num_processes", "4"]
    assert done.stdout.split() == expected


def test_each_of_many_nodes_launches_its_part(tmp_path):
    slurm = {"SLURM_JOB_NODELIST": "node-[a-b]", "SLURM_NNODES": "2", "SLURM_NODEID": "1", "SLURM_GPUS_ON_NODE": "8"}
    done = run(CLUSTER / "slurm_many_nodes.sh", tmp_path, "my settings.yaml", **slurm)
    assert done.returncode == 0, done.stderr
    program, subcommand, *options = done.stdout.splitlines()
    assert (program, subcommand) == ("accelerate", "launch")
    args = launch_command_parser().parse_args(options)
    assert (args.num_machines, args.num_processes, args.machine_rank) == (2, 16, 1)
    assert (args.main_process_ip, args.main_process_port) == ("node-a", 29500)
    assert args.training_script_args == ["--config", "my settings.yaml"]


@pytest.mark.parametrize("path", sorted(CLUSTER.iterdir()), ids=lambda path: path.name)
def test_files_that_are_named_are_there(path):
    for name in re.findall(r"(?:sensia|examples)/[\w/]+\.(?:yaml|py)", commands_of(path)):
        assert (ROOT / name).is_file(), name


def test_the_sky_task_launches_what_it_is_given(tmp_path):
    put(tmp_path, "accelerate", STANDINS["accelerate"])
    sky = {"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NUM_GPUS_PER_NODE": "8", "SKYPILOT_NODE_RANK": "1"}
    environment = {**os.environ, **sky, "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "CONFIG": "my.yaml"}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    command = ["bash", "-c", commands_of(CLUSTER / "skypilot.yaml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    args = launch_command_parser().parse_args(done.stdout.splitlines()[2:])
    assert (args.num_processes, args.machine_rank, args.main_process_ip) == (16, 1, "10.0.0.1")
