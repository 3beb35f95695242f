"""aiokafka: a client for asyncio."""
import asyncio

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from lines import headers_of, record_out, serve, to_bytes

WAIT_S = 20


def version():
    return aiokafka.__version__


async def produce(address, topic, codec, idempotent, records):
    producer = AIOKafkaProducer(
        bootstrap_servers=address,
        compression_type=None if codec == "none" else codec,
        enable_idempotence=idempotent,
        linger_ms=50,
    )
    await producer.start()
    try:
        sent = [
            await producer.send(
                topic,
                partition=0,
                key=to_bytes(record["key"]),
                value=to_bytes(record["value"]),
                headers=headers_of(record),
                timestamp_ms=record["timestamp"],
            )
            for record in records
        ]
        return {"offsets": [(await future).offset for future in sent]}
    finally:
        await producer.stop()


async def take(consumer, count):
    records = []
    async with asyncio.timeout(WAIT_S):
        async for message in consumer:
            records.append(
                record_out(
                    message.partition, message.offset, message.timestamp, message.key, message.value, message.headers
                )
            )
            if len(records) == count:
                return records


async def consume(address, topic, count):
    consumer = AIOKafkaConsumer(bootstrap_servers=address)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return {"records": await take(consumer, count)}
    finally:
        await consumer.stop()


async def group(address, topic, group, count, protocol):
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        records = await take(consumer, count)
        await consumer.commit()
        return {"records": records}
    finally:
        await consumer.stop()


async def setting(client, topic, name):
    (answer,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    for _code, _message, _type, _resource, entries in answer.resources:
        for entry in entries:
            if entry[0] == name:
                return entry[1]
    return None


async def admin(address, topic, settleMs):
    client = AIOKafkaAdminClient(bootstrap_servers=address)
    await client.start()
    try:
        await client.create_topics([NewTopic(topic, 3, 1, topic_configs={"retention.ms": "60000"})])
        await asyncio.sleep(settleMs / 1000)
        retention = await setting(client, topic, "retention.ms")
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "120000"})])
        await asyncio.sleep(settleMs / 1000)
        altered = await setting(client, topic, "retention.ms")
        await client.create_partitions({topic: NewPartitions(5)})
        await asyncio.sleep(settleMs / 1000)
        (described,) = await client.describe_topics([topic])
        one = {"key": None, "value": "YQ==", "headers": [], "timestamp": 1}
        await produce(address, topic, "none", False, [one] * 3)
        from aiokafka.admin import RecordsToDelete

        partition = TopicPartition(topic, 0)
        await client.delete_records({partition: RecordsToDelete(before_offset=2)})
        consumer = AIOKafkaConsumer(bootstrap_servers=address)
        await consumer.start()
        first = (await consumer.beginning_offsets([partition]))[partition]
        last = (await consumer.end_offsets([partition]))[partition]
        await consumer.stop()
        cluster = await client.describe_cluster()
        await client.delete_topics([topic])
        await asyncio.sleep(settleMs / 1000)
        deleted = topic not in await client.list_topics()
        return {
            "retention": retention,
            "altered": altered,
            "partitions": len(described["partitions"]),
            "first": first,
            "last": last,
            "brokers": len(cluster["brokers"]),
            "clusterId": cluster["cluster_id"],
            "deleted": deleted,
        }
    finally:
        await client.close()


async def transactions(address, topic, input, group):
    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id=f"{topic}-tx")
    await producer.start()
    try:
        for value, is_committed in [(b"first", True), (b"never", False), (b"second", True)]:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, value, partition=0)
            if value == b"second":
                await producer.send_offsets_to_transaction({TopicPartition(input, 0): 7}, group)
            await (producer.commit_transaction() if is_committed else producer.abort_transaction())
    finally:
        await producer.stop()


def waited(operation):
    return lambda **arguments: asyncio.run(operation(**arguments))


serve({"version": version} | {each.__name__: waited(each) for each in [produce, consume, group, admin, transactions]})
