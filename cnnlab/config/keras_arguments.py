"""The arguments of the Keras classes a configuration may name, so that they are checked before Keras is imported.

Only read as source (cnnlab/config/signatures.py), never imported. Each namespace of Keras is a class, each of its
classes a signature; a namespace without any is not checked early. A test compares all of it with the
installed Keras.
"""

from typing import Any, Literal, TypedDict, Unpack

from cnnlab.config.durations import DurationLike


class optimizers:
    class _Common(TypedDict):
        weight_decay: float | None
        clipnorm: float | None
        clipvalue: float | None
        global_clipnorm: float | None
        use_ema: bool
        ema_momentum: float
        ema_overwrite_frequency: int | None
        loss_scale_factor: float | None
        gradient_accumulation_steps: int | None
        name: str | None

    def Adadelta(learning_rate: float, rho: float, epsilon: float, **common: Unpack[_Common]): ...
    def Adafactor(
        learning_rate: float,
        beta_2_decay: float,
        epsilon_1: float,
        epsilon_2: float,
        clip_threshold: float,
        relative_step: bool,
        **common: Unpack[_Common],
    ): ...
    def Adagrad(learning_rate: float, initial_accumulator_value: float, epsilon: float, **common: Unpack[_Common]): ...
    def Adam(
        learning_rate: float, beta_1: float, beta_2: float, epsilon: float, amsgrad: bool, **common: Unpack[_Common]
    ): ...
    def AdamW(
        learning_rate: float, beta_1: float, beta_2: float, epsilon: float, amsgrad: bool, **common: Unpack[_Common]
    ): ...
    def Adamax(learning_rate: float, beta_1: float, beta_2: float, epsilon: float, **common: Unpack[_Common]): ...
    def Ftrl(
        learning_rate: float,
        learning_rate_power: float,
        initial_accumulator_value: float,
        l1_regularization_strength: float,
        l2_regularization_strength: float,
        l2_shrinkage_regularization_strength: float,
        beta: float,
        **common: Unpack[_Common],
    ): ...
    def Lamb(learning_rate: float, beta_1: float, beta_2: float, epsilon: float, **common: Unpack[_Common]): ...
    def Lion(learning_rate: float, beta_1: float, beta_2: float, **common: Unpack[_Common]): ...
    def Muon(
        learning_rate: float,
        adam_beta_1: float,
        adam_beta_2: float,
        adam_weight_decay: float,
        epsilon: float,
        exclude_layers: Any,
        exclude_embeddings: bool,
        muon_a: float,
        muon_b: float,
        muon_c: float,
        adam_lr_ratio: float,
        momentum: float,
        ns_steps: int,
        nesterov: bool,
        rms_rate: float,
        **common: Unpack[_Common],
    ): ...
    def Nadam(learning_rate: float, beta_1: float, beta_2: float, epsilon: float, **common: Unpack[_Common]): ...
    def RMSprop(
        learning_rate: float, rho: float, momentum: float, epsilon: float, centered: bool, **common: Unpack[_Common]
    ): ...
    def SGD(learning_rate: float, momentum: float, nesterov: bool, **common: Unpack[_Common]): ...
    def ScheduleFreeAdamW(
        learning_rate: float, beta_1: float, beta_2: float, epsilon: float, warmup_steps: int, **common: Unpack[_Common]
    ): ...

    class schedules:
        def CosineDecay(
            initial_learning_rate: float,
            decay_steps: DurationLike,
            alpha: float,
            name: str,
            warmup_target: float | None,
            warmup_steps: DurationLike,
        ): ...
        def CosineDecayRestarts(
            initial_learning_rate: float,
            first_decay_steps: DurationLike,
            t_mul: float,
            m_mul: float,
            alpha: float,
            name: str,
        ): ...
        def ExponentialDecay(
            initial_learning_rate: float, decay_steps: DurationLike, decay_rate: float, staircase: bool, name: str
        ): ...
        def InverseTimeDecay(
            initial_learning_rate: float, decay_steps: DurationLike, decay_rate: float, staircase: bool, name: str
        ): ...
        def PiecewiseConstantDecay(boundaries: list[DurationLike], values: list[float], name: str): ...
        def PolynomialDecay(
            initial_learning_rate: float,
            decay_steps: DurationLike,
            end_learning_rate: float,
            power: float,
            cycle: bool,
            name: str,
        ): ...


class initializers:
    class _Fans(TypedDict):
        seed: int | None
        input_axes: list[int] | None
        output_axes: list[int] | None

    def Constant(value: float): ...
    def GlorotNormal(**common: Unpack[_Fans]): ...
    def GlorotUniform(**common: Unpack[_Fans]): ...
    def HeNormal(**common: Unpack[_Fans]): ...
    def HeUniform(**common: Unpack[_Fans]): ...
    def Identity(gain: float): ...
    def LecunNormal(**common: Unpack[_Fans]): ...
    def LecunUniform(**common: Unpack[_Fans]): ...
    def Ones(): ...
    def Orthogonal(gain: float, seed: int | None): ...
    def RandomNormal(mean: float, stddev: float, seed: int | None): ...
    def RandomUniform(minval: float, maxval: float, seed: int | None): ...
    def TruncatedNormal(mean: float, stddev: float, seed: int | None): ...
    def VarianceScaling(
        scale: float,
        mode: Literal["fan_in", "fan_out", "fan_avg"],
        distribution: Literal["truncated_normal", "normal", "untruncated_normal", "uniform"],
        **common: Unpack[_Fans],
    ): ...
    def Zeros(): ...


class callbacks:
    _Mode = Literal["auto", "min", "max"]

    def BackupAndRestore(backup_dir: str, save_freq: str | int, double_checkpoint: bool, delete_checkpoint: bool): ...
    def CSVLogger(filename: str, separator: str, append: bool): ...
    def EarlyStopping(
        monitor: str,
        min_delta: float,
        patience: int,
        verbose: int,
        mode: _Mode,
        baseline: float | None,
        restore_best_weights: bool,
        start_from_epoch: int,
    ): ...
    def LearningRateScheduler(schedule: Any, verbose: int): ...
    def ModelCheckpoint(
        filepath: str,
        monitor: str,
        verbose: int,
        save_best_only: bool,
        save_weights_only: bool,
        mode: _Mode,
        save_freq: str | int,
        initial_value_threshold: float | None,
    ): ...
    def ReduceLROnPlateau(
        monitor: str,
        factor: float,
        patience: int,
        verbose: int,
        mode: _Mode,
        min_delta: float,
        cooldown: int,
        min_lr: float,
    ): ...
    def RemoteMonitor(root: str, path: str, field: str, headers: dict | None, send_as_json: bool): ...
    def SwapEMAWeights(swap_on_epoch: bool): ...
    def TensorBoard(
        log_dir: str,
        histogram_freq: int,
        write_graph: bool,
        write_images: bool,
        write_steps_per_second: bool,
        update_freq: str | int,
        profile_batch: int | list[int],
        embeddings_freq: int,
        embeddings_metadata: dict | None,
    ): ...
    def TerminateOnNaN(raise_error: bool): ...


class applications: ...


class constraints: ...


class layers: ...


class losses: ...


class metrics: ...


class models: ...


class regularizers: ...
