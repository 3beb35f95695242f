// Apache Kafka's own client behind the line protocol of the clients under test (see ../python/lines.py).
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class JavaClient {
  static final ObjectMapper JSON = new ObjectMapper();
  static final int WAIT_MS = 20_000;

  static byte[] toBytes(JsonNode text) {
    return text == null || text.isNull() ? null : Base64.getDecoder().decode(text.asText());
  }

  static String toText(byte[] data) {
    return data == null ? null : Base64.getEncoder().encodeToString(data);
  }

  static Properties properties(String address) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", address);
    properties.put("request.timeout.ms", String.valueOf(WAIT_MS));
    properties.put("default.api.timeout.ms", String.valueOf(WAIT_MS));
    return properties;
  }

  static KafkaProducer<byte[], byte[]> producer(Properties properties) {
    return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
  }

  static JsonNode produce(JsonNode a) throws Exception {
    Properties properties = properties(a.get("address").asText());
    properties.put("compression.type", a.get("codec").asText());
    properties.put("enable.idempotence", a.get("idempotent").asText());
    properties.put("linger.ms", "50");
    ArrayNode offsets = JSON.createArrayNode();
    try (KafkaProducer<byte[], byte[]> producer = producer(properties)) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (JsonNode each : a.get("records")) {
        ProducerRecord<byte[], byte[]> record =
            new ProducerRecord<>(
                a.get("topic").asText(), 0, each.get("timestamp").asLong(), toBytes(each.get("key")), toBytes(each.get("value")));
        for (JsonNode header : each.get("headers")) record.headers().add(header.get(0).asText(), toBytes(header.get(1)));
        sent.add(producer.send(record));
      }
      for (Future<RecordMetadata> each : sent) offsets.add(each.get().offset());
    }
    ObjectNode result = JSON.createObjectNode();
    result.set("offsets", offsets);
    return result;
  }

  static JsonNode take(KafkaConsumer<byte[], byte[]> consumer, int count) {
    ArrayNode records = JSON.createArrayNode();
    long deadline = System.nanoTime() + WAIT_MS * 1_000_000L;
    while (records.size() < count && System.nanoTime() < deadline) {
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
        ObjectNode out = records.addObject();
        out.put("partition", record.partition()).put("offset", record.offset()).put("timestamp", record.timestamp());
        out.put("key", toText(record.key())).put("value", toText(record.value()));
        ArrayNode headers = out.putArray("headers");
        for (Header header : record.headers()) headers.addArray().add(header.key()).add(toText(header.value()));
      }
    }
    ObjectNode result = JSON.createObjectNode();
    result.set("records", records);
    return result;
  }

  static KafkaConsumer<byte[], byte[]> consumer(Properties properties) {
    properties.put("enable.auto.commit", "false");
    properties.put("auto.offset.reset", "earliest");
    return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  static JsonNode consume(JsonNode a) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(properties(a.get("address").asText()))) {
      List<TopicPartition> partitions = List.of(new TopicPartition(a.get("topic").asText(), 0));
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      return take(consumer, a.get("count").asInt());
    }
  }

  // The class came with 4.0, and this program also runs with older clients.
  static void subscribe(KafkaConsumer<byte[], byte[]> consumer, String topic) throws Exception {
    if (!topic.startsWith("^")) {
      consumer.subscribe(List.of(topic));
      return;
    }
    Class<?> pattern = Class.forName("org.apache.kafka.clients.consumer.SubscriptionPattern");
    consumer.getClass().getMethod("subscribe", pattern).invoke(consumer, pattern.getConstructor(String.class).newInstance(topic));
  }

  static JsonNode group(JsonNode a) throws Exception {
    Properties properties = properties(a.get("address").asText());
    properties.put("group.id", a.get("group").asText());
    properties.put("group.protocol", a.get("protocol").asText());
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(properties)) {
      subscribe(consumer, a.get("topic").asText());
      JsonNode records = take(consumer, a.get("count").asInt());
      consumer.commitSync();
      return records;
    }
  }

  static String setting(Admin admin, ConfigResource resource) throws Exception {
    return admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value();
  }

  static JsonNode admin(JsonNode a) throws Exception {
    String topic = a.get("topic").asText();
    long settleMs = a.get("settleMs").asLong();
    TopicPartition first = new TopicPartition(topic, 0);
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    ObjectNode result = JSON.createObjectNode();
    try (Admin admin = Admin.create(properties(a.get("address").asText()))) {
      admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "60000")))).all().get();
      Thread.sleep(settleMs);
      result.put("retention", setting(admin, resource));
      Collection<AlterConfigOp> changes =
          List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "120000"), AlterConfigOp.OpType.SET));
      admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
      Thread.sleep(settleMs);
      result.put("altered", setting(admin, resource));
      admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
      Thread.sleep(settleMs);
      result.put("partitions", admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
      try (KafkaProducer<byte[], byte[]> producer = producer(properties(a.get("address").asText()))) {
        for (int count = 0; count < 3; count++) producer.send(new ProducerRecord<>(topic, 0, null, new byte[] {97})).get();
      }
      admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(2))).all().get();
      result.put("first", admin.listOffsets(Map.of(first, OffsetSpec.earliest())).partitionResult(first).get().offset());
      result.put("last", admin.listOffsets(Map.of(first, OffsetSpec.latest())).partitionResult(first).get().offset());
      result.put("brokers", admin.describeCluster().nodes().get().size());
      result.put("clusterId", admin.describeCluster().clusterId().get());
      admin.deleteTopics(List.of(topic)).all().get();
      Thread.sleep(settleMs);
      result.put("deleted", !admin.listTopics().names().get().contains(topic));
    }
    return result;
  }

  static JsonNode transactions(JsonNode a) throws Exception {
    String topic = a.get("topic").asText();
    Properties properties = properties(a.get("address").asText());
    properties.put("transactional.id", topic + "-tx");
    try (KafkaProducer<byte[], byte[]> producer = producer(properties)) {
      producer.initTransactions();
      for (String value : List.of("first", "never", "second")) {
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, 0, null, value.getBytes())).get();
        if (value.equals("second")) {
          TopicPartition input = new TopicPartition(a.get("input").asText(), 0);
          ConsumerGroupMetadata group = new ConsumerGroupMetadata(a.get("group").asText());
          producer.sendOffsetsToTransaction(Map.of(input, new OffsetAndMetadata(7)), group);
        }
        if (value.equals("never")) producer.abortTransaction();
        else producer.commitTransaction();
      }
    }
    return null;
  }

  static JsonNode answer(String operation, JsonNode arguments) throws Exception {
    return switch (operation) {
      case "version" -> JSON.getNodeFactory().textNode(AppInfoParser.getVersion());
      case "produce" -> produce(arguments);
      case "consume" -> consume(arguments);
      case "group" -> group(arguments);
      case "admin" -> admin(arguments);
      default -> transactions(arguments);
    };
  }

  public static void main(String[] args) throws Exception {
    PrintStream answers = System.out;
    System.setOut(System.err);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonNode request = JSON.readTree(line);
      ObjectNode out = JSON.createObjectNode();
      try {
        out.set("result", answer(request.get("operation").asText(), request.get("arguments")));
      } catch (Exception error) {
        error.printStackTrace();
        out.put("error", error.toString());
      }
      answers.println(JSON.writeValueAsString(out));
      answers.flush();
    }
  }
}
