"""A model with a chat template behind `sensia serve`: chat completions, and `transformers chat` as a client."""

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
from sensia.corpora import give_chat_template

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED = str(ROOT / "examples/assets/backpack-id-mini")
NEW_TOKENS = 8
TURNS = [
    {"role": "system", "content": "Jawab dalam bahasa Indonesia."},
    {"role": "user", "content": "Apa itu virus?"},
    {"role": "assistant", "content": "Penyebab penyakit."},
    {"role": "user", "content": "Siapa pemerintah?"},
]

pytestmark = pytest.mark.slow


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    model, tokenizer = load_base(EMBEDDED)
    give_chat_template(tokenizer)
    saved = tmp_path_factory.mktemp("chat") / "model"
    model.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    return str(saved)


@pytest.fixture(scope="module")
def address(folder, tmp_path_factory):
    pytest.importorskip("openai", reason="serving needs openai")
    pytest.importorskip("uvicorn", reason="serving needs uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    words = [folder, "--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as lines:
        command = [sys.executable, "-m", "sensia", "serve", *words]
        server = subprocess.Popen(command, env=environment(), stdout=lines, stderr=lines)
    try:
        for _ in range(600):
            assert server.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def answer(folder, turns):
    model, tokenizer = load_base(folder)
    asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        written = model.eval().generate(**asked, max_new_tokens=NEW_TOKENS, do_sample=False)
    return tokenizer.decode(written[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)


def test_a_chat_completion_is_what_the_model_generates(address, folder):
    import openai

    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    found = client.chat.completions.create(model=folder, messages=TURNS, max_tokens=NEW_TOKENS, temperature=0)
    assert found.choices[0].message.content == answer(folder, TURNS) != ""


def test_transformers_chat_shows_the_answer(address, folder):
    # Its client refuses every address, this machine's too, while the Hub is set offline.
    online = {name: value for name, value in environment().items() if name != "HF_HUB_OFFLINE"}
    words = [folder, address, f"max_new_tokens={NEW_TOKENS}", "do_sample=False"]
    command = [str(Path(sys.executable).with_name("transformers")), "chat", *words]
    typed = "Apa itu virus?\n!exit\n"
    done = subprocess.run(command, input=typed, env=online, capture_output=True, text=True, timeout=300)
    shown = " ".join(done.stdout.split())
    assert " ".join(answer(folder, TURNS[1:2]).split()) in shown, done.stdout + done.stderr
