"""Refusing what cannot work, in one line that says what would."""

import sys

import pytest
from omegaconf import OmegaConf

from cnnlab.config.validate import validate
from cnnlab.errors import UserError

MISTAKES = {
    # keys
    "modle=all_cnn_c": r"modle=all_cnn_c: no such key; did you mean model\?",
    "trainer.epoch=3": r"trainer\.epoch=3: no such key in trainer; did you mean epochs\?",
    "+trainer.epoch=3": r"trainer\.epoch=3: no such key in trainer; did you mean epochs\?",
    "++sede=3": r"sede=3: no such key; did you mean seed\?",
    "seeds.shufle=1": r"seeds\.shufle=1: no such key in seeds; did you mean shuffle\?",
    "epochs=3": r"epochs=3: no such key; did you mean trainer\.epochs\?",
    "optimizer.lr=0.1": r"optimizer\.lr=0\.1: no such key in optimizer",
    "+optimizer.learning_rat=1": r"optimizer\.learning_rat=1: no such key in optimizer; did you mean learning_rate\?",
    "+dataset.strict=true": r"dataset\.strict=true: no such key in dataset",
    "dataset.root=photos": r"dataset\.root=photos: no such key in dataset; dataset=arrays or .* have it",
    "model.depth=50": r"model\.depth=50: no such key in model; model=resnet has it",
    "hydra.run.dri=x": r"hydra\.run\.dri=x: no such key in hydra\.run; did you mean dir\?",
    "trainer.epochs.x=3": r"trainer\.epochs\.x=3: no such key in trainer\.epochs",
    "~seed_": r"'seed_' does not exist",
    "+trainer.epochs=3": r"\+trainer\.epochs=3: the key exists already; leave out the \+",
    "trainer.epochs=null": r"trainer\.epochs=null: leave it out; give a number of passes, or trainer\.steps$",
    "trainer.batch_size=null": r"trainer\.batch_size=null: must be an integer; leave it out for its default$",
    "trainer.label_smoothing=0.1": r"no such key in trainer; did you mean loss\.label_smoothing\?",
    # options of groups
    "model=mnist_cn": r"model=mnist_cn: no such option; did you mean mnist_cnn\?; options: .*mnist_cnn",
    "trainer=quick": r"trainer=quick: no such option; options: default",
    "model=3": r"model=3: an option of a group is a name",
    "+model=mnist_cnn": r"\+model=mnist_cnn: the group has an option already; leave out the \+",
    "augmentation=shift_flp": r"augmentation=shift_flp: no such option; did you mean shift_flip\?",
    "augmentation=[shift_flip,shft]": r"augmentation=shft: no such option; did you mean shift\?; options: .*shift_flip",
    "augmentation=[3]": r"augmentation=\[3\]: an option of a group is a name",
    # operations
    "augmentation.shfit.shift=4": r"augmentation\.shfit\.shift=4: no such key in augmentation; did you mean shift\?",
    "augmentation.shift=4": r"augmentation\.shift=4: is no operation; .* augmentation\.shift\.OPTION",
    "+augmentation.cut={size:3}": r"not among the chosen .*augmentation=\[shift,cut\].*~augmentation\.cut",
    "+augmentation.shift.shft=4": r"augmentation\.shift\.shft=4: no such key in .*; did you mean shift\?",
    "augmentation.shift.shift=far": r"augmentation\.shift\.shift=far: must be an integer or a number",
    "augmentation.shift.fill=near": r"augmentation\.shift\.fill=near: .*; did you mean nearest\?",
    "+augmentation.shift.probability=2": r"augmentation\.shift\.probability=2: no such key",
    # loggers
    "logger=mlfow": r"logger=mlfow: no such option; did you mean mlflow\?; options: mlflow, none, tensorboard, wandb",
    "logger.mlflow.experiment=a": r"logger\.mlflow\.experiment=a: no such key in logger",
    "+logger.mlflow.experiment=a": r"mlflow is not among the chosen loggers; choose it, logger=\[mlflow\]",
    "+logger.mlflow=http://localhost": r"logger\.mlflow=http://localhost: is no logger; .* logger\.mlflow\.OPTION",
    # losses and metrics
    "loss=focl": r"loss=focl: no such option; did you mean focal\?",
    "loss=hinge": r"loss=hinge: no such option; Keras's is loss=keras loss\.loss=Hinge;",
    "metric=uac": r"metric=uac: no such option; did you mean auc\?",
    "+metric._target_=keras.metrics.AUC": r"a metric has a name; give \+metric\.NAME\._target_=keras\.metrics\.AUC",
    "+metric.m._target_=keras.metrics.AUk": r"keras\.metrics\.AUk: no AUk in .*; did you mean AUC\?",
    "+metric.m._target_=keras.metrics.categorical_hinge": r"is a function; give a class, such as CategoricalHinge$",
    "+metric.accuracy._target_=keras.metrics.AUC": r"metric\.accuracy=accuracy: the column accuracy is there in any",
    "+metric.val_auc._target_=keras.metrics.AUC": r"metric\.val_auc=val_auc: names a column of metrics\.csv",
    "+metric.m={_target_:keras.metrics.AUC,curv:PR}": r"metric\.m\.curv=PR: no such key in .*; did you mean curve\?",
    # grammar
    "seed": r"seed: expected key=value",
    "name=a=b": r"name=a=b: cannot be read .*; quote the value: \"name='a=b'\"",
    "seed=1,2": r"seed=1,2: several values need -m, one job each; a list is written seed=\[1,2\]",
    "seed=range(3)": r"seed=range\(3\): several values need -m",
    "seed=${sede}": r"seed=\$\{sede\}: Interpolation key 'sede' not found",
    "trainer.validate_every='3 minutes'": r"trainer\.validate_every=3 minutes: minutes are no number of steps",
    "trainer.callbacks=[]": r"trainer\.callbacks=\[\]: Cannot merge",
    "optimizer.amsgrad=1": r"optimizer\.amsgrad=1: must be true or false",
    "optimizer.learning_rate=.inf": r"optimizer\.learning_rate=",
    "+model.preprocessing.whiten=true": r"model\.preprocessing\.whiten=true: no such key in model\.preprocessing",
    # targets
    "model._target_=os.system": r"model\._target_=os\.system: only cnnlab and keras may be named; if you trust os, add",
    "optimizer._target_=keras.optimizers.SDG": r"no SDG in keras\.optimizers; did you mean SGD\?",
    "model._target_=cnnlab.models.mnist_cnn.mnist_cn": r"no mnist_cn in .*; did you mean mnist_cnn\?",
    "model._target_=keras.saving.load_model": r"keras\.saving is no part of Keras",
    "~trainer._target_": r"trainer\._target_=null: must be cnnlab\.training\.trainer_config\.TrainerConfig$",
    "~trainer.epochs": r"trainer\.epochs: is missing; give it, as \+trainer\.epochs=…",
    "+trainer.callbacks.a={_target_:keras.callbacks.EarlyStoping}": r"trainer\.callbacks\.a\._target_.*EarlyStopping\?",
    "+trainer.callbacks.a={_target_:keras.callbacks.EarlyStopping,patience:x}": r"callbacks\.a\.patience=x: must be",
    "+trainer.callbacks.a={_target_:keras.callbacks.ReduceLROnPlateau}": r"use schedule=plateau",
    "+trainer.callbacks.a={_target_:keras.callbacks.LearningRateScheduler}": r"use a schedule",
    "+trainer.callbacks.a={_target_:keras.callbacks.BackupAndRestore}": r"resume=RUN",
    "+trainer.callbacks.a={_target_:keras.callbacks.SwapEMAWeights}": r"optimizer\.use_ema=true evaluates",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_is_named_with_its_key_its_value_and_a_hint(compose, override):
    with pytest.raises(UserError, match=MISTAKES[override]) as refusal:
        compose("train", override)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("method", "override", "told"),
    [
        ("saliency", "method.images=[a.png,b.png]", r"method\.images\[0\]=a\.png: must be an integer"),
        ("class_max", "method.classes=[1.5]", r"method\.classes\[0\]=1\.5: must be text or an integer"),
        ("kernels", "method.layers=[1]", r"method\.layers\[0\]=1: must be text"),
        ("kernels", "method.layers=[]", r"method\.layers=\[\]: give one at least, or leave it out for its default"),
        ("sanity", "method.methods=[]", r"method\.methods=\[\]: give one at least"),
    ],
)
def test_an_item_of_a_list_that_cannot_be_is_named_and_so_is_an_empty_list(compose, method, override, told):
    with pytest.raises(UserError, match=f"^{told}"):
        compose("visualize", f"method={method}", override)


