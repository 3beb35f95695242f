/*
 * One JVM writes records at a fixed rate and reads them back: latency from the instant a record was due to the instant a
 * consumer had it.
 *
 * Arguments: address, topic, records per second, seconds, seconds that are not counted, record size.
 */
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class EndToEnd {
  public static void main(String[] args) throws Exception {
    String address = args[0];
    String topic = args[1];
    int perSecond = Integer.parseInt(args[2]);
    int total = perSecond * Integer.parseInt(args[3]);
    int uncounted = perSecond * Integer.parseInt(args[4]);
    int size = Integer.parseInt(args[5]);
    long[] latencies = new long[total];
    CountDownLatch assigned = new CountDownLatch(1);
    Thread reader = new Thread(() -> read(address, topic, latencies, assigned));
    reader.start();
    assigned.await();
    write(address, topic, perSecond, total, size);
    reader.join();
    long[] counted = Arrays.copyOfRange(latencies, uncounted, total);
    Arrays.sort(counted);
    System.out.printf(
        "{\"p50Ms\": %.3f, \"p99Ms\": %.3f, \"maxMs\": %.3f}%n",
        counted[counted.length / 2] / 1e6,
        counted[(int) (counted.length * 0.99)] / 1e6,
        counted[counted.length - 1] / 1e6);
  }

  private static void write(String address, String topic, int perSecond, int total, int size) throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", address, "acks", "all", "linger.ms", "0");
    try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      long startedNs = System.nanoTime();
      for (int index = 0; index < total; index++) {
        long dueNs = startedNs + index * 1_000_000_000L / perSecond;
        long aheadNs = dueNs - System.nanoTime();
        if (aheadNs > 0) Thread.sleep(aheadNs / 1_000_000, (int) (aheadNs % 1_000_000));
        byte[] value = new byte[size];
        ByteBuffer.wrap(value).putLong(dueNs);
        producer.send(new ProducerRecord<>(topic, value));
      }
    }
  }

  private static void read(String address, String topic, long[] latencies, CountDownLatch assigned) {
    Map<String, Object> settings = Map.of("bootstrap.servers", address, "fetch.min.bytes", "1");
    try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      TopicPartition partition = new TopicPartition(topic, 0);
      consumer.assign(List.of(partition));
      consumer.seekToEnd(List.of(partition));
      consumer.position(partition);
      assigned.countDown();
      for (int count = 0; count < latencies.length; ) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
          latencies[count++] = System.nanoTime() - ByteBuffer.wrap(record.value()).getLong();
        }
      }
    }
  }
}
