"""confluent-kafka: librdkafka as Python programs use it."""
import time

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from lines import headers_of, record_out, serve, settle, to_bytes

WAIT_S = 20


def version():
    return f"{confluent_kafka.version()[0] if isinstance(confluent_kafka.version(), tuple) else confluent_kafka.version()} (librdkafka {confluent_kafka.libversion()[0]})"


def produce(address, topic, codec, idempotent, records):
    producer = Producer({"bootstrap.servers": address, "compression.type": codec, "enable.idempotence": idempotent})
    reports = []
    for record in records:
        producer.produce(
            topic,
            partition=0,
            key=to_bytes(record["key"]),
            value=to_bytes(record["value"]),
            headers=headers_of(record),
            timestamp=record["timestamp"],
            on_delivery=lambda error, message: reports.append((error, message)),
        )
    producer.flush(WAIT_S)
    failed = [str(error) for error, _ in reports if error]
    if failed or len(reports) != len(records):
        raise RuntimeError(f"{failed} {len(reports)} of {len(records)} delivered")
    return {"offsets": [message.offset() for _, message in reports]}


def record_of(message):
    return record_out(
        message.partition(), message.offset(), message.timestamp()[1], message.key(), message.value(), message.headers()
    )


def poll(consumer, count):
    records = []
    deadline = time.monotonic() + WAIT_S
    while len(records) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            raise RuntimeError(str(message.error()))
        records.append(record_of(message))
    return records


def consume(address, topic, count):
    consumer = Consumer({"bootstrap.servers": address, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        return {"records": poll(consumer, count)}
    finally:
        consumer.close()


def group(address, topic, group, count, protocol):
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": group,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    try:
        records = poll(consumer, count)
        consumer.commit(asynchronous=False)
        return {"records": records}
    finally:
        consumer.close()


def only(futures):
    (future,) = futures.values()
    return future.result(WAIT_S)


def admin(address, topic, settleMs):
    client = AdminClient({"bootstrap.servers": address})
    only(client.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1, config={"retention.ms": "60000"})]))
    settle(settleMs)
    resource = ConfigResource(ResourceType.TOPIC, topic)
    config = only(client.describe_configs([resource]))
    retention = config["retention.ms"].value
    changed = ConfigEntry("retention.ms", "120000", incremental_operation=AlterConfigOpType.SET)
    only(client.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[changed])]))
    settle(settleMs)
    altered = only(client.describe_configs([resource]))["retention.ms"].value
    only(client.create_partitions([NewPartitions(topic, 5)]))
    settle(settleMs)
    partitions = len(client.list_topics(topic, timeout=WAIT_S).topics[topic].partitions)
    produce(address, topic, "none", False, [{"key": None, "value": "YQ==", "headers": [], "timestamp": 1} for _ in range(3)])
    only(client.delete_records([TopicPartition(topic, 0, 2)]))
    first = only(client.list_offsets({TopicPartition(topic, 0): OffsetSpec.earliest()})).offset
    last = only(client.list_offsets({TopicPartition(topic, 0): OffsetSpec.latest()})).offset
    cluster = client.describe_cluster().result(WAIT_S)
    only(client.delete_topics([topic]))
    settle(settleMs)
    return {
        "retention": retention,
        "altered": altered,
        "partitions": partitions,
        "first": first,
        "last": last,
        "brokers": len(cluster.nodes),
        "clusterId": cluster.cluster_id,
        "deleted": topic not in client.list_topics(timeout=WAIT_S).topics,
    }


def transactions(address, topic, input, group):
    producer = Producer({"bootstrap.servers": address, "transactional.id": f"{topic}-tx"})
    consumer = Consumer({"bootstrap.servers": address, "group.id": group})
    producer.init_transactions(WAIT_S)
    for value, is_committed in [("first", True), ("never", False), ("second", True)]:
        producer.begin_transaction()
        producer.produce(topic, partition=0, value=value)
        producer.flush(WAIT_S)
        if value == "second":
            offsets = [TopicPartition(input, 0, 7)]
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), WAIT_S)
        if is_committed:
            producer.commit_transaction(WAIT_S)
        else:
            producer.abort_transaction(WAIT_S)
    consumer.close()


serve({name: globals()[name] for name in ["version", "produce", "consume", "group", "admin", "transactions"]})
