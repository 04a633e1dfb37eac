#!/usr/bin/env bash
# Train one model on several hosts. Run it on every host with the same HOSTS, the same arguments and a run
# directory they all see (a shared file system); only INDEX differs.
#   HOSTS=node1:12345,node2:12345 INDEX=0 scripts/train_multi_host.sh hydra.run.dir=/shared/run1 model=all_cnn_c
#   HOSTS=node1:12345,node2:12345 INDEX=1 scripts/train_multi_host.sh hydra.run.dir=/shared/run1 model=all_cnn_c
# To resume after a failure, start all of them again with resume=/shared/run1 instead.
set -euo pipefail
: "${HOSTS:?HOSTS=host:port,host:port,… is not set}" "${INDEX:?INDEX of this host in HOSTS, from 0, is not set}"
workers="\"${HOSTS//,/\",\"}\""
export TF_CONFIG="{\"cluster\": {\"worker\": [$workers]}, \"task\": {\"type\": \"worker\", \"index\": $INDEX}}"
exec cnnlab train trainer.strategy=multi_worker "$@"
