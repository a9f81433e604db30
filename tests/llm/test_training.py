"""TRL trains on an export as it is: two steps of SmolLM2-135M on the CPU.

Imported where needed: every worker reads this file, one runs it, and this takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.records import Message
from tests.fakes.reviewed import PASSAGES, written
from tests.llm.server import directory

SHORT = Message(
    role="user",
    content=f'<passage numéro="1" titre="Fiche">\n{PASSAGES[0].text}\n</passage>\n\nQui finance ?',
)
"""A prompt as short as a test needs; those of generate are longer and go the same way."""
pytestmark = pytest.mark.xdist_group("llm")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Two that wait for each other are slower beside other tests."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
async def test_dpo_runs_two_steps_on_an_export(tmp_path: Path) -> None:
    import datasets
    import torch
    import trl
    from transformers import AutoModelForCausalLM, AutoTokenizer

    await written(tmp_path / "v1", mails=2, messages=(SHORT,))
    rows = datasets.load_dataset(str(tmp_path / "v1"), "dpo", cache_dir=str(tmp_path))["train"]
    assert len(rows) == 2
    model = AutoModelForCausalLM.from_pretrained(directory(), dtype=torch.float32)
    before = model.model.layers[-1].mlp.up_proj.weight.detach().clone()
    trainer = trl.DPOTrainer(
        model=model,
        args=trl.DPOConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=2,
            per_device_train_batch_size=1,
            max_length=None,
            learning_rate=1e-3,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            precompute_ref_log_probs=True,
            report_to=[],
            save_strategy="no",
            logging_steps=1,
        ),
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(directory()),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert trainer.state.global_step == 2
    assert len(losses) == 2
    assert all(0 < loss < 10 for loss in losses)
    assert not torch.equal(before, model.model.layers[-1].mlp.up_proj.weight)
