"""Conversion of published checkpoints: right logits from every layout, and a reason wherever it is refused."""

import collections
import json
import os
import sys

import pytest
import torch
from acl_backpacks import NUM_HEADS as ACL_HEADS
from acl_backpacks import WIDTH as ACL_WIDTH
from acl_backpacks import acl_logits, acl_tensors, lightning
from fresh_process import run_fresh
from naive_backpack import naive_backpack
from pickled_objects import AttributeDict, Bomb, Settings, explode
from public_backpacks import (
    FORMS,
    NUM_HEADS,
    NUM_SENSES,
    all_names,
    legacy_buffers,
    public_config,
    public_tensors,
    write_config,
    write_deduplicated,
    write_full,
    write_named,
    write_pickled,
    write_shards,
)
from safetensors.torch import load_file, save_file

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from modeling_sensia.conversion_backpack import convert_checkpoint, main

IDS = [3, 17, 3, 50, 8, 41]
LEVANTER = {"model_type": "backpack-gpt2", "auto_map": {"AutoConfig": "backpack_config.BackpackGPT2Config"}}
PROJECTION = "backpack.sense_network.final_mlp.c_proj."


def naive_logits(tensors, scaled=True):
    exact = {name: tensor.double() for name, tensor in tensors.items()}
    return naive_backpack(exact, IDS, NUM_SENSES, NUM_HEADS, scaled).logits


@pytest.fixture(scope="module")
def tensors():
    return public_tensors()


@pytest.fixture(scope="module")
def expected(tensors):
    return naive_logits(tensors)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def ours(tmp_path):
    return tmp_path / "ours"


@pytest.fixture
def stanford(source, tensors):
    """A folder in Stanford's layout."""
    return write_full(source, tensors)


@pytest.fixture
def acl(source):
    """A folder with a state dict of the ACL 2023 code."""
    torch.save(acl_tensors(), source / "weights.pt")
    return source


@pytest.fixture
def refused(tmp_path, ours):
    """The reason why a source is refused; nothing may be left behind."""

    def convert(source, **options):
        before = sorted(tmp_path.iterdir())
        with pytest.raises(ValueError) as error:
            convert_checkpoint(str(source), ours, **options)
        assert sorted(tmp_path.iterdir()) == before
        return str(error.value)

    return convert


@torch.no_grad()
def check_logits(folder, expected):
    """Reads a converted folder as anyone would, but in float64, so that only wrong weights can make a difference."""
    model = BackpackForCausalLM.from_pretrained(folder, dtype=torch.float64)
    torch.testing.assert_close(model(torch.tensor([IDS])).logits[0], expected, rtol=0, atol=1e-5)


