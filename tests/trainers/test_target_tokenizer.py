"""A base model with a tokenizer for its target language."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import normalizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from modeling_sensia.loading import load_base
from sensia.commands.tokenizer import TokenizerArguments, change
from sensia.corpora.tokenizer_pruning import prune_tokenizer
from sensia.trainers import SensiaConfig
from sensia.trainers.base_model import load_start
from sensia.trainers.checkpoints import commit_checkpoint
from sensia.trainers.pretraining import train_tokenizer
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.target_tokenizer import TargetText, TokenizerSettings, retokenize, with_embeddings
from sensia.trainers.tokenizer_lines import hard_to_write
from sensia.trainers.training_data import load_train_pairs
from tests.trainers.scenarios.sensia_run import BITEXT, tiny_model


@pytest.fixture(scope="module")
def sides(bitext):
    return list(bitext["source"]), list(bitext["target"])


def changed(tokenizer, sides, **settings):
    settings = TokenizerSettings(**{"token_initialization": "mean", **settings})
    return retokenize(tiny_model(tokenizer), tokenizer, settings, [TargetText("Indonesian", *sides)])


@pytest.fixture(scope="module")
def extended(tokenizer, sides):
    return changed(tokenizer, sides, target_tokenizer="extend", new_tokens=50)


def test_extend_keeps_old_embeddings_bit_for_bit(tokenizer, extended):
    old = tiny_model(tokenizer).get_input_embeddings().weight
    assert torch.equal(extended.model.get_input_embeddings().weight[: len(old)], old)


def test_extend_leaves_the_logits_of_old_tokens_as_they_were(tokenizer, extended, sides):
    ids = torch.tensor([tokenizer(sides[0][0])["input_ids"][:60]])
    old = tiny_model(tokenizer).eval()
    with torch.no_grad():
        expected = old(input_ids=ids).logits
        given = extended.model.eval()(input_ids=ids).logits
    torch.testing.assert_close(given[..., : expected.shape[-1]], expected, rtol=1e-5, atol=1e-6)


def test_head_and_embeddings_stay_one_weight(extended):
    assert extended.model.lm_head.weight is extended.model.get_input_embeddings().weight


def test_saved_model_loads_by_the_auto_classes(extended, sides, tmp_path):
    extended.save(tmp_path / "base", {})
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    ids = torch.tensor([tokenizer(sides[1][0])["input_ids"][:60]])
    assert ids.max() >= min(extended.new_ids)
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, extended.model.eval()(input_ids=ids).logits)


def test_replace_carries_over_the_embeddings_of_shared_tokens(tokenizer, sides):
    replaced = changed(tokenizer, sides, target_tokenizer="replace")
    old = tiny_model(tokenizer).get_input_embeddings().weight
    new = replaced.model.get_input_embeddings().weight
    shared = tokenizer.get_vocab().keys() & replaced.tokenizer.get_vocab().keys()
    for token in shared:
        first, second = (each.convert_tokens_to_ids(token) for each in (tokenizer, replaced.tokenizer))
        assert torch.equal(old[first], new[second])
    assert len(replaced.new_ids) == len(replaced.tokenizer) - len(shared)
    assert replaced.model.config.eos_token_id == replaced.tokenizer.eos_token_id


def test_the_change_is_told_with_what_a_sentence_takes(extended):
    told = extended.change
    assert told["new_tokens"] == 50
    before, after = (
        {side: told[when][side]["tokens_per_sentence"] for side in ("source", "target")}
        for when in ("before", "after")
    )
    assert after["source"] == pytest.approx(before["source"], rel=0.01)  # rare words may be cut in another way
    assert after["target"] < before["target"]


@pytest.mark.parametrize("kind", ["extend", "replace"])
def test_several_end_tokens_stay_the_same_tokens(tokenizer, sides, kind):
    model = tiny_model(tokenizer)
    stop = tokenizer.convert_tokens_to_ids(".")
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, stop]
    settings = TokenizerSettings(target_tokenizer=kind, token_initialization="mean", new_tokens=30)
    new = retokenize(model, tokenizer, settings, [TargetText("Indonesian", *sides)])
    ends = new.model.generation_config.eos_token_id
    assert new.tokenizer.convert_ids_to_tokens(ends) == [tokenizer.eos_token, "."]


def test_an_end_token_that_is_pruned_ends_nothing(tokenizer):
    smaller, old_ids = prune_tokenizer(tokenizer, ["one bird"])
    gone = next(number for number in tokenizer.get_vocab().values() if number not in old_ids)
    model = tiny_model(tokenizer)
    model.generation_config.eos_token_id = [gone, tokenizer.eos_token_id]
    model.generation_config.pad_token_id = tokenizer.eos_token_id
    rows = model.get_input_embeddings().weight[old_ids].detach().clone()
    cut = with_embeddings(model, rows, smaller, dict(enumerate(old_ids)))
    assert cut.generation_config.eos_token_id == [smaller.eos_token_id]
    assert cut.generation_config.pad_token_id == smaller.pad_token_id


def padded_model(tokenizer):
    """A model with more embeddings than its tokenizer has tokens, as many that are published."""
    model = tiny_model(tokenizer)
    model.resize_token_embeddings(len(tokenizer) + 60)
    with torch.no_grad():
        model.get_input_embeddings().weight[len(tokenizer) :] = 100.0
    return model


def test_new_tokens_take_the_rows_that_no_token_has(tokenizer, sides):
    settings = TokenizerSettings(target_tokenizer="extend", new_tokens=50, token_initialization="mean")
    new = retokenize(padded_model(tokenizer), tokenizer, settings, [TargetText("Indonesian", *sides)])
    rows = new.model.get_input_embeddings().weight
    assert len(rows) == len(tokenizer) + 60
    norms = rows.norm(dim=1)
    torch.testing.assert_close(norms[new.new_ids].mean(), norms[: len(tokenizer)].mean())


def given_tokenizer(folder, sides, normalizer=None, eos=None):
    tokenizer = train_tokenizer([*sides[0], *sides[1]], 400)
    if normalizer:
        tokenizer.backend_tokenizer.normalizer = normalizer
    if eos:
        tokenizer.eos_token = eos
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_given_tokenizer_replaces_the_old_one(tokenizer, sides, tmp_path):
    name = given_tokenizer(tmp_path / "given", sides)
    replaced = changed(tokenizer, sides, target_tokenizer="replace", new_tokenizer=name)
    assert replaced.tokenizer.get_vocab() == AutoTokenizer.from_pretrained(name).get_vocab()


def test_a_given_tokenizer_that_changes_letters_is_refused(tokenizer, sides, tmp_path):
    name = given_tokenizer(tmp_path / "given", sides, normalizer=normalizers.Lowercase())
    with pytest.raises(ValueError, match=r"`new_tokenizer` .* changes text: .* comes back as"):
        changed(tokenizer, sides, target_tokenizer="replace", new_tokenizer=name)


def test_a_given_tokenizer_with_another_end_of_text_is_refused(tokenizer, sides, tmp_path):
    name = given_tokenizer(tmp_path / "given", sides, eos="</s>")
    with pytest.raises(ValueError, match=r"must have the base model's eos_token '<.endoftext.>', got '</s>'"):
        changed(tokenizer, sides, target_tokenizer="replace", new_tokenizer=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"new_tokens": 7}, "`new_tokens` has no effect with `target_tokenizer` none"),
        ({"token_initialization": "sense"}, "`token_initialization` has no effect"),
        ({"target_tokenizer": "extend", "new_tokenizer": "x"}, "`new_tokenizer` has no effect"),
        ({"target_tokenizer": "extend", "new_tokens": 0}, "`new_tokens` must be at least 1"),
        ({"target_tokenizer": "extend", "token_initialization": "guess"}, "must be one of mean, aligned"),
        ({"target_tokenizer": "longer"}, "`target_tokenizer` must be one of none, extend, replace, got 'longer'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AdaptArguments(model="org/base", train_data=[BITEXT], target_language=["id"], **settings)


@pytest.fixture
def run(tokenizer, tmp_path):
    folder = tmp_path / "tiny"
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = SensiaConfig(output_dir=str(tmp_path / "run"), report_to="none")

    def start(**settings):
        args = AdaptArguments(
            model=str(folder),
            train_data=[BITEXT],
            target_language=["id"],
            **{"target_tokenizer": "extend", "new_tokens": 30, "token_initialization": "mean", **settings},
        )
        return load_start(args, config)

    return start


def test_a_run_that_goes_on_begins_with_the_same_model(run, tmp_path):
    first = run()
    kept = Path(tmp_path, "run", "base", "model.safetensors").stat().st_mtime_ns
    again = run()
    assert Path(tmp_path, "run", "base", "model.safetensors").stat().st_mtime_ns == kept
    assert first.tokenizer.get_vocab() == again.tokenizer.get_vocab()
    assert first.new_ids == again.new_ids


def test_other_settings_make_another_model(run):
    assert len(run().new_ids) == 30
    assert len(run(new_tokens=20).new_ids) == 20


def test_a_checkpoint_with_other_tokens_is_not_gone_on_from(run, tmp_path):
    run()
    written = tmp_path / "run" / ".writing" / "step"
    shutil.copytree(tmp_path / "run" / "base", written)
    commit_checkpoint(written, tmp_path / "run" / "checkpoint-1")
    with pytest.raises(ValueError, match=r"checkpoint-1 has other new tokens: the training data changed"):
        run(new_tokens=20)
    assert len(run().new_ids) == 30


def test_a_model_that_cannot_be_written_leaves_nothing(extended, tmp_path):
    with pytest.raises(ValueError, match="Out of range float values"):
        extended.save(tmp_path / "base", {"made_from": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_record_that_was_cut_off_is_made_again(run, tmp_path):
    first = run()
    (tmp_path / "run" / "base" / "tokenizer_change.json").write_text('{"new_tok', encoding="utf-8")
    assert run().new_ids == first.new_ids


def test_a_language_in_many_tokens_is_told_before_training(tmp_path, tokenizer):
    amharic = "\u1230\u120b\u121d \u12c8\u12f3\u1304\u1362 \u12a5\u1295\u12f0\u121d\u1295 \u12a0\u1208\u1205\u1362"
    lines = "".join(f"Hello, friend {n}.\t{amharic} {n}\n" for n in range(30))
    path = tmp_path / "en-am.tsv"
    path.write_text(f"en\tam\n{lines}", encoding="utf-8")
    args = AdaptArguments(model="org/base", train_data=[str(path)], target_language=["am"])
    train = load_train_pairs(args, tokenizer, 256, 0)
    (line,) = hard_to_write(args, train.parts)
    assert "Amharic" in line
    assert "target_tokenizer: extend" in line


def test_a_language_that_is_written_well_is_not(bitext, tokenizer):
    args = AdaptArguments(model="org/base", train_data=[BITEXT], target_language=["id"])
    assert not list(hard_to_write(args, load_train_pairs(args, tokenizer, 256, 0).parts))


def test_a_vocabulary_that_does_not_fit_the_checkpoint_is_refused(run, tokenizer, tmp_path):
    run().tokenizer.save_pretrained(tmp_path / "longer")
    with pytest.raises(ValueError, match=r"has 430 tokens, the model .* has embeddings for only"):
        load_base(str(tmp_path / "tiny"), tokenizer_name=str(tmp_path / "longer"))


def test_an_added_token_of_spaces_begins_as_the_token_of_a_space(tokenizer, sides, tmp_path):
    given = train_tokenizer(sides[0], 330)
    given.add_tokens(["    "])
    given.save_pretrained(tmp_path)
    replaced = changed(tokenizer, sides, target_tokenizer="replace", new_tokenizer=str(tmp_path))
    spaces = replaced.tokenizer.convert_tokens_to_ids("    ")
    rows = replaced.model.get_input_embeddings().weight
    assert spaces in replaced.new_ids
    similar = torch.cosine_similarity(rows[spaces], rows[replaced.tokenizer.convert_tokens_to_ids("Ġ")], dim=0)
    assert similar.item() == pytest.approx(1.0, abs=1e-5)


def test_no_embedding_of_a_tokenizer_with_unused_ids_is_zero(tokenizer, sides, tmp_path):
    given = train_tokenizer(sides[0], 330)
    given.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = description["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.get)] += 20
    path.write_text(json.dumps(description), encoding="utf-8")
    replaced = changed(
        tokenizer, sides, target_tokenizer="replace", new_tokenizer=str(tmp_path), token_initialization="focus"
    )
    rows = replaced.model.get_input_embeddings().weight
    assert len(rows) == len(given) + 20
    assert (rows.norm(dim=1) > 0).all()


@pytest.mark.parametrize("method", ["mean", "sense", "focus"])
def test_replace_learns_from_a_single_word(tokenizer, method):
    pytest.importorskip("systran_align")
    replaced = changed(tokenizer, (["bird"], ["burung"]), target_tokenizer="replace", token_initialization=method)
    assert replaced.model.get_input_embeddings().weight.isfinite().all()


@pytest.mark.parametrize("content", ['{"model": ', '{"model": {"type": "no such kind"}}'])
def test_a_given_tokenizer_that_cannot_be_loaded_is_named(tokenizer, sides, tmp_path, content):
    name = given_tokenizer(tmp_path / "given", sides)
    (tmp_path / "given/tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"`new_tokenizer` .*given cannot be loaded: "):
        changed(tokenizer, sides, target_tokenizer="replace", new_tokenizer=name)


def test_a_folder_that_is_written_with_two_dots_is_found(extended, tmp_path):
    extended.save(tmp_path / "new" / ".." / "new", {})
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new/config.json").is_file()


def test_a_model_is_not_pruned_to_data_without_text(tokenizer, tmp_path):
    tiny_model(tokenizer).save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    (tmp_path / "empty.tsv").write_text("en\tid\nA bird.\t\n", encoding="utf-8")
    args = TokenizerArguments(
        target_tokenizer="prune",
        model=str(tmp_path / "tiny"),
        output_dir=str(tmp_path / "new"),
        train_data=[str(tmp_path / "empty.tsv")],
        target_language="id",
    )
    with pytest.raises(ValueError, match="A tokenizer for Indonesian needs sentence pairs"):
        change(args)


@pytest.mark.parametrize("sides", [([], []), ([""], ["burung"])])
def test_data_without_text_is_refused(tokenizer, sides):
    with pytest.raises(ValueError, match="a side of the data has no text"):
        changed(tokenizer, sides, target_tokenizer="replace")


def test_prune_to_without_prune_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`prune_to` has no effect"):
        TokenizerArguments(
            model="m", output_dir=str(tmp_path / "new"), train_data=[BITEXT], target_language="id", prune_to="target"
        )
