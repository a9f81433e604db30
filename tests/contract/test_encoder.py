"""One contract for the encoders: the real model, fetched once, and the one that tests use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from services.embed import fetch
from services.embed.adapters.bm25 import FrenchBm25
from services.embed.adapters.model_directory import ModelMissing, locate, model_hash
from services.embed.dispatch import Encoder
from shared.models.policy import Refused
from shared.settings import Embedding
from tests.fakes.encoder import HashEncoder

if TYPE_CHECKING:  # torch takes seconds: every worker reads this file, one runs it
    from services.embed.adapters.sentence_encoder import SentenceEncoder

pytestmark = pytest.mark.xdist_group("model")
QUESTION = "query: Qui finance l'étude préalable de notre école ?"
ANSWER = "passage: L'étude préalable des écoles est financée à hauteur de 50 %."
OTHER = "passage: La piscine municipale ferme le dimanche à midi."


@pytest.fixture(scope="module")
def directory() -> Path:
    """The default model; a run of the tests downloads it at most once for all workers."""
    return fetch.fetch(quiet=True)


@pytest.fixture(scope="module")
def real(directory: Path) -> SentenceEncoder:
    from services.embed.adapters.sentence_encoder import SentenceEncoder

    return SentenceEncoder(directory, device="cpu")


@pytest.fixture(params=["real", "hash"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "real":
        found: SentenceEncoder = request.getfixturevalue("real")
        return found
    return HashEncoder()


def test_vectors_are_normalised_and_of_the_dimension(encoder: Encoder) -> None:
    vectors = encoder.encode(encoder.tokenise([QUESTION, ANSWER, "x"]))
    assert vectors.shape == (3, encoder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_near_texts_are_nearer(encoder: Encoder) -> None:
    question, answer, other = encoder.encode(encoder.tokenise([QUESTION, ANSWER, OTHER]))
    assert question @ answer > question @ other


def test_a_vector_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    tokens = encoder.tokenise([QUESTION, ANSWER * 10, "x"])
    together = encoder.encode(tokens)
    alone = np.concatenate([encoder.encode([each]) for each in tokens])
    assert (together * alone).sum(axis=1).min() > 0.9995


def test_long_and_empty_texts_are_encoded(encoder: Encoder) -> None:
    tokens = encoder.tokenise(["mot " * 3000, ""])
    assert len(tokens[0]) == encoder.max_tokens
    assert len(tokens[1]) >= 1
    assert np.isfinite(encoder.encode(tokens)).all()


def test_the_limits_of_a_batch_are_given(encoder: Encoder) -> None:
    assert encoder.batch_tokens >= encoder.max_tokens
    assert encoder.batch_items >= 1


def test_the_real_model_agrees_with_sentence_transformers(
    real: SentenceEncoder, directory: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    texts = [QUESTION, ANSWER, OTHER, "query: How long does it take?", "passage: " + "étude " * 600]
    model = SentenceTransformer(
        str(directory), device="cpu", local_files_only=True, model_kwargs={"dtype": "float32"}
    )
    expected = model.encode(texts, normalize_embeddings=True)
    found = real.encode(real.tokenise(texts))
    assert (found * expected).sum(axis=1).min() > 0.999


def test_a_name_path_or_missing_model(directory: Path, tmp_path: Path) -> None:
    assert locate(Embedding()) == directory
    assert locate(Embedding(model=str(directory))) == directory.resolve()
    with pytest.raises(ModelMissing, match=r"neither a directory.*\n.*sourcier models import"):
        locate(Embedding(model="nobody/no-such-model"))
    with pytest.raises(Refused, match="there are no weights"):
        locate(Embedding(model=str(tmp_path)))
    shutil.copytree(directory, tmp_path / "copy")
    (tmp_path / "copy" / "modules.json").unlink()
    with pytest.raises(ModelMissing, match=r"has no modules\.json$"):
        locate(Embedding(model=str(tmp_path / "copy")))


def test_the_default_model_that_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCIER_CACHE", str(tmp_path))
    with pytest.raises(ModelMissing, match="run `sourcier models fetch multilingual-e5-small`"):
        locate(Embedding())


def test_the_hash_is_of_the_contents(directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("*.safetensors"))
    assert model_hash(copy) == model_hash(directory)  # the manifest is the same
    (copy / "manifest.json").unlink()
    before = model_hash(copy)
    (copy / "config.json").write_text("{}")
    assert model_hash(copy) != before


def test_modules_of_the_models_own_code_are_not_run(directory: Path, tmp_path: Path) -> None:
    from services.embed.adapters.sentence_encoder import ModelUnfit, SentenceEncoder

    copy = tmp_path / "copy"
    shutil.copytree(directory, copy, copy_function=lambda a, b: Path(b).symlink_to(a))
    modules = json.loads((directory / "modules.json").read_text())
    modules[1]["type"] = "os.system"
    (copy / "modules.json").unlink()
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelUnfit, match=r"os\.system is code of the model's own"):
        SentenceEncoder(copy, device="cpu")


def test_bm25_stems_folds_and_weighs() -> None:
    bm25 = FrenchBm25()
    texts = ["Les études des écoles, étude", "etude ecole", "le la les", ""]
    first, second, stop, empty = bm25.encode(texts, "passage")
    assert first.indices == second.indices == tuple(sorted(first.indices))
    assert max(first.values) > max(second.values)
    assert stop.indices == empty.indices == ()
    assert bm25.encode(texts, "query")[0].values == (1.0, 1.0)
    assert FrenchBm25().encode(texts, "passage") == bm25.encode(texts, "passage")