VALUES = {
    # types and choices
    "trainer.epochs=ten": r"trainer\.epochs=ten: must be a number",
    "trainer.batch_size=1.5": r"trainer\.batch_size=1\.5: must be an integer",
    "trainer.batch_size=true": r"trainer\.batch_size=true: must be an integer",
    "trainer.precision=bf16": r"trainer\.precision=bf16: must be one of .*; did you mean bfloat16\?",
    "trainer.strategy=miror": r"trainer\.strategy=miror: .*; did you mean mirrored\?",
    "trainer.jit=yes": r"trainer\.jit=yes: must be auto or true or false",
    "trainer.monitor=val_acc": r"trainer\.monitor=val_acc: .*; did you mean val_accuracy\?",
    "trainer.validate_every=often": r"trainer\.validate_every=often: is no duration",
    "loss.class_weight=balancd": r"loss\.class_weight=balancd: .*; did you mean balanced\?",
    "input_shape=[28,28]": r"input_shape=\[28,28\]: must be a list of 3 values",
    "optimizer.learning_rate=fast": r"optimizer\.learning_rate=fast: must be a number",
    "schedule.warmup=soon": r"schedule\.warmup=soon: is no duration",
    "targets=keras": r"targets=keras: must be a list",
    # ranges
    "trainer.epochs=-1": r"trainer\.epochs=-1: must be greater than 0",
    "trainer.steps=0": r"trainer\.steps=0: must be at least 1",
    "trainer.batch_size=0": r"trainer\.batch_size=0: must be at least 1",
    "loss.label_smoothing=1": r"loss\.label_smoothing=1: must be at least 0 and below 1",
    "trainer.early_stopping_patience=0": r"trainer\.early_stopping_patience=0: must be at least 1",
    "trainer.devices=0": r"trainer\.devices=0: must be at least 1",
    "seed=-1": r"seed=-1: must be at least 0",
    "seeds.augmentation=2147483648": r"seeds\.augmentation=2147483648: must be from 0 to 2147483647",
    "num_classes=0": r"num_classes=0: must be at least 1",
    "input_shape=[0,28,1]": r"input_shape=\[0,28,1\]: must be \[height, width, channels\]",
    "input_shape=[28,28,4]": r"input_shape=\[28,28,4\]: must be \[height, width, channels\], with 1 or 3 channels",
    "dataset.validation=1.5": r"dataset\.validation=1\.5: must be between 0 and 1",
    "dataset.folds=1": r"dataset\.folds=1: must be at least 2",
    "dataset.fold=-1": r"dataset\.fold=-1: must be at least 0",
    "dataset.sampling=balancd": r"dataset\.sampling=balancd: .*; did you mean balanced\?",
    "dataset.validation=publshed": r"dataset\.validation=publshed: .*; did you mean published\?",
    "optimizer.learning_rate=0": r"optimizer\.learning_rate=0: must be greater than 0",
    "model.dropout=1": r"model\.dropout=1: must be at least 0 and below 1",
    "model.preprocessing.zca_epsilon=-1": r"model\.preprocessing\.zca_epsilon=-1: must be greater than 0",
}


