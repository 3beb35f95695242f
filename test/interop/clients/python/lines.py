"""The line protocol of a client under test: one JSON request a line on stdin, one JSON answer a line on stdout.

Bytes travel as base64 text, null as null. A record is {key, value, headers: [[name, value]], timestamp}, and has its offset
and partition when it was read.
"""
import base64
import json
import sys
import time
import traceback


def to_bytes(text):
    return None if text is None else base64.b64decode(text)


def to_text(data):
    return None if data is None else base64.b64encode(bytes(data)).decode()


def settle(ms):
    """Kafka's brokers hear of a change some time after who made it."""
    time.sleep(ms / 1000)


def headers_of(record):
    return [(name, to_bytes(value)) for name, value in record["headers"]]


def record_out(partition, offset, timestamp, key, value, headers):
    return {
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": to_text(key),
        "value": to_text(value),
        "headers": [[name, to_text(each)] for name, each in headers or []],
    }


def serve(operations):
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": operations[request["operation"]](**request["arguments"])}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
