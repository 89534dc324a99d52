"""A trained model, or what another program predicted, judged on labelled images."""

from __future__ import annotations

import logging
from pathlib import Path

from radlens.base.errors import DataError, UsageError
from radlens.base.files import claim_output
from radlens.base.folder_lock import writes_folder
from radlens.config import RunSettings, is_stated
from radlens.dataset.manifest import Manifest
from radlens.dataset.positive_class import STATED
from radlens.dataset.sources import read_source
from radlens.delivery.torch_model import trained_model
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import find_model, hash_weights, read_model_folder, run_of
from radlens.runtime.training_images import read_training_images
from radlens.workflows.blocked import keep_blocked
from radlens.workflows.evaluate_external import evaluate_outside, is_predictions_file
from radlens.workflows.judge import log_test_access, predict_split, require_subgroups, write_evidence
from radlens.workflows.judged import Judged
from radlens.workflows.options import RunOptions, check_folder, settings_of
from radlens.workflows.prepare import prepare, read_images, write_start
from radlens.workflows.result import Result

logger = logging.getLogger(__name__)


@writes_folder()
def evaluate(
    model: str | Path,
    source: str | Path | None,
    out: str | Path,
    *,
    split: str | None = None,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    allow: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
) -> Result:
    """Score a trained model on labelled images it has never seen, at the operating point that it carries.

    Or judge what another program predicted: then the operating point is the one stated (``evaluate.threshold`` in
    ``config`` or ``settings``, see :func:`radlens.config.is_stated`), that of the file (columns ``threshold`` or
    ``predicted``), one chosen on its validation rows, or 0.5, which is said.

    Args:
        model: a run folder, a model folder, the name of a model that comes with radlens, or a CSV of predictions.
        source: labelled images of the same classes; None only for a CSV that holds the labels itself.
        out: the folder to make.
        split: ``train``, ``val``, ``test`` or ``all``; None: test when the source has one, else all.
        config: YAML file of settings.
        settings: further settings as ``section.key=value``.
        allow: checks of the audit whose blocking findings shall not stop the evaluation; written down.
        overwrite: replace what lies in ``out``.

    Raises:
        UsageError: a setting cannot be used, or ``out`` is not empty.
        DataError: the model or the images cannot be used, or the classes differ.
    """
    folder, options = Path(out), RunOptions(config=config, settings=settings, allow=allow)
    resolved = settings_of(source, options)
    if is_predictions_file(model):
        check_folder(folder, overwrite, resolved.data.source, model)
        return evaluate_outside(
            Path(model),
            resolved,
            folder,
            split=split,
            with_source=source is not None,
            threshold_stated=options.state("evaluate.threshold"),
            overwrite=overwrite,
        )
    # 1. The model, at the operating point that it carries.
    require_own_operating_point(settings)
    if source is None:
        raise UsageError("A model is evaluated on labelled images: give a SOURCE. Only a CSV of predictions has none.")
    model = find_model(model)
    model_config, tensors = read_model_folder(model)
    trained = trained_model(model_config, tensors)
    resolved = with_contract_of(model_config, resolved, options)
    check_folder(folder, overwrite, resolved.data.source, model)
    # 2. The images, and whether the model was made with any of them.
    source_images = read_source(resolved.data, ask_positive=False, lacking=True).fully_labelled()
    manifest, name = select_images(for_model(source_images, model_config), split)
    trained_on = read_training_images(model)
    manifest = manifest.with_notes(*filter(None, (trained_on.unknown(),)))
    cache = read_images(manifest, resolved.data, model_config.preprocessing)
    keep = keep_blocked(folder, resolved, manifest, cache)
    prepared = prepare(manifest, cache, resolved.data, resolved.seed, trained_on, keep=keep)
    require_subgroups(prepared.manifest, resolved.evaluate.subgroups)
    # 3. What the evaluation starts from, and that test images are looked at, is written down.
    claim_output(folder, overwrite=overwrite)
    write_start(folder, resolved, manifest, prepared)
    if name == "test":
        log_test_access("evaluate", hash_weights(model), prepared, folder, run_of(model))
    # 4. The answers, and what they are worth.
    predictions = predict_split(trained, model_config, prepared, name)
    judged = Judged("model", predictions, model_config.threshold, trained, model_at=model)
    return write_evidence(resolved, prepared, judged, folder)