@pytest.mark.parametrize("override", VALUES)
def test_a_value_that_cannot_be_is_named_with_its_key_and_what_may_be(composed, override):
    with pytest.raises(UserError, match=VALUES[override]) as refusal:
        validate(composed(override), "train", [override])
    assert "\n" not in str(refusal.value)


ARGUMENTS = {
    "random_erasing.probability=1.5": r"probability=1\.5: must be from 0 to 1",
    "random_erasing.fill=blac": r"fill=blac: must be one of random, zero, mean",
    "random_erasing.area=0.2": r"area=0\.2: must be a list",
    "affine.zoom_range=1": r"zoom_range=1: must be at least 0 and below 1",
    "affine.rotation=9": r"rotation=9: no such key .*; did you mean rotation_range\?",
    "cutmix.alpha=-1": r"alpha=-1: must be at least 0",
    "rand_augment.num_layers=0": r"num_layers=0: must be at least 1",
    "pca_color.covariance=images": r"covariance=images: .*; did you mean image\?",
}


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_an_operations_signature_says_what_its_options_may_be(compose, argument):
    operation = argument.partition(".")[0]
    with pytest.raises(UserError, match=rf"^augmentation\.{operation}\.{ARGUMENTS[argument]}"):
        compose("train", f"augmentation={operation}", f"augmentation.{argument}")


