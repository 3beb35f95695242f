// Members of a share group: each record is worked on as its value says, and every step is a line on stdout.
//
//   release...  given back at the first delivery, accepted at the second
//   reject...   rejected
//   renew...    held on to, and accepted later
//   anything    accepted
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

public class ShareMembers {
  static final AtomicInteger finished = new AtomicInteger();
  static final Set<Long> renewed = ConcurrentHashMap.newKeySet();

  static synchronized void say(String member, String what, ConsumerRecord<String, String> record) {
    System.out.println(member + " " + what + " " + record.offset() + " " + record.deliveryCount().get());
  }

  static Properties properties(String address, String group, String member) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", address);
    properties.put("group.id", group);
    properties.put("client.id", member);
    properties.put("max.poll.records", "10");
    properties.put("share.acknowledgement.mode", "explicit");
    return properties;
  }

  static void work(KafkaShareConsumer<String, String> consumer, String member, ConsumerRecord<String, String> record) {
    boolean isFirst = record.deliveryCount().get() == 1;
    AcknowledgeType type = AcknowledgeType.ACCEPT;
    if (record.value().startsWith("release") && isFirst) type = AcknowledgeType.RELEASE;
    if (record.value().startsWith("reject")) type = AcknowledgeType.REJECT;
    // A renewed record comes out of the next poll again.
    if (record.value().startsWith("renew") && renewed.add(record.offset())) type = AcknowledgeType.RENEW;
    consumer.acknowledge(record, type);
    say(member, type.name(), record);
    if (type == AcknowledgeType.ACCEPT || type == AcknowledgeType.REJECT) finished.incrementAndGet();
  }

  static void fail(java.util.Map<?, java.util.Optional<org.apache.kafka.common.KafkaException>> results, Object of) {
    results.values().forEach(error -> error.ifPresent(each -> { throw new IllegalStateException(of + ": " + each, each); }));
  }

  static void run(String address, String topic, String group, String member, int count) {
    try (KafkaShareConsumer<String, String> consumer =
        new KafkaShareConsumer<>(properties(address, group, member), new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of(topic));
      while (finished.get() < count) {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(500));
        for (ConsumerRecord<String, String> record : records) work(consumer, member, record);
        fail(consumer.commitSync(), "commit");
      }
    } catch (Throwable error) {
      error.printStackTrace();
      System.exit(1);
    }
  }

  public static void main(String[] args) throws Exception {
    int count = Integer.parseInt(args[3]);
    List<Thread> members = List.of("one", "two").stream()
        .map(member -> new Thread(() -> run(args[0], args[1], args[2], member, count))).toList();
    for (Thread each : members) each.start();
    for (Thread each : members) each.join();
  }
}
