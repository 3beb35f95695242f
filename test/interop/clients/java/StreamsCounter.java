// Counts words with Kafka Streams: lines -> words, repartitioned by word -> counts in memory with a changelog.
// Runs until its stdin ends, or it is killed. Says READY when it runs.
import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

public class StreamsCounter {
  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("application.id", args[1]);
    properties.put("client.id", args[2]);
    properties.put("state.dir", args[3]);
    properties.put("group.protocol", "streams");
    properties.put("processing.guarantee", "exactly_once_v2");
    properties.put("commit.interval.ms", "100");
    properties.put("statestore.cache.max.bytes", "0");
    properties.put("default.key.serde", Serdes.String().getClass().getName());
    properties.put("default.value.serde", Serdes.String().getClass().getName());
    properties.put("consumer.auto.offset.reset", "earliest");

    StreamsBuilder builder = new StreamsBuilder();
    builder.<String, String>stream("lines")
        .flatMapValues(line -> Arrays.asList(line.split(" ")))
        .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
        .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts"))
            .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
        .toStream()
        .mapValues(count -> Long.toString(count))
        .to("counts", Produced.with(Serdes.String(), Serdes.String()));

    KafkaStreams streams = new KafkaStreams(builder.build(), properties);
    streams.setStateListener((now, before) -> {
      if (now == KafkaStreams.State.RUNNING) System.out.println("READY");
      if (now == KafkaStreams.State.ERROR) System.exit(1);
    });
    streams.start();
    while (System.in.read() >= 0) { }
    streams.close(Duration.ofSeconds(20));
    System.out.println("CLOSED");
  }
}