CONTRADICTIONS = [
    (["augmentation=mixup", "trainer.batch_size=63"], r"trainer\.batch_size=63: mixup mixes images in pairs; .* of 2"),
    (["augmentation=[flip,cutmix]", "trainer.batch_size=66", "trainer.devices=2"], r"cutmix mixes .* multiple of 4"),
    (["trainer.data=stream", "trainer.steps_per_call=4"], r"trainer\.steps_per_call=4: trainer\.data=stream feeds one"),
    (
        ["optimizer.clipnorm=1.0", "optimizer.clipvalue=0.5"],
        r"optimizer\.clipnorm=1\.0 and optimizer\.clipvalue=0\.5: .*in one way",
    ),
    (["model=transfer", "initializer=he_normal"], r"initializer=he_normal: would overwrite model\.weights=imagenet"),
    (["model=transfer", "initializer.bias=1"], r"initializer=default: would overwrite .* initializer\.bias=null"),
    (["model=transfer", "+model.preprocessing.rescaling=true"], r"rescaling=true: the backbone brings its own"),
    (["trainer.epochs=3", "trainer.steps=100"], r"trainer\.epochs=3: trainer\.steps=100 sets the length already"),
    (["trainer.strategy=one_device", "trainer.devices=2"], r"trainer\.devices=2: strategy=one_device uses one"),
    (
        ["dataset.validation=none", "trainer.early_stopping_patience=3"],
        r"trainer\.early_stopping_patience=3: dataset\.validation=none leaves nothing",
    ),
    (["dataset.validation=none", "trainer.monitor=val_loss"], r"trainer\.monitor=val_loss: .*; keep a validation"),
    (["schedule=one_cycle", "schedule.div_factor=0"], r"^schedule\.div_factor=0: must be greater than 0$"),
    (["dataset.validation=none", "schedule=plateau"], r"schedule\.monitor=val_loss: .*; use monitor=loss"),
    (["dataset.fold=1"], r"^dataset\.fold=1: give dataset\.folds too"),
    (["dataset.folds=3"], r"^dataset\.folds=3: give dataset\.fold=0, or with -m dataset\.fold=0,1,2$"),
    (["dataset.folds=3", "dataset.fold=3"], r"^dataset\.fold=3: dataset\.folds=3 are counted from 0 to 2$"),
    (
        ["dataset.folds=3", "dataset.fold=0", "dataset.validation=0.1"],
        r"^dataset\.validation=0\.1: with dataset\.folds=3 a fold validates; leave one of them out$",
    ),
    (
        ["dataset.sampling=balanced", "loss.class_weight=balanced"],
        r"^dataset\.sampling=balanced: loss\.class_weight=balanced would .* once more; use one of them$",
    ),
    (
        ["dataset.sampling=balanced", "augmentation=flip", "augmentation.flip.mode=alternating"],
        r"^dataset\.sampling=balanced: augmentation\.flip\.mode=alternating .*; use augmentation\.flip\.mode=random$",
    ),
    (
        ["dataset.sampling=balanced", "augmentation.shift.flip=alternating"],
        r"^dataset\.sampling=balanced: augmentation\.shift\.flip=alternating .*; use augmentation\.shift\.flip=true$",
    ),
    (["schedule=plateau", "schedule.monitor=auc"], r"^schedule\.monitor=auc: is not measured; choose one of val_loss"),
    (["metric=auc", "trainer.monitor=auc"], r"^trainer\.monitor=auc: is not measured; did you mean val_auc\?"),
    (
        ["loss=keras", "loss.loss=CategoricalHing"],
        r"^loss\._target_=keras\.losses\.CategoricalHing: no .*; did you mean CategoricalHinge\?$",
    ),
    (["loss=keras", "+loss.dleta=1", "loss.loss=Huber"], r"^loss\.dleta=1: no such key in loss; did you mean delta\?$"),
    (["loss=focal", "loss.name=accuracy"], r"^loss\.name=accuracy: the column accuracy is there in any case"),
    (["loss=focal", "metric=auc", "+metric.auc.name=focal"], r"^metric\.auc\.name=focal: val_focal is the column of"),
    (["metric=[auc,f1]", "+metric.f1.name=auc"], r"^metric\.f1\.name=auc: metric\.auc is called so; choose another"),
    (["loss=keras", "loss.loss=Hinge", "model.head=sigmoid"], r"^loss=Hinge: is the mean over the outputs of two "),
    (["loss=binary_crossentropy", "model.head=sigmoid"], r"^loss=binary_crossentropy: model\.head=sigmoid has one out"),
    (
        ["dataset=image_folder", "dataset.root=.", "dataset.group=IMG"],
        r"^dataset\.group=IMG: has no \(…\), which marks",
    ),
    (
        ["dataset=image_folder", "dataset.root=.", "dataset.group='(a'"],
        r"^dataset\.group=\(a: is no regular expression",
    ),
]


