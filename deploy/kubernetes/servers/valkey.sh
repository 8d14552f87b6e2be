#!/bin/sh
# Follows the primary that the Sentinels name; the first pod begins as one. HOSTS is the domain of the pods.
set -eu
own="$POD_NAME.$HOSTS"
primary=$(timeout 5 valkey-cli -h "$SENTINELS" -p 26379 --no-auth-warning -a "$PASSWORD" \
  sentinel get-master-addr-by-name hitok 2>/dev/null | head -n 1) || primary=""
case "$primary" in
  "") primary="valkey-0.$HOSTS" ;;
esac
umask 077
cat >/tmp/valkey.conf <<END
port 6379
dir /data
requirepass $PASSWORD
masterauth $PASSWORD
appendonly yes
appendfsync everysec
save ""
maxmemory 400mb
maxmemory-policy volatile-ttl
replica-announce-ip $own
END
[ "$primary" = "$own" ] || echo "replicaof $primary 6379" >>/tmp/valkey.conf
exec valkey-server /tmp/valkey.conf
