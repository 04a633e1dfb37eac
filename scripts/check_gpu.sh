#!/usr/bin/env bash
# Check cnnlab on the GPUs of this machine, in some minutes, and leave one report: trainings with and without XLA, with 1
# and 8 updates per call, resumed, and on two GPUs must come to the same weights, as far as rounding allows.
#   scripts/check_gpu.sh [FOLDER]        the report is FOLDER/report.txt; exit code 1 where something differs
set -uo pipefail
folder="${1:-outputs/check_gpu-$(date +%Y%m%d-%H%M%S)}"
mkdir -p "$folder"
report="$folder/report.txt"
failed=0
common=(model=mnist_cnn model.dropout=0 augmentation=shift optimizer=sgd trainer.steps=16 trainer.steps_per_epoch=8 trainer.batch_size=128
    trainer.precision=float32 trainer.progress=plain seed=0) # few updates, as rounding grows with each; XLA drops other units

train() { # NAME overrides…
    local name="$1"
    shift
    echo "training $name …" >&2
    cnnlab train "${common[@]}" "$@" hydra.run.dir="$folder/$name" >"$folder/$name.log" 2>&1 ||
        tell "$name: exit code $?; see $folder/$name.log"
}

tell() {
    failed=1
    echo "FAILED $1" | tee -a "$report"
}

same() { # NAME OTHER TOLERANCE
    python - "$folder/$1/last.keras" "$folder/$2/last.keras" "$3" >>"$report" 2>"$folder/compare.log" <<'PYTHON' ||
import sys
import cnnlab, keras, numpy as np
one, other = (keras.models.load_model(path).get_weights() for path in sys.argv[1:3])
difference = max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))
print(f"{sys.argv[1].split('/')[-2]} and {sys.argv[2].split('/')[-2]}: weights differ by at most {difference:.2g}")
sys.exit(difference > float(sys.argv[3]))
PYTHON
        tell "$1 and $2 differ by more than $3, or one is missing"
}

cnnlab doctor format=json >"$report" 2>"$folder/doctor.log" || tell "doctor: see $folder/doctor.log"
cnnlab inspect placement=true "${common[@]:0:3}" 2>/dev/null | tail -n 1 >>"$report"
gpus="$(python -c 'import tensorflow as tf; print(len(tf.config.list_physical_devices("GPU")))' 2>/dev/null)"
echo "GPUs: $gpus" >>"$report"

one=(trainer.strategy=one_device)
train plain "${one[@]}" trainer.jit=false trainer.steps_per_call=1
train xla "${one[@]}" trainer.jit=true trainer.steps_per_call=1
train calls "${one[@]}" trainer.jit=false trainer.steps_per_call=8
train cut "${one[@]}" trainer.jit=false trainer.steps_per_call=1 trainer.steps=8
cnnlab train resume="$folder/cut" trainer.steps=16 >>"$folder/cut.log" 2>&1 || tell "resume: see $folder/cut.log"
same plain cut 1e-3
same plain calls 1e-3
same plain xla 1e-3
if [ "${gpus:-0}" -ge 2 ]; then
    train two trainer.strategy=mirrored trainer.devices=2
    same plain two 1e-3
fi
grep -h "^epoch 2/2" "$folder"/*.log >>"$report"
cnnlab train "${common[@]}" trainer.precision=auto hydra.run.dir="$folder/auto" >"$folder/auto.log" 2>&1 ||
    tell "precision auto: see $folder/auto.log"
grep -h "^epoch 2/2" "$folder/auto.log" >>"$report"
[ "$failed" = 0 ] && echo "all passed" >>"$report"
cat "$report"
exit "$failed"