@pytest.mark.parametrize(("overrides", "message"), CONTRADICTIONS)
def test_contradictions_are_refused(compose, overrides, message):
    with pytest.raises(UserError, match=message):
        compose("train", *overrides)


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        (
            [
                *("trainer.steps=100", "trainer.checkpoint_every='10 minutes'", "trainer.validate_every=2"),
                *("trainer.jit=true", "trainer.devices=2", "trainer.threads=1", "model.padding=same"),
                "loss.class_weight={cat:2.0,dog:1,0:2,9:0.5}",
                "+trainer.callbacks.stop={_target_:keras.callbacks.EarlyStopping,patience:3}",
                *("optimizer=sgd", "optimizer.momentum=0.9", "schedule=cosine", "schedule.decay_steps='80 %'"),
            ],
            "schedule.decay_steps",
            "80 %",
        ),
        (
            ["dataset.folds=5", "dataset.fold=4", "dataset.sampling=balanced", "loss.class_weight={cat:2}"],
            "dataset.fold",
            4,
        ),
        (
            ["trainer.epochs=9.9", "dataset.validation=none", "input_shape=[32,32,3]", "num_classes=100"],
            "trainer.epochs",
            9.9,
        ),
        (
            [
                "augmentation=[flip,affine,color_jitter,random_erasing,mixup,cutmix]",
                "augmentation.affine.rotation_range=90",
            ],
            "augmentation.affine.rotation_range",
            90,
        ),
    ],
)
def test_what_makes_sense_is_what_the_command_is_given(compose, overrides, key, value):
    config, _ = compose("train", *overrides)
    assert OmegaConf.select(config, key) == value


def test_an_extended_list_of_packages_is_taken_from_the_command_line(compose):
    extended = ("targets=[cnnlab,keras,rich]", "+augmentation.theirs._target_=rich.console.Console")
    config, _ = compose("train", *extended)
    assert config.augmentation.theirs._target_ == "rich.console.Console"


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("eval", [], "give either run=RUN, a run's folder, or weights=FILE"),
        ("eval", ["weights=w.keras", "split=tset"], r"split=tset: .*; did you mean test\?"),
        ("eval", ["weights=w.keras", "tta=flip_shft"], r"tta=flip_shft: .*; did you mean flip_shift\?"),
        ("eval", ["weights=w.keras", "resume=x"], r"resume=x: only train resumes a run"),
        ("eval", ["weights=w.keras", "weights_map=m.yaml"], r"weights_map=.*m.yaml: .* weights=.*w.keras is neither"),
        (
            "train",
            ["weights_map=m.yaml"],
            r"weights_map=.*m.yaml: says which .* weights=None is neither",
        ),
        ("eval", ["weights=w.keras", "weights_head=drop"], r"weights_head=drop: only a training starts without"),
        ("train", ["weights_head=drop"], r"weights_head=drop: there are no weights to take; give weights=FILE"),
        ("train", ["weights=w.keras", "weights_head=keep"], r"weights_head=keep: must be drop or null"),
        ("predict", [], "predict: give run="),
        ("train", ["dataset=tfds"], r"^dataset\.name: has no value; give dataset\.name=…"),
        ("inspect", ["format=jsn"], r"format=jsn: .*; did you mean json\?"),
        ("doctor", ["format=xml"], r"format=xml: must be one of table, json"),
    ],
)
def test_each_command_checks_its_own_keys(compose, command, arguments, message):
    with pytest.raises(UserError, match=message):
        compose(command, *arguments)


def test_a_length_in_steps_needs_no_epochs_of_null(compose):
    with pytest.raises(UserError, match=r"^trainer\.epochs=null: leave it out; trainer\.steps=6 sets the length$"):
        compose("train", "trainer.epochs=null", "trainer.steps=6")
    compose("train", "trainer.steps=6")


