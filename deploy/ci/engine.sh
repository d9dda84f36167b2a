# Starts a Docker engine for a test run, where none answers, and stops it again. To be sourced.
#
#   engine_start FOLDER   sets DOCKER_HOST when it had to start one; returns 1, with the reason on
#                         standard output, when there is no engine and none can be started
#   engine_stop           ends what engine_start started, and removes what it left
#
# The engine has its data, state and socket in FOLDER: an engine of the machine's own is not touched.

ENGINE_PID=
ENGINE_FOLDER=
ENGINE_HAD_BRIDGE=
ENGINE_START_SECONDS=60
ENGINE_STOP_SECONDS=30

# Asks over the socket, not with the docker command, which is a package of its own on some systems.
engine_answers() {
  node -e '
    const request = require("node:http").get({ socketPath: process.argv[1], path: "/_ping", timeout: 2000 }, (response) => {
      process.exit(response.statusCode === 200 ? 0 : 1);
    });
    request.on("timeout", () => process.exit(1)).on("error", () => process.exit(1));
  ' "$1"
}

engine_install() {
  command -v dockerd >/dev/null && return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo 'dockerd is not installed, and only root may install it'
    return 1
  fi
  if ! command -v apt-get >/dev/null; then
    echo 'dockerd is not installed, and without apt-get this script cannot install it'
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get -q update && apt-get -q install -y --no-install-recommends docker.io; } >"$1/apt.log" 2>&1; then
    echo "docker.io could not be installed: $(tail -n 1 "$1/apt.log")"
    return 1
  fi
}

engine_start() {
  if [ -n "${DOCKER_HOST:-}" ] || engine_answers /var/run/docker.sock; then
    echo "Docker engine: the one at ${DOCKER_HOST:-/var/run/docker.sock}"
    return 0
  fi
  mkdir -p "$1"
  engine_install "$1" || return 1
  if [ "$(id -u)" -ne 0 ]; then
    echo 'no engine answers, and only root may start one'
    return 1
  fi
  ENGINE_FOLDER=$1
  [ -e /sys/class/net/docker0 ] && ENGINE_HAD_BRIDGE=yes
  dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/dockerd.pid" \
    --host "unix://$1/docker.sock" >"$1/dockerd.log" 2>&1 </dev/null &
  ENGINE_PID=$!
  local deadline=$((SECONDS + ENGINE_START_SECONDS))
  until engine_answers "$1/docker.sock"; do
    if ! kill -0 "$ENGINE_PID" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
      echo "dockerd did not start: $(tail -n 1 "$1/dockerd.log")"
      engine_stop
      return 1
    fi
    sleep 0.2
  done
  export DOCKER_HOST="unix://$1/docker.sock"
  echo 'Docker engine: started for this run'
}

engine_stop() {
  [ -n "$ENGINE_PID" ] || return 0
  kill -TERM "$ENGINE_PID" 2>/dev/null
  local deadline=$((SECONDS + ENGINE_STOP_SECONDS))
  while kill -0 "$ENGINE_PID" 2>/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$ENGINE_PID" 2>/dev/null
    sleep 0.2
  done
  wait "$ENGINE_PID" 2>/dev/null
  ENGINE_PID=
  unset DOCKER_HOST
  # The engine leaves its bridge and the mounts of its networks behind.
  if [ -z "$ENGINE_HAD_BRIDGE" ] && command -v ip >/dev/null; then
    ip link delete docker0 2>/dev/null
  fi
  awk -v under="$ENGINE_FOLDER/" 'index($2, under) == 1 { print $2 }' /proc/mounts |
    sort -r | while read -r mount; do umount -l "$mount"; done
}
