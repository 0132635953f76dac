"""`sensia serve`: an adapted model behind /v1/completions, with and without streaming, for the OpenAI client."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch

from modeling_sensia.loading import load_base

ROOT = Path(__file__).resolve().parents[2]
MODEL = str(ROOT / "examples/assets/backpack-id-mini")
PROMPTS = ["Pemerintah mengatakan bahwa", "The government said that the"]
NEW_TOKENS = 8


def command(*words):
    return [sys.executable, "-m", "sensia", "serve", *words]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    openai = pytest.importorskip("openai", reason="serving needs openai")
    pytest.importorskip("uvicorn", reason="serving needs uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    words = [MODEL, "--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as lines:
        server = subprocess.Popen(command(*words), env=environment(), stdout=lines, stderr=lines)
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/health", server, log)
        yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    finally:
        server.terminate()
        server.wait(30)


def wait_until_it_answers(url, server, log):
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def greedy(prompt):
    model, tokenizer = load_base(MODEL)
    inputs = tokenizer(prompt, return_tensors="pt")
    with torch.no_grad():
        written = model.eval().generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
    return tokenizer.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


@pytest.mark.slow
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_completion_is_what_the_model_generates(client, prompt):
    found = client.completions.create(model=MODEL, prompt=prompt, max_tokens=NEW_TOKENS, temperature=0)
    assert found.choices[0].text == greedy(prompt) != ""
    assert found.usage.completion_tokens <= NEW_TOKENS


@pytest.mark.slow
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_stream_gives_the_same_text_in_pieces(client, prompt):
    options = {"max_tokens": NEW_TOKENS, "temperature": 0, "stream": True}
    pieces = [part.choices[0].text for part in client.completions.create(model=MODEL, prompt=prompt, **options)]
    assert "".join(pieces) == greedy(prompt)
    assert len([piece for piece in pieces if piece]) > 2


@pytest.mark.slow
def test_continuous_batching_is_refused_in_one_line():
    words = command(MODEL, "--device", "cpu", "--continuous-batching")
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("sensia serve:")]
    assert "does not work with a Backpack" in line and "Use `generate` with a padded batch" in line
