"""Results of runs as the plan keeps them, with made-up figures."""

METRICS = ("context_recall@1", "sense_recall@1", "bits_per_byte", "sense_precision@1", "context_accuracy_transfer")
TOKENS_PER_BYTE = 0.5


def result(kind, recall, bits, *, language="id", seed=0, curve=(0.1, 0.5), entropy=0.8, steps=300, flops=None):
    metrics = {**dict.fromkeys(METRICS, recall), "bits_per_byte": bits, "perplexity": 2 ** (bits / TOKENS_PER_BYTE)}
    intervals = {"context_recall@1": [recall - 0.02, recall + 0.02], "bits_per_byte": [bits - 0.02, bits + 0.02]}
    entry = {"metrics": metrics, "intervals": intervals, "chance": {}}
    points = [
        {
            "step": step,
            "eval_NTREX_context_recall@1": value,
            "eval_NTREX_sense_recall@1": value,
            "eval_NTREX_entropy_source": entropy,
            "eval_NTREX_entropy_target": entropy,
        }
        for step, value in enumerate(curve)
    ]
    before = {"NTREX": {"context_recall@1": 0.05, "sense_recall@1": 0.05}}
    scores = dict.fromkeys(("ntrex", "in-domain", "lexicon", "topics"), entry)
    return {
        "kind": kind,
        "language": language,
        "seed": seed,
        "num_senses": 8,
        "settings": {},
        "training": {
            "seconds": 600.0,
            "steps": steps,
            "pairs_per_step": 32,
            "phases": [{"name": "align", "first_step": 1}, {"name": "joint", "first_step": 61}],
            **({"flops": flops} if flops else {}),
        },
        "scores": scores,
        "curve": points,
        "before": before,
    }
