"""What `accelerate launch` makes of our configurations, up to the environment that it gives the processes."""

import pytest
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env
from example_scripts import EXAMPLES
from small_backpacks import small_backpack, small_tokenizer

from sensia.trainers import SensiaConfig

FOLDER = EXAMPLES.parent / "sensia" / "accelerate"


def launch_arguments(name, *options):
    given = ["--config_file", str(FOLDER / name), *options, "train.py"]
    args, *_ = _validate_launch_command(launch_command_parser().parse_args(given))
    return args


@pytest.fixture
def sharding(monkeypatch):
    """The settings of FSDP that the processes read from their environment."""
    for name, value in prepare_multi_gpu_env(launch_arguments("fsdp2.yaml")).items():
        monkeypatch.setenv(name, value)
    return FullyShardedDataParallelPlugin()


def test_fsdp_is_of_the_second_version_and_saves_whole_models(sharding):
    assert sharding.fsdp_version == 2 and sharding.reshard_after_forward is True
    assert sharding.state_dict_type.name == "FULL_STATE_DICT"


def test_fsdp_wraps_what_the_model_says_must_not_be_split(sharding):
    model = small_backpack(small_tokenizer(), num_senses=2, seed=0)
    assert set(sharding.transformer_cls_names_to_wrap) == set(model._no_split_modules)
    sharding.set_auto_wrap_policy(model)  # refuses a class that the model does not have


def test_deepspeed_shares_gradients_and_leaves_our_settings_to_the_trainer():
    args = launch_arguments("zero2.yaml")
    assert args.use_deepspeed and int(args.zero_stage) == 2
    assert args.gradient_accumulation_steps == args.gradient_clipping == "auto"


def test_deepspeed_is_refused_where_polish_would_freeze_in_vain(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(ValueError, match=r"DeepSpeed keeps the gradients .* got 'sense_network'"):
        SensiaConfig(output_dir=str(tmp_path))


def test_machines_meet_at_the_address_and_by_the_means_given_on_the_command_line():
    where = ("--machine_rank", "1", "--main_process_ip", "10.1.2.3", "--rdzv_backend", "c10d")
    args = launch_arguments("multi_node.yaml", *where)
    prepare_multi_gpu_env(args)  # turns them into torchrun's
    assert (args.nnodes, args.nproc_per_node, args.rdzv_backend) == ("2", "8", "c10d")
    assert args.rdzv_endpoint == "10.1.2.3:29500"
