import java.util.Arrays;
import java.util.Locale;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * One producer, one transaction after another: begin, so many records over the partitions, commit. A transaction takes from
 * its beginning to the answer of its commit.
 *
 * Arguments: bootstrap address, topic, partitions, records a transaction, bytes a record, seconds, of which not counted.
 */
public class Transactions {
  public static void main(String[] args) {
    String topic = args[1];
    int partitions = Integer.parseInt(args[2]);
    int records = Integer.parseInt(args[3]);
    byte[] value = new byte[Integer.parseInt(args[4])];
    Arrays.fill(value, (byte) 'x');
    long seconds = Long.parseLong(args[5]);
    long uncounted = Long.parseLong(args[6]);

    Properties properties = new Properties();
    properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    properties.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, "bench");
    properties.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
    properties.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());

    long[] took = new long[2_000_000];
    int count = 0;
    try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties)) {
      producer.initTransactions();
      long start = System.nanoTime();
      long countFrom = start + uncounted * 1_000_000_000L;
      long end = start + seconds * 1_000_000_000L;
      for (int sent = 0; System.nanoTime() < end && count < took.length; ) {
        long began = System.nanoTime();
        producer.beginTransaction();
        for (int index = 0; index < records; index++) {
          producer.send(new ProducerRecord<>(topic, sent++ % partitions, null, value));
        }
        producer.commitTransaction();
        if (began >= countFrom) took[count++] = System.nanoTime() - began;
      }
    }
    long[] sorted = Arrays.copyOf(took, count);
    Arrays.sort(sorted);
    System.out.printf(
      Locale.ROOT,
      "{\"transactions\":%d,\"transactionsPerS\":%.1f,\"p50Ms\":%.3f,\"p99Ms\":%.3f}%n",
      count,
      count / (double) (seconds - uncounted),
      sorted[count / 2] / 1e6,
      sorted[(int) (count * 0.99)] / 1e6);
  }
}