def with_contract_of(model: ModelConfig, settings: RunSettings, options: RunOptions) -> RunSettings:
    """The settings with the model's preprocessing, and the bounds on files of its training unless others are stated."""
    data = settings.data
    if not options.state("data.limits"):
        data = data.model_copy(update={"limits": model.limits})
    return settings.model_copy(update={"preprocessing": model.preprocessing, "data": data})


def select_images(manifest: Manifest, split: str | None) -> tuple[Manifest, str]:
    """The images to evaluate and the split they are reported as; all images together are a test of the model."""
    present = set(manifest.table["split"]) - {""}
    wanted = split or ("test" if "test" in present else "all")
    if wanted == "all":
        return manifest.with_split(["test"] * len(manifest)), "test"
    if wanted not in present:
        raise UsageError(
            f"The source has no split {wanted!r}. It has: {', '.join(sorted(present)) or 'no splits'}. "
            "Use --split all for every image."
        )
    return manifest.only((manifest.table["split"] == wanted).to_numpy()), wanted


def require_own_operating_point(settings: tuple[str, ...] | list[str]) -> None:
    """Nothing is chosen on the images that a model is judged on.

    Raises:
        UsageError: a setting asks for it, or is not ``key=value``.
    """
    carried = ("evaluate.threshold", "evaluate.calibration", "evaluate.flip_tta")
    stated = [name for name in carried if is_stated(name, assignments=settings)]
    if stated:
        raise UsageError(
            f"{stated[0]} has no effect here: the model carries what was chosen on its validation images, and nothing "
            "is chosen on the images that it is judged on. Train with that setting; or judge the answers at another "
            "threshold: radlens evaluate OUT/predictions.csv --set evaluate.threshold=NUMBER --out DIR"
        )


def for_model(manifest: Manifest, model: ModelConfig) -> Manifest:
    """The same images with the model's class names and order; of exclusive classes some may have no image.

    Raises:
        DataError: a class is not one of the model's, or the task differs.
        UsageError: the settings call another class positive than the model does.
    """
    same = {name.casefold(): name for name in model.classes}
    present = {name.casefold() for name in manifest.info.classes}
    several = manifest.info.task == "multilabel"
    # Of several labels, one that no image has may be one that nobody looked for.
    if several != (model.task == "multilabel") or not present <= set(same) or (several and present != set(same)):
        raise DataError(
            f"The source has the {manifest.info.task} classes {', '.join(manifest.info.classes)}; the model answers "
            f"the {model.task} classes {', '.join(model.classes)}. Say which is which: "
            f"--set 'data.class_map={{{manifest.info.classes[0]}: {model.classes[0]}, …}}'"
        )
    stated = manifest.info.classes[-1] if manifest.info.positive_reason == STATED else model.classes[-1]
    if stated.casefold() != model.classes[-1].casefold():
        raise UsageError(
            f"data.positive_class={stated}: for the model {model.classes[-1]} is positive, and its operating point was "
            "chosen for that. Leave the setting out, or train with it."
        )
    label = manifest.table["label"].map(
        lambda cell: "|".join(same[part.casefold()] for part in cell.split("|") if part)
    )
    reason = "as the model has it" if model.task == "binary" else ""
    changed = {"classes": model.classes, "task": model.task, "positive_reason": reason}
    if model.task == "binary":
        logger.info("Positive: %s, as the model has it.", model.classes[1])
    renamed = Manifest(manifest.table.assign(label=label), manifest.info.model_copy(update=changed))
    absent = renamed.absent_classes()
    if not absent:
        return renamed
    note = f"No image is of the class {', '.join(absent)}: figures that need one cannot be estimated."
    logger.warning("%s", note)
    return renamed.with_notes(note)
