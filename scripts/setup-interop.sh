#!/usr/bin/env bash
# Installs the Kafka clients that the interop tests run, into .cache/interop. What is there is left alone.
#
#   setup-interop.sh          Python clients, from PyPI (part of `npm test`)
#   setup-interop.sh all      also Java tools from Maven Central and Go clients from the Go module proxy
set -euo pipefail
cd "$(dirname "$0")/.."

cache="$PWD/.cache/interop"
mkdir -p "$cache"
# Test files run side by side, and each may call this.
exec 9>"$cache/lock"
flock 9

python_packages=(confluent-kafka==2.16.1 kafka-python==3.0.12 aiokafka==0.14.0 cramjam lz4 python-snappy zstandard)
python_stamp="$cache/python/${python_packages[*]}"
if [ ! -e "$python_stamp" ]; then
  echo "Installing ${python_packages[*]} ..." >&2
  rm -rf "$cache/python"
  if ! python3 -m venv "$cache/python" >&2; then
    echo "The interop tests need Python 3 with venv (as root: apt-get install python3-venv)." >&2
    exit 1
  fi
  "$cache/python/bin/pip" install -q --disable-pip-version-check "${python_packages[@]}" >&2
  touch "$python_stamp"
fi
[ "${1:-}" = all ] || exit 0

for version in 3.9.1 4.3.1; do
  [ -e "$cache/kafka-$version/complete" ] && continue
  command -v mvn >/dev/null || { echo "The Java interop tests need mvn and a JDK 17." >&2; exit 1; }
  echo "Installing Apache Kafka's tools $version ..." >&2
  rm -rf "$cache/kafka-$version"
  mvn -q -B -f scripts/interop/pom.xml "-Dkafka.version=$version" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime "-DoutputDirectory=$cache/kafka-$version" >&2
  touch "$cache/kafka-$version/complete"
done

# Kafka Streams, and what its own classes ask for when they are loaded.
streams="$cache/kafka-streams-4.3.1"
if [ ! -e "$streams/complete" ]; then
  echo "Installing Kafka Streams 4.3.1 ..." >&2
  for artifact in org.apache.kafka:kafka-streams:4.3.1 org.rocksdb:rocksdbjni:10.1.3; do
    mvn -q -B -f scripts/interop/pom.xml -Dkafka.version=4.3.1 \
      org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy "-Dartifact=$artifact" "-DoutputDirectory=$streams" >&2
  done
  touch "$streams/complete"
fi

command -v go >/dev/null || { echo "The Go interop tests need go." >&2; exit 1; }
for client in franz-go sarama; do
  (cd "test/interop/clients/go/$client" && go build -o "$cache/$client" .) >&2
done
