import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from example_scripts import EXAMPLES, load_example
from transformers import TrainingArguments

from reproduction.plan import read_plan
from sensia.commands.bitext import BitextArguments
from sensia.commands.mine import MineArguments
from sensia.corpora.licences import ATTRIBUTION, demands_of
from sensia.evaluation.tasks.registry import make_tasks
from sensia.trainers import SensiaConfig, parse_arguments
from sensia.trainers.arguments import read_config, read_yaml
from sensia.trainers.dense_alignment import DenseAlignmentConfig
from sensia.trainers.pretraining import PretrainArguments
from sensia.trainers.run_arguments import AdaptArguments

CONFIGS = sorted(path.name for path in (EXAMPLES / "configs").glob("*.yaml"))
# Each config begins with the name of its script; the others are adaptations.
SCRIPTS = ("bitext", "mine", "pretrain", "study_senses", "inspect_senses", "score", "reproduce")
ADAPTATIONS = [name for name in CONFIGS if not name.startswith(SCRIPTS)]


def parse(name, *types, **settings):
    options = [word for key, value in settings.items() for word in (f"--{key}", value)]
    return parse_arguments(*types, description="", arguments=["--config", str(EXAMPLES / "configs" / name), *options])


@pytest.mark.parametrize("name", ADAPTATIONS)
def test_every_adaptation_config_is_valid(name, tmp_path):
    # A machine without an accelerator does bf16 on the CPU; one with takes its own.
    args, config = parse(name, AdaptArguments, SensiaConfig, output_dir=str(tmp_path))
    assert args.source.iso1 == "en" and args.targets[0].iso1
    last = config.phase_schedule().at(config.max_steps, config.max_steps).phase
    assert config.max_steps > 0 and last == config.phase_schedule().phase_names[-1]


def test_the_config_of_the_paper_is_its_recipe(tmp_path):
    args, config = parse("paper.yaml", AdaptArguments, SensiaConfig, output_dir=str(tmp_path))
    assert (config.max_steps, config.per_device_train_batch_size, args.max_length) == (150_000, 64, 256)
    assert config.phase_schedule() == SensiaConfig(output_dir=str(tmp_path)).phase_schedule()


@pytest.mark.parametrize("language", ["id", "sw"])
def test_the_quickstart_reads_files_that_are_there(language):
    args, _ = parse("quickstart.yaml", AdaptArguments, SensiaConfig, target_language=language)
    root = EXAMPLES.parent
    files = [each.path for each in (*args.train_sources, *args.eval_sources)]
    assert len(files) == 3 and all((root / name).is_file() and f"en-{language}." in name for name in files)
    assert (root / args.model / "model.safetensors").is_file()


def test_the_quickstart_names_its_result_after_the_language():
    parsed = [parse("quickstart.yaml", AdaptArguments, SensiaConfig, target_language=code) for code in ("id", "sw")]
    assert [args.model_name for args, _ in parsed] == ["sensia-id-mini", "sensia-sw-mini"]
    assert [config.output_dir for _, config in parsed] == ["runs/sensia-id-mini", "runs/sensia-sw-mini"]
    assert all(args.prompts for args, _ in parsed) and parsed[0][0].prompts != parsed[1][0].prompts


def test_the_quickstart_adapts_to_both_languages_at_once():
    path = str(EXAMPLES / "configs" / "quickstart.yaml")
    options = ["--config", path, "--target_language", "id", "sw"]
    args, config = parse_arguments(AdaptArguments, SensiaConfig, description="", arguments=options)
    assert (args.model_name, config.output_dir) == ("sensia-id-sw-mini", "runs/sensia-id-sw-mini")
    assert len(args.train_sources) == 2 and len(args.eval_sources) == 4 and len(args.prompts) == 6


def test_the_quickstart_has_the_recipe_that_was_chosen():
    folder = EXAMPLES / "configs"
    chosen = next(run for run in read_plan(folder / "reproduce_recipes.yaml") if run.kind == "gentle-contrast")
    quickstart = read_yaml(folder / "quickstart.yaml")
    own = ("train_data", "new_tokens", "max_steps", "eval_strategy", "save_strategy", "report_to", "disable_tqdm")
    recipe = {name: value for name, value in chosen.settings.items() if name not in own}
    assert {name: quickstart.get(name) for name in recipe} == recipe