class TestStanfordLayout:
    @pytest.mark.parametrize("form", FORMS)
    def test_every_form_of_file_gives_its_logits(self, source, ours, tensors, expected, form):
        convert_checkpoint(str(FORMS[form](source, tensors)), ours)
        check_logits(ours, expected)

    def test_shards_give_its_logits(self, source, ours, tensors, expected):
        whole = all_names(tensors)
        write_shards(source, *({name: whole[name] for name in list(whole)[start::3]} for start in range(3)))
        assert len(convert_checkpoint(str(source), ours)["files"]) == 3
        check_logits(ours, expected)

    def test_pickled_shards_give_its_logits(self, source, ours, tensors, expected):
        halves = {f"pytorch_model-{n}.bin": dict(list(tensors.items())[n::2]) for n in range(2)}
        for file, part in halves.items():
            torch.save(part, source / file)
        index = {"weight_map": {name: file for file, part in halves.items() for name in part}}
        (write_config(source) / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        convert_checkpoint(str(source), ours)
        check_logits(ours, expected)

    def test_a_base_model_without_a_head_gives_its_logits(self, source, ours, tensors, expected):
        write_named(source, {name.removeprefix("backpack."): tensor for name, tensor in tensors.items()})
        convert_checkpoint(str(source), ours)
        check_logits(ours, expected)

    def test_masks_of_older_files_are_left_out_and_reported(self, source, ours, tensors, expected):
        report = convert_checkpoint(str(write_pickled(source, tensors | legacy_buffers())), ours)
        check_logits(ours, expected)
        assert report["ignored"] == sorted(legacy_buffers())

    def test_a_file_is_read_with_the_configuration_beside_it(self, stanford, ours, expected):
        convert_checkpoint(str(stanford / "model.safetensors"), ours)
        check_logits(ours, expected)

    def test_sizes_are_inferred_where_no_configuration_is(self, stanford, ours, expected):
        config = BackpackConfig.from_pretrained(stanford)
        (stanford / "config.json").unlink()
        report = convert_checkpoint(str(stanford), ours, num_heads=NUM_HEADS)
        check_logits(ours, expected)
        inferred = BackpackConfig.from_pretrained(ours)
        for size in ("num_senses", "vocab_size", "hidden_size", "num_hidden_layers", "max_position_embeddings"):
            assert getattr(inferred, size) == getattr(config, size)
        assert report["configuration"] == "inferred from the tensors"

    def test_the_switch_for_unscaled_attention_gives_other_logits_and_is_kept(self, stanford, ours, tensors):
        report = convert_checkpoint(str(stanford), ours, scale_attn_by_inverse_layer_idx=False)
        check_logits(ours, naive_logits(tensors, scaled=False))
        assert report["scale_attn_by_inverse_layer_idx"] is False

    def test_what_is_written_has_our_names_and_its_code(self, stanford, ours):
        convert_checkpoint(str(stanford), ours)
        config = BackpackConfig.from_pretrained(ours)
        written = set(load_file(ours / "model.safetensors"))
        assert written == set(BackpackForCausalLM(config).state_dict()) - {"lm_head.weight"}
        assert set(config.auto_map) == {"AutoConfig", "AutoModel", "AutoModelForCausalLM"}
        assert (ours / "modeling_backpack.py").is_file()


class TestAclLayout:
    def test_a_state_dict_gives_its_logits(self, acl, ours):
        report = convert_checkpoint(str(acl / "weights.pt"), ours, num_heads=ACL_HEADS)
        check_logits(ours, acl_logits(acl_tensors(), IDS))
        assert (report["layout"], report["scale_attn_by_inverse_layer_idx"]) == ("ACL 2023 training", True)

    def test_a_trainers_checkpoint_gives_its_logits_and_every_name_is_reported(self, source, ours):
        checkpoint = lightning(acl_tensors())
        torch.save(checkpoint, source / "last.ckpt")
        report = convert_checkpoint(str(source), ours, num_heads=ACL_HEADS)
        check_logits(ours, acl_logits(acl_tensors(), IDS))
        assert report["ignored"] == [f"{part}_metrics.num-tokens.count" for part in ("test", "train", "val")]
        origins = {name for names in report["tensors"].values() for name in names}
        assert origins | set(report["ignored"]) == set(checkpoint["state_dict"])

    def test_safetensors_without_aliases_give_its_logits(self, source, ours):
        tied = ("lm_head.", "transformer.embeddings.", "transformer.content_model.embeddings.")
        kept = {name: tensor for name, tensor in acl_tensors().items() if not name.startswith(tied)}
        save_file(kept, source / "model.safetensors")
        convert_checkpoint(str(source), ours, num_heads=ACL_HEADS)
        check_logits(ours, acl_logits(acl_tensors(), IDS))

    def test_shrunk_sense_networks_are_padded_without_changing_the_logits(self, source, ours):
        tensors = acl_tensors(sense_inner=ACL_WIDTH)
        torch.save(tensors, source / "weights.pt")
        report = convert_checkpoint(str(source), ours, num_heads=ACL_HEADS)
        check_logits(ours, acl_logits(tensors, IDS))
        assert report["sense_mlp_padded_from"] == ACL_WIDTH
        assert BackpackConfig.from_pretrained(ours).sense_intermediate_scale == 1

    def test_the_number_of_heads_has_to_be_given(self, acl, refused):
        assert "--num-heads" in refused(acl)

    def test_heads_that_do_not_divide_the_width_are_refused(self, acl, refused):
        assert "3 heads do not divide the width 16" in refused(acl, num_heads=3)

    def test_norms_of_a_later_flash_attention_are_refused(self, source, refused):
        # There blocks begin with their norm, and the last one is called ln_f: the same names mean other places.
        later = {name.replace("gpt2_model.ln_0", "gpt2_model.ln_f"): tensor for name, tensor in acl_tensors().items()}
        torch.save(later, source / "weights.pt")
        reason = refused(source, num_heads=ACL_HEADS)
        assert "2 tensors without a place: " in reason
        assert "gpt2_model.ln_f.weight" in reason
        assert "missing, under our names: backpack.trunk.h.0.ln_1.weight; backpack.trunk.h.0.ln_1.bias" in reason

    def test_a_last_layer_of_a_broken_width_is_refused(self, source, refused):
        name = "transformer.content_model.final_mlp.fc2.weight"
        torch.save(acl_tensors() | {name: torch.zeros(50, 4 * ACL_WIDTH)}, source / "weights.pt")
        assert "50 wide: no multiples of the width 16" in refused(source, num_heads=ACL_HEADS)


class TestDivision:
    @pytest.fixture
    def levanter(self, source, tensors):
        write_named(source, tensors)
        return write_config(source, architectures=None, **LEVANTER)

    def test_is_folded_into_the_weights_and_reported(self, levanter, ours, expected):
        report = convert_checkpoint(str(levanter), ours, divide_by_num_senses=True)
        check_logits(ours, expected / NUM_SENSES)
        assert report["mixture_divided_by_num_senses"] is True

    def test_changes_the_last_sense_projection_alone(self, levanter, ours, tensors):
        convert_checkpoint(str(levanter), ours, divide_by_num_senses=True)
        converted = load_file(ours / "model.safetensors")
        for name, tensor in tensors.items():
            renamed = name.replace("gpt2_model", "trunk").replace("sense_weight_net", "weight_network")
            divisor = NUM_SENSES if name.startswith(PROJECTION) else 1
            assert torch.equal(converted[renamed], tensor / divisor), name

    @pytest.mark.parametrize(
        "fields",
        [
            {"model_type": "backpack-gpt2", "auto_map": None},
            {"auto_map": LEVANTER["auto_map"]},
            {"auto_map": {"AutoModelForCausalLM": "someone/backpack-1b--backpack_model.BackpackGPT2LMHeadModel"}},
        ],
        ids=["model type", "modules", "modules of another repository"],
    )
    def test_is_not_guessed_for_a_jax_export(self, stanford, refused, fields):
        reason = refused(write_config(stanford, **fields))
        assert "divides the mixture by K" in reason
        assert "--divide-by-num-senses" in reason

    def test_can_be_declined_for_a_jax_export(self, levanter, ours, expected):
        convert_checkpoint(str(levanter), ours, divide_by_num_senses=False)
        check_logits(ours, expected)


class TestPlainGpt2Configuration:
    """A configuration that has lost everything that says Backpack."""

    @pytest.fixture
    def plain(self, stanford):
        senses = ("num_senses", "sense_intermediate_scale", "auto_map")
        fields = {name: value for name, value in public_config().items() if name not in senses}
        (stanford / "config.json").write_text(json.dumps({**fields, "architectures": ["GPT2LMHeadModel"]}))
        return stanford

    def test_does_not_load_through_our_classes(self, plain):
        with pytest.raises(ValueError, match="holds a `gpt2` model, not a Backpack"):
            BackpackForCausalLM.from_pretrained(plain)

    def test_is_known_by_the_names_of_its_tensors(self, plain, ours, expected):
        convert_checkpoint(str(plain), ours)
        check_logits(ours, expected)


class TestNames:
    @pytest.mark.parametrize(
        "stranger", ["backpack.sense_network.x.bias", "score.weight", "backpack.gpt2_model.h.7.x"]
    )
    def test_those_without_a_place_are_listed(self, source, tensors, refused, stranger):
        write_named(source, tensors | {stranger: torch.zeros(2), "other.bias": torch.zeros(2)})
        reason = refused(source)
        assert "2 tensors without a place" in reason
        assert stranger in reason
        assert "other.bias" in reason

    def test_those_that_are_missing_are_listed(self, source, tensors, refused):
        names = ("gpt2_model.h.1.mlp.c_fc.bias", "sense_weight_net.c_attn.bias", "gpt2_model.wpe.weight")
        left = {name: tensor for name, tensor in tensors.items() if name.removeprefix("backpack.") not in names}
        reason = refused(write_named(source, left))
        for name in ("trunk.h.1.mlp.c_fc.bias", "weight_network.c_attn.bias", "trunk.wpe.weight"):
            assert f"backpack.{name}" in reason

    def test_sizes_that_cannot_be_inferred_are_named(self, source, tensors, refused):
        write_named(source, {name: tensor for name, tensor in tensors.items() if "wpe" not in name})
        (source / "config.json").unlink()
        assert "missing: backpack.trunk.wpe.weight" in refused(source, num_heads=NUM_HEADS)

    @pytest.mark.parametrize(
        ("name", "shape"),
        [("gpt2_model.ln_f.bias", [5]), ("sense_weight_net.c_attn.weight", [64]), ("gpt2_model.wpe.weight", [24, 8])],
    )
    def test_a_misfit_is_listed_with_both_shapes(self, source, tensors, refused, name, shape):
        write_named(source, tensors | {f"backpack.{name}": torch.zeros(shape)})
        wanted = list(tensors[f"backpack.{name}"].shape)
        assert f"backpack.{name} {shape} should be {wanted}" in refused(source)

    def test_a_configuration_of_another_size_is_a_misfit(self, stanford, refused):
        reason = refused(write_config(stanford, num_senses=8))
        assert f"{PROJECTION}weight [128, 128] should be [128, 256]" in reason

    @pytest.mark.parametrize("name", ["lm_head.weight", "backpack.position_embeddings.weight"])
    def test_aliases_that_differ_are_refused(self, source, tensors, refused, name):
        whole = all_names(tensors)
        reason = refused(write_named(source, whole | {name: whole[name] + 1e-3}))
        assert "must be one tensor, but differ" in reason
        assert f"`{name}`" in reason

    def test_those_of_a_plain_gpt2_are_refused(self, source, refused):
        save_file({"h.0.ln_1.weight": torch.ones(4), "wte.weight": torch.ones(8, 4)}, source / "model.safetensors")
        assert "no published Backpack" in refused(source)

    def test_our_own_are_refused(self, stanford, tmp_path, refused):
        convert_checkpoint(str(stanford), tmp_path / "once")
        assert "no published Backpack" in refused(tmp_path / "once")

    def test_heads_that_contradict_the_configuration_are_refused(self, stanford, refused):
        assert f"--num-heads is 2, but config.json says {NUM_HEADS}" in refused(stanford, num_heads=2)


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
    def test_is_kept(self, source, ours, tensors, dtype):
        write_deduplicated(source, {name: tensor.to(dtype) for name, tensor in tensors.items()})
        report = convert_checkpoint(str(source), ours)
        assert {tensor.dtype for tensor in load_file(ours / "model.safetensors").values()} == {dtype}
        assert f"torch.{report['dtype']}" == str(dtype)
        assert BackpackConfig.from_pretrained(ours).dtype == dtype

    def test_can_be_chosen(self, stanford, ours, tensors):
        convert_checkpoint(str(stanford), ours, dtype="bfloat16")
        name = f"{PROJECTION}bias"
        assert torch.equal(load_file(ours / "model.safetensors")[name], tensors[name].bfloat16())

    def test_has_to_be_chosen_where_it_is_mixed(self, source, tensors, refused):
        name = f"{PROJECTION}bias"
        reason = refused(write_deduplicated(source, tensors | {name: tensors[name].half()}))
        assert "torch.float16, torch.float32" in reason
        assert "--dtype" in reason

    def test_is_not_lost_before_the_division(self, source, ours, tensors):
        # These lie where half precision has few digits left, and a quarter of them has fewer.
        small = {name: (tensor * 1e-5).half() for name, tensor in tensors.items()}
        convert_checkpoint(str(write_deduplicated(source, small)), ours, divide_by_num_senses=True, dtype="float32")
        name = f"{PROJECTION}weight"
        assert torch.equal(load_file(ours / "model.safetensors")[name], small[name].float() / NUM_SENSES)


class TestPickledObjects:
    @pytest.fixture
    def checkpoint(self, source):
        def write(content):
            torch.save(lightning(acl_tensors(), hyper_parameters=content), source / "last.ckpt")
            return source

        return write

    def test_are_refused_by_name_with_the_way_out(self, checkpoint, refused):
        reason = refused(checkpoint(Settings(lr=1)), num_heads=ACL_HEADS)
        assert "last.ckpt also pickles objects: pickled_objects.Settings" in reason
        assert "--skip-pickled-objects" in reason

    @pytest.mark.parametrize(
        "content",
        [Settings(lr=1), AttributeDict(lr=1), collections.defaultdict(dict), Settings, {"nested": [Settings(lr=1)]}],
        ids=["object", "attributes", "default", "class", "nested"],
    )
    def test_can_be_skipped(self, checkpoint, ours, content):
        convert_checkpoint(str(checkpoint(content)), ours, num_heads=ACL_HEADS, skip_pickled_objects=True)
        check_logits(ours, acl_logits(acl_tensors(), IDS))

    def test_are_not_run_when_skipped(self, checkpoint, ours, tmp_path):
        source = checkpoint(Bomb(explode, tmp_path / "exploded"))
        convert_checkpoint(str(source), ours, num_heads=ACL_HEADS, skip_pickled_objects=True)
        assert not (tmp_path / "exploded").exists()

    def test_that_call_the_system_are_refused_even_so(self, checkpoint, refused, tmp_path):
        source = checkpoint(Bomb(os.mkdir, tmp_path / "exploded"))
        assert "blocked" in refused(source, num_heads=ACL_HEADS, skip_pickled_objects=True)

    def test_in_place_of_a_tensor_are_refused(self, source, refused, tmp_path):
        torch.save(acl_tensors() | {"lm_head.weight": Bomb(explode, tmp_path / "exploded")}, source / "weights.pt")
        reason = refused(source, num_heads=ACL_HEADS, skip_pickled_objects=True)
        assert "no tensors: lm_head.weight" in reason

    def test_are_skipped_for_one_file_alone(self, checkpoint, ours):
        source = checkpoint(Settings(lr=1))
        convert_checkpoint(str(source), ours, num_heads=ACL_HEADS, skip_pickled_objects=True)
        with pytest.raises(Exception, match="Weights only load failed"):
            torch.load(source / "last.ckpt", weights_only=True)


class TestFiles:
    def test_a_full_destination_is_left_as_it_is(self, stanford, ours, refused):
        ours.mkdir()
        (ours / "notes.txt").write_text("mine")
        assert "ours exists and is not an empty folder" in refused(stanford)
        assert [file.name for file in ours.iterdir()] == ["notes.txt"]

    def test_an_empty_destination_is_filled(self, stanford, ours, tmp_path, expected):
        ours.mkdir()
        convert_checkpoint(str(stanford), ours)
        check_logits(ours, expected)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["ours", "source"]

    def test_the_report_lies_beside_the_model_without_paths(self, stanford, ours, tmp_path):
        report = convert_checkpoint(str(stanford), ours)
        text = (ours / "conversion.json").read_text()
        assert json.loads(text) == report
        assert str(tmp_path) not in text
        names = ["backpack.gpt2_model.wpe.weight", "backpack.position_embeddings.weight"]
        assert report["tensors"]["backpack.trunk.wpe.weight"] == names

    def test_the_tokenizer_comes_along(self, stanford, ours):
        (stanford / "tokenizer.json").write_text('{"version": "1.0"}')
        (stanford / "README.md").write_text("theirs")
        convert_checkpoint(str(stanford), ours)
        assert (ours / "tokenizer.json").read_text() == '{"version": "1.0"}'
        assert not (ours / "README.md").exists()

    def test_the_tokenizer_can_come_from_elsewhere(self, stanford, ours, tmp_path):
        (tmp_path / "gpt2").mkdir()
        (tmp_path / "gpt2" / "merges.txt").write_text("#version: 0.2")
        convert_checkpoint(str(stanford), ours, tokenizer=str(tmp_path / "gpt2"))
        assert (ours / "merges.txt").read_text() == "#version: 0.2"

    def test_a_folder_without_a_tokenizer_is_refused_as_one(self, stanford, refused):
        assert "holds no tokenizer" in refused(stanford, tokenizer=str(stanford))

    def test_a_missing_shard_is_named(self, source, tensors, refused):
        write_shards(source, {"lm_head.weight": torch.zeros(2)}, tensors)
        (source / "model-00002-of-00002.safetensors").unlink()
        assert "model-00002-of-00002.safetensors is missing" in refused(source)

    def test_an_index_cannot_lead_out_of_its_folder(self, source, tmp_path, tensors, refused):
        save_file(tensors, tmp_path / "outside.safetensors")
        index = {"weight_map": dict.fromkeys(tensors, "../outside.safetensors")}
        (write_config(source) / "model.safetensors.index.json").write_text(json.dumps(index))
        assert "outside.safetensors is missing" in refused(source)

    @pytest.mark.parametrize("names", [(), ("a.ckpt", "b.ckpt")], ids=["none", "two"])
    def test_a_folder_has_to_hold_one_checkpoint(self, source, refused, names):
        for name in names:
            torch.save(acl_tensors(), source / name)
        assert f"it has {', '.join(names) or 'none'}" in refused(source)

    @pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
    @pytest.mark.parametrize("kept", [9, 20_000])
    def test_a_damaged_file_is_named(self, stanford, tensors, refused, name, kept):
        write_pickled(stanford, tensors)
        (stanford / name).write_bytes((stanford / name).read_bytes()[:kept])
        assert f"{name} is damaged" in refused(stanford / name)


class TestCommand:
    @pytest.fixture
    def run(self, monkeypatch):
        def command(*arguments):
            monkeypatch.setattr(sys, "argv", ["conversion_backpack", *map(str, arguments)])
            main()

        return command

    def test_converts_and_prints_where_each_tensor_came_from(self, acl, ours, run, capsys):
        run(acl, ours, "--num-heads", ACL_HEADS, "--no-scale-attn-by-inverse-layer-idx")
        check_logits(ours, acl_logits(acl_tensors(), IDS, scaled=False))
        printed = capsys.readouterr().out
        assert "backpack.trunk.ln_f.weight <- transformer.gpt2_model.layers.2.norm2.weight" in printed
        assert '"layout": "ACL 2023 training"' in printed

    @pytest.mark.parametrize(("answer", "divisor"), [("--divide", NUM_SENSES), ("--no-divide", 1)])
    def test_takes_both_answers_about_the_division(self, stanford, ours, run, expected, answer, divisor):
        run(write_config(stanford, **LEVANTER), ours, f"{answer}-by-num-senses")
        check_logits(ours, expected / divisor)

    def test_ends_with_the_reason_where_it_refuses(self, acl, ours, run):
        with pytest.raises(SystemExit, match=r"Nothing was written. .*--num-heads"):
            run(acl, ours)

    def test_help_names_both_layouts(self, run, capsys):
        with pytest.raises(SystemExit):
            run("--help")
        text = capsys.readouterr().out
        assert "sense_weight_net" in text
        assert "contextualization_attn" in text


def test_a_hub_id_is_read_from_the_cache_and_an_unknown_one_is_explained(tmp_path, ours, tensors, expected):
    repository = tmp_path / "hub" / "hub" / "models--someone--backpack"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    write_full(snapshot, tensors)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    code = (
        "import runpy, sys\n"
        "destination = sys.argv[1]\n"
        "for source, target in (('someone/backpack', destination), ('someone/unknown', 'no')):\n"
        "    sys.argv = ['conversion_backpack', source, target]\n"
        "    try:\n"
        "        runpy.run_module('modeling_sensia.conversion_backpack', run_name='__main__')\n"
        "    except SystemExit as reason:\n"
        "        print(reason)\n"
    )
    printed = run_fresh(code, ours, folder=tmp_path)
    check_logits(ours, expected)
    assert "someone/unknown is no file or folder here, and the Hub did not give it" in printed
    assert not (tmp_path / "no").exists()
