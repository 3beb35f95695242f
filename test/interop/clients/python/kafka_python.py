"""kafka-python: a client in Python alone."""
import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic

from lines import headers_of, record_out, serve, settle, to_bytes

WAIT_MS = 20_000


def version():
    return kafka.__version__


def produce(address, topic, codec, idempotent, records):
    producer = KafkaProducer(
        bootstrap_servers=address,
        compression_type=None if codec == "none" else codec,
        enable_idempotence=idempotent,
        linger_ms=50,
    )
    try:
        sent = [
            producer.send(
                topic,
                partition=0,
                key=to_bytes(record["key"]),
                value=to_bytes(record["value"]),
                headers=headers_of(record),
                timestamp_ms=record["timestamp"],
            )
            for record in records
        ]
        return {"offsets": [future.get(WAIT_MS / 1000).offset for future in sent]}
    finally:
        producer.close(timeout=5)


def take(consumer, count):
    records = []
    for message in consumer:
        records.append(
            record_out(message.partition, message.offset, message.timestamp, message.key, message.value, message.headers)
        )
        if len(records) == count:
            break
    return records


def consume(address, topic, count):
    consumer = KafkaConsumer(bootstrap_servers=address, consumer_timeout_ms=WAIT_MS)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    try:
        return {"records": take(consumer, count)}
    finally:
        consumer.close()


def group(address, topic, group, count, protocol):
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=WAIT_MS,
    )
    try:
        records = take(consumer, count)
        consumer.commit()
        return {"records": records}
    finally:
        consumer.close()


def setting(client, topic, name):
    described = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return find_value(described, name)


def find_value(node, name):
    """Versions of kafka-python shape this answer differently: dictionaries, or responses with lists of tuples."""
    if isinstance(node, dict):
        if name in node:
            held = node[name]
            return held["value"] if isinstance(held, dict) else getattr(held, "value", held)
        parts = list(node.values())
    elif isinstance(node, (list, tuple)):
        if len(node) > 1 and node[0] == name:
            return node[1]
        parts = list(node)
    elif hasattr(node, "resources"):
        parts = list(node.resources)
    else:
        parts = []
    for part in parts:
        found = find_value(part, name)
        if found is not None:
            return found
    return None


def admin(address, topic, settleMs):
    client = KafkaAdminClient(bootstrap_servers=address)
    client.create_topics([NewTopic(topic, 3, 1, topic_configs={"retention.ms": "60000"})])
    settle(settleMs)
    retention = setting(client, topic, "retention.ms")
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "120000"})])
    settle(settleMs)
    altered = setting(client, topic, "retention.ms")
    client.create_partitions({topic: NewPartitions(5)})
    settle(settleMs)
    partitions = len(client.describe_topics([topic])[0]["partitions"])
    produce(address, topic, "none", False, [{"key": None, "value": "YQ==", "headers": [], "timestamp": 1} for _ in range(3)])
    partition = TopicPartition(topic, 0)
    client.delete_records({partition: 2})
    consumer = KafkaConsumer(bootstrap_servers=address)
    first = consumer.beginning_offsets([partition])[partition]
    last = consumer.end_offsets([partition])[partition]
    consumer.close()
    cluster = client.describe_cluster()
    client.delete_topics([topic])
    settle(settleMs)
    deleted = topic not in client.list_topics()
    client.close()
    return {
        "retention": retention,
        "altered": altered,
        "partitions": partitions,
        "first": first,
        "last": last,
        "brokers": len(cluster["brokers"]),
        "clusterId": cluster["cluster_id"],
        "deleted": deleted,
    }


def transactions(address, topic, input, group):
    producer = KafkaProducer(bootstrap_servers=address, transactional_id=f"{topic}-tx", max_block_ms=WAIT_MS)
    try:
        producer.init_transactions()
        for value, is_committed in [(b"first", True), (b"never", False), (b"second", True)]:
            producer.begin_transaction()
            producer.send(topic, value, partition=0).get(WAIT_MS / 1000)
            if value == b"second":
                offsets = {TopicPartition(input, 0): OffsetAndMetadata(7, "", -1)}
                producer.send_offsets_to_transaction(offsets, group)
            if is_committed:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
    finally:
        producer.close(timeout=1)


serve({name: globals()[name] for name in ["version", "produce", "consume", "group", "admin", "transactions"]})
