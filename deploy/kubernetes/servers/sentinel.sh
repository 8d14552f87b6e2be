#!/bin/sh
# What a Sentinel learns is written into its configuration, which lives as long as its volume.
set -eu
if [ ! -f /data/sentinel.conf ]; then
  umask 077
  cat >/data/sentinel.conf.new <<END
port 26379
dir /data
requirepass $PASSWORD
sentinel sentinel-pass $PASSWORD
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $POD_NAME.$SENTINELS
sentinel monitor hitok valkey-0.$HOSTS 6379 2
sentinel auth-pass hitok $PASSWORD
sentinel down-after-milliseconds hitok 3000
sentinel failover-timeout hitok 15000
END
  mv /data/sentinel.conf.new /data/sentinel.conf
fi
exec valkey-server /data/sentinel.conf --sentinel