def test_the_pretraining_config_is_valid(tmp_path):
    pretrain = load_example("pretrain")
    args, config = parse(
        "pretrain_en_mini.yaml", pretrain.PretrainArguments, TrainingArguments, output_dir=str(tmp_path)
    )
    assert args.texts and args.held_out and config.max_steps > 0


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("study_senses")])
def test_every_study_config_is_valid(name):
    (args,) = parse(name, load_example("study_senses").StudyArguments)
    assert (EXAMPLES.parent / args.base / "model.safetensors").is_file()
    assert args.shuffles > 0 and len(set(args.mapped)) == len(args.mapped) >= 3


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("inspect_senses")])
def test_every_inspection_config_is_valid(name):
    (args,) = parse(name, load_example("inspect_senses").InspectArguments, bitext="pairs.jsonl")
    assert all((EXAMPLES.parent / name / "model.safetensors").is_file() for name in (args.model, args.compare))
    assert args.words and args.sentences and args.target_language


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("score")])
def test_every_score_config_is_a_suite(name):
    (args,) = parse(name, load_example("score").ScoreArguments, model="here", output="scores.json")
    tasks = make_tasks([], args.suite, source_language="en", target_language=args.target_language)
    assert len(tasks) == len(args.suite) > 2
    assert not any("{" in str(value) for task in tasks for value in (task.source, *task.settings.values()))


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("reproduce")])
def test_every_run_of_a_plan_is_an_adaptation_with_a_suite(name, tmp_path):
    runs = read_plan(EXAMPLES / "configs" / name)
    assert len({run.name for run in runs}) == len(runs) > 20
    for run in runs:
        path = tmp_path / f"{run.name}.yaml"
        path.write_text(yaml.safe_dump(run.settings), encoding="utf-8")
        options = ["--config", str(path), "--target_language", run.language, "--output_dir", str(tmp_path)]
        config_type = DenseAlignmentConfig if run.is_dense else SensiaConfig
        args, config = parse_arguments(AdaptArguments, config_type, description="", arguments=options)
        assert f"en-{args.targets[0].iso1}" in args.train_data[0] and config.seed == run.seed
        assert make_tasks([], run.suite, source_language="en", target_language=run.language)
    bases = {run.base.name: run.base for run in runs if run.base is not None}
    assert set(bases) == set(read_yaml(EXAMPLES / "configs" / name)["bases"])
    for base in bases.values():
        settings = {**read_yaml(EXAMPLES.parent / base.config), **base.settings, "output_dir": str(tmp_path)}
        path = tmp_path / f"{base.name}.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        assert read_config(path, (PretrainArguments, TrainingArguments))["max_steps"] > 0


#: Settings that say where things lie.
PLACES = {"train_data", "eval_data", "target_language", "output_dir"}


def test_the_full_plan_is_the_recipe_of_the_paper():
    settings = read_plan(EXAMPLES / "configs/reproduce_full.yaml", ["sensia"])[0].settings
    paper = yaml.safe_load((EXAMPLES / "configs/paper.yaml").read_text(encoding="utf-8"))
    placeless = {name: paper[name] for name in paper.keys() - PLACES}
    assert {name: settings.get(name, placeless[name]) for name in placeless} == {**placeless, "report_to": "none"}


@pytest.mark.parametrize(
    "path", sorted((EXAMPLES.parent / "sensia" / "accelerate").glob("*.yaml")), ids=lambda path: path.name
)
def test_every_accelerate_config_loads(path):
    config = load_config_from_file(str(path))
    assert config.num_processes >= config.num_machines >= 1


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("bitext")])
def test_every_configuration_of_a_bitext_is_valid(name):
    (args,) = parse(name, BitextArguments)
    assert args.push_to is None and all(each.license for each in args.bitext_sources)


def test_the_configuration_of_mining_is_valid():
    (args,) = parse("mine.yaml", MineArguments)
    assert args.source_language == "en" and args.min_score is not None


def test_the_swahili_bitext_is_built_from_free_licences_only():
    (args,) = parse("bitext_sw.yaml", BitextArguments)
    for each in args.bitext_sources:
        demands = demands_of(each.license)
        assert demands is not None and not demands - {ATTRIBUTION}