def test_predict_needs_images(compose, stored_run):
    with pytest.raises(UserError, match="predict: give images="):
        compose("predict", f"run={stored_run}")


def test_a_run_and_weights_exclude_each_other(compose, stored_run):
    with pytest.raises(UserError, match=r"^weights: run=.* is taken as it was trained; leave weights out$"):
        compose("eval", f"run={stored_run}", "weights=w.keras")


@pytest.mark.parametrize("dataset", ["image_folder", "arrays", "table"])
@pytest.mark.parametrize("command", ["train", "inspect", "eval"])
def test_data_that_tells_the_classes_is_asked_for(compose, command, dataset):
    given = ["weights=w.keras"] if command == "eval" else []
    with pytest.raises(UserError, match=r"^dataset\.root=null: give dataset\.root=…, where your images are") as caught:
        compose(command, f"dataset={dataset}", *given)
    assert ("num_classes=K" in str(caught.value)) == (command == "inspect")


def test_a_number_of_classes_does_without_data_where_none_is_read(compose):
    assert compose("inspect", "dataset=image_folder", "num_classes=3")[0].dataset.num_classes == 3


def test_a_module_that_another_one_hides_is_told(compose, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "calendar.py").write_text("def build(input_shape, num_classes): ...\n")
    with pytest.raises(UserError, match=r"calendar\.py is hidden by another calendar, .*; rename yours"):
        compose("train", "targets=[cnnlab,keras,calendar]", "model._target_=calendar.build")


def test_a_syntax_error_in_a_module_of_ones_own_is_told_with_its_line(compose, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "unclosed.py").write_text("\ndef build(input_shape:\n    pass\n")
    with pytest.raises(UserError, match=rf"^model\._target_=unclosed\.build: {tmp_path}/unclosed\.py, line 2: "):
        compose("train", "targets=[cnnlab,keras,unclosed]", "model._target_=unclosed.build")


@pytest.mark.parametrize("text", ["trainer: {epochs: 1}\n", "\ufeff# @package _global_\ntrainer: {epochs: 1}\n", ""])
def test_a_recipe_whose_keys_do_not_reach_the_top_is_told_its_first_line(compose, tmp_path, text):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "low.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"^experiment=\{.*begin its file with the line `# @package _global_`"):
        compose("train", "--config-dir", str(tmp_path / "mine"), "experiment=low")


def test_of_a_model_and_a_loss_of_ones_own_the_target_is_enough(compose, tmp_path):
    for group, target in (("model", "cnnlab.models.mnist_cnn.mnist_cnn"), ("loss", "keras.losses.Poisson")):
        (tmp_path / "mine" / group).mkdir(parents=True)
        (tmp_path / "mine" / group / "mine.yaml").write_text(f"_target_: {target}\n")
    config, directory = compose("train", "--config-dir", str(tmp_path / "mine"), "model=mine", "loss=mine")
    assert (config.model.name, config.model.head, config.model.preprocessing.rescaling) == (
        "mnist_cnn",
        "softmax",
        True,
    )
    assert (config.loss.name, config.loss.class_weight) == ("Poisson", None)
    assert directory.parent.name == config.name == "mnist_cnn-digits"


@pytest.mark.parametrize("value", ["1", "2.5e-3", "true"])
def test_a_number_in_quotes_is_told_to_be_text(compose, value):
    with pytest.raises(UserError, match=rf"must be a number; '{value}' in quotes is text: leave them out$"):
        compose("train", f"trainer.epochs='{value}'")


def test_a_model_must_take_what_it_is_called_with(compose, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "their_models.py").write_text("def all(**options): ...\ndef some(input_shape, width=4): ...\n")
    (tmp_path / "model").mkdir()
    for name in ("all", "some"):
        (tmp_path / "model" / f"{name}.yaml").write_text(
            f"_target_: their_models.{name}\nname: {name}\nhead: softmax\npreprocessing: {{}}\n"
        )
    theirs = (f"--config-dir={tmp_path}", "targets=[cnnlab,keras,their_models]")
    compose("train", *theirs, "model=all")
    with pytest.raises(UserError, match=r"^model\._target_=their_models\.some: takes no num_classes; a model is"):
        compose("train", *theirs, "model=some")
