// sarama behind the line protocol of the clients under test (see ../../python/lines.py).
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/IBM/sarama"
)

const wait = 20 * time.Second

type arguments struct {
	Address, Topic, Input, Codec, Group, Protocol string
	Idempotent                                    bool
	Count, SettleMs                               int
	Records                                       []record
}
type record struct {
	Key       *string      `json:"key"`
	Value     *string      `json:"value"`
	Headers   [][2]*string `json:"headers"`
	Timestamp int64        `json:"timestamp"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
}

func toBytes(text *string) []byte {
	if text == nil {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(*text)
	if err != nil {
		panic(err)
	}
	return append([]byte{}, data...)
}
func toText(data []byte) *string {
	if data == nil {
		return nil
	}
	text := base64.StdEncoding.EncodeToString(data)
	return &text
}

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Return.Errors = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	return config
}

func encoder(text *string) sarama.Encoder {
	if text == nil {
		return nil
	}
	return sarama.ByteEncoder(toBytes(text))
}

func produce(_ context.Context, a arguments) (any, error) {
	config := config()
	config.Producer.Compression = codecs[a.Codec]
	if a.Idempotent {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
	}
	producer, err := sarama.NewSyncProducer([]string{a.Address}, config)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	messages := []*sarama.ProducerMessage{}
	for _, each := range a.Records {
		message := &sarama.ProducerMessage{Topic: a.Topic, Key: encoder(each.Key), Value: encoder(each.Value), Timestamp: time.UnixMilli(each.Timestamp)}
		for _, header := range each.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(*header[0]), Value: toBytes(header[1])})
		}
		messages = append(messages, message)
	}
	if err := producer.SendMessages(messages); err != nil {
		return nil, err
	}
	offsets := []int64{}
	for _, message := range messages {
		offsets = append(offsets, message.Offset)
	}
	return map[string]any{"offsets": offsets}, nil
}

func recordOf(in *sarama.ConsumerMessage) record {
	out := record{Key: toText(in.Key), Value: toText(in.Value), Headers: [][2]*string{}, Timestamp: in.Timestamp.UnixMilli(), Partition: in.Partition, Offset: in.Offset}
	for _, header := range in.Headers {
		key := string(header.Key)
		out.Headers = append(out.Headers, [2]*string{&key, toText(header.Value)})
	}
	return out
}

func consume(ctx context.Context, a arguments) (any, error) {
	consumer, err := sarama.NewConsumer([]string{a.Address}, config())
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(a.Topic, 0, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer partition.Close()
	found := []record{}
	for len(found) < a.Count {
		select {
		case message := <-partition.Messages():
			found = append(found, recordOf(message))
		case err := <-partition.Errors():
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return map[string]any{"records": found}, nil
}

type member struct {
	count int
	found []record
	done  context.CancelFunc
}

func (m *member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for len(m.found) < m.count {
		select {
		case message := <-claim.Messages():
			if message == nil {
				return nil
			}
			m.found = append(m.found, recordOf(message))
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
	session.Commit()
	m.done()
	return nil
}

func group(ctx context.Context, a arguments) (any, error) {
	members, err := sarama.NewConsumerGroup([]string{a.Address}, a.Group, config())
	if err != nil {
		return nil, err
	}
	defer members.Close()
	reading, done := context.WithCancel(ctx)
	defer done()
	self := &member{count: a.Count, done: done}
	for len(self.found) < a.Count {
		if err := members.Consume(reading, []string{a.Topic}, self); err != nil && reading.Err() == nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return map[string]any{"records": self.found}, nil
}

func setting(admin sarama.ClusterAdmin, topic string) (string, error) {
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}})
	if err != nil || len(entries) != 1 {
		return "", fmt.Errorf("%d entries: %w", len(entries), err)
	}
	return entries[0].Value, nil
}

// Kafka's brokers hear of a change some time after who made it.
func (a arguments) settle() { time.Sleep(time.Duration(a.SettleMs) * time.Millisecond) }

func admin(ctx context.Context, a arguments) (any, error) {
	client, err := sarama.NewClient([]string{a.Address}, config())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return nil, err
	}
	minute, two := "60000", "120000"
	if err := admin.CreateTopic(a.Topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &minute}}, false); err != nil {
		return nil, err
	}
	a.settle()
	retention, err := setting(admin, a.Topic)
	if err != nil {
		return nil, err
	}
	if err := admin.AlterConfig(sarama.TopicResource, a.Topic, map[string]*string{"retention.ms": &two}, false); err != nil {
		return nil, err
	}
	a.settle()
	altered, err := setting(admin, a.Topic)
	if err != nil {
		return nil, err
	}
	if err := admin.CreatePartitions(a.Topic, 5, nil, false); err != nil {
		return nil, err
	}
	a.settle()
	described, err := admin.DescribeTopics([]string{a.Topic})
	if err != nil {
		return nil, err
	}
	value := "YQ=="
	one := record{Value: &value, Timestamp: 1}
	if _, err := produce(ctx, arguments{Address: a.Address, Topic: a.Topic, Codec: "none", Records: []record{one, one, one}}); err != nil {
		return nil, err
	}
	if err := admin.DeleteRecords(a.Topic, map[int32]int64{0: 2}); err != nil {
		return nil, err
	}
	first, err := client.GetOffset(a.Topic, 0, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	last, err := client.GetOffset(a.Topic, 0, sarama.OffsetNewest)
	if err != nil {
		return nil, err
	}
	if dirs, err := admin.DescribeLogDirs([]int32{1}); err != nil || len(dirs[1]) != 1 {
		return nil, fmt.Errorf("log dirs %v: %w", dirs, err)
	}
	brokers, _, err := admin.DescribeCluster()
	if err != nil {
		return nil, err
	}
	cluster, err := client.Controller()
	if err != nil {
		return nil, err
	}
	answer, err := cluster.GetMetadata(sarama.NewMetadataRequest(sarama.MaxVersion, nil))
	if err != nil {
		return nil, err
	}
	if err := admin.DeleteTopic(a.Topic); err != nil {
		return nil, err
	}
	a.settle()
	left, err := admin.ListTopics()
	_, isLeft := left[a.Topic]
	return map[string]any{
		"retention": retention, "altered": altered, "partitions": len(described[0].Partitions), "first": first, "last": last,
		"brokers": len(brokers), "clusterId": answer.ClusterID, "deleted": !isLeft,
	}, err
}

func transactions(_ context.Context, a arguments) (any, error) {
	config := config()
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = a.Topic + "-tx"
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer([]string{a.Address}, config)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	for _, value := range []string{"first", "never", "second"} {
		if err := producer.BeginTxn(); err != nil {
			return nil, err
		}
		message := &sarama.ProducerMessage{Topic: a.Topic, Value: sarama.StringEncoder(value)}
		if _, _, err := producer.SendMessage(message); err != nil {
			return nil, err
		}
		if value == "never" {
			if err := producer.AbortTxn(); err != nil {
				return nil, err
			}
			continue
		}
		if value == "second" {
			offsets := map[string][]*sarama.PartitionOffsetMetadata{a.Input: {{Partition: 0, Offset: 7}}}
			if err := producer.AddOffsetsToTxn(offsets, a.Group); err != nil {
				return nil, err
			}
		}
		if err := producer.CommitTxn(); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func version(context.Context, arguments) (any, error) {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/IBM/sarama" {
			return module.Version[1:], nil
		}
	}
	return nil, errors.New("no build info")
}

func main() {
	operations := map[string]func(context.Context, arguments) (any, error){
		"version": version, "produce": produce, "consume": consume, "group": group, "admin": admin, "transactions": transactions,
	}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var request struct {
			Operation string
			Arguments arguments
		}
		if err := json.Unmarshal(line, &request); err != nil {
			panic(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		result, err := operations[request.Operation](ctx, request.Arguments)
		cancel()
		answer := map[string]any{"result": result}
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		text, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}
