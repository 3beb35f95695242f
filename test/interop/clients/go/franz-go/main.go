// franz-go behind the line protocol of the clients under test (see ../../python/lines.py).
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
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
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

func codecOf(name string) kgo.CompressionCodec {
	switch name {
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	}
	return kgo.NoCompression()
}

func open(address string, options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address), kgo.RetryTimeout(wait)}, options...)...)
}

func produce(ctx context.Context, a arguments) (any, error) {
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecOf(a.Codec)),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(20 * time.Millisecond),
	}
	if !a.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	client, err := open(a.Address, options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	batch := []*kgo.Record{}
	for _, each := range a.Records {
		out := &kgo.Record{Topic: a.Topic, Key: toBytes(each.Key), Value: toBytes(each.Value), Timestamp: time.UnixMilli(each.Timestamp)}
		for _, header := range each.Headers {
			out.Headers = append(out.Headers, kgo.RecordHeader{Key: *header[0], Value: toBytes(header[1])})
		}
		batch = append(batch, out)
	}
	results := client.ProduceSync(ctx, batch...)
	offsets := []int64{}
	for _, result := range results {
		if result.Err != nil {
			return nil, result.Err
		}
		offsets = append(offsets, result.Record.Offset)
	}
	return map[string]any{"offsets": offsets}, nil
}

func take(ctx context.Context, client *kgo.Client, count int) ([]record, error) {
	found := []record{}
	for len(found) < count {
		fetches := client.PollRecords(ctx, count-len(found))
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(in *kgo.Record) {
			out := record{Key: toText(in.Key), Value: toText(in.Value), Headers: [][2]*string{}, Timestamp: in.Timestamp.UnixMilli(), Partition: in.Partition, Offset: in.Offset}
			for _, header := range in.Headers {
				key := header.Key
				out.Headers = append(out.Headers, [2]*string{&key, toText(header.Value)})
			}
			found = append(found, out)
		})
	}
	return found, nil
}

func consume(ctx context.Context, a arguments) (any, error) {
	client, err := open(a.Address, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{a.Topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	records, err := take(ctx, client, a.Count)
	return map[string]any{"records": records}, err
}

func group(ctx context.Context, a arguments) (any, error) {
	if a.Protocol == "consumer" {
		ctx = context.WithValue(ctx, "opt_in_kafka_next_gen_balancer_beta", true)
	}
	options := []kgo.Opt{kgo.WithContext(ctx), kgo.ConsumerGroup(a.Group), kgo.ConsumeTopics(a.Topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	if strings.HasPrefix(a.Topic, "^") {
		options = append(options, kgo.ConsumeRegex())
	}
	client, err := open(a.Address, options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	records, err := take(ctx, client, a.Count)
	if err != nil {
		return nil, err
	}
	return map[string]any{"records": records}, client.CommitUncommittedOffsets(ctx)
}

func setting(ctx context.Context, client *kadm.Client, topic string) (string, error) {
	described, err := client.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return "", err
	}
	resource, err := described.On(topic, nil)
	for _, config := range resource.Configs {
		if config.Key == "retention.ms" {
			return config.MaybeValue(), err
		}
	}
	return "", err
}

// Kafka's brokers hear of a change some time after who made it.
func (a arguments) settle() { time.Sleep(time.Duration(a.SettleMs) * time.Millisecond) }

func admin(ctx context.Context, a arguments) (any, error) {
	inner, err := open(a.Address)
	if err != nil {
		return nil, err
	}
	client := kadm.NewClient(inner)
	defer client.Close()
	minute, two := "60000", "120000"
	if _, err := client.CreateTopic(ctx, 3, 1, map[string]*string{"retention.ms": &minute}, a.Topic); err != nil {
		return nil, err
	}
	a.settle()
	retention, err := setting(ctx, client, a.Topic)
	if err != nil {
		return nil, err
	}
	changed, err := client.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &two}}, a.Topic)
	if err != nil || changed[0].Err != nil {
		return nil, errors.Join(err, changed[0].Err)
	}
	a.settle()
	altered, err := setting(ctx, client, a.Topic)
	if err != nil {
		return nil, err
	}
	if grown, err := client.UpdatePartitions(ctx, 5, a.Topic); err != nil || grown.Error() != nil {
		return nil, errors.Join(err, grown.Error())
	}
	a.settle()
	topics, err := client.ListTopics(ctx, a.Topic)
	if err != nil {
		return nil, err
	}
	value := "YQ=="
	one := record{Value: &value, Timestamp: 1}
	if _, err := produce(ctx, arguments{Address: a.Address, Topic: a.Topic, Records: []record{one, one, one}}); err != nil {
		return nil, err
	}
	cut := kadm.Offsets{}
	cut.Add(kadm.Offset{Topic: a.Topic, Partition: 0, At: 2, LeaderEpoch: -1})
	if deleted, err := client.DeleteRecords(ctx, cut); err != nil || deleted.Error() != nil {
		return nil, errors.Join(err, deleted.Error())
	}
	starts, err := client.ListStartOffsets(ctx, a.Topic)
	if err != nil {
		return nil, err
	}
	ends, err := client.ListEndOffsets(ctx, a.Topic)
	if err != nil {
		return nil, err
	}
	first, _ := starts.Lookup(a.Topic, 0)
	last, _ := ends.Lookup(a.Topic, 0)
	cluster, err := client.BrokerMetadata(ctx)
	if err != nil {
		return nil, err
	}
	dirs, err := client.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return nil, err
	}
	dirs.Each(func(dir kadm.DescribedLogDir) { err = errors.Join(err, dir.Err) })
	if err != nil {
		return nil, err
	}
	partitions := len(topics[a.Topic].Partitions)
	if gone, err := client.DeleteTopic(ctx, a.Topic); err != nil || gone.Err != nil {
		return nil, errors.Join(err, gone.Err)
	}
	a.settle()
	left, err := client.ListTopics(ctx)
	return map[string]any{
		"retention": retention, "altered": altered, "partitions": partitions, "first": first.Offset, "last": last.Offset,
		"brokers": len(cluster.Brokers), "clusterId": cluster.Cluster, "deleted": !left.Has(a.Topic),
	}, err
}

// The offset is that of a session which has read the seven records of the input.
func transactions(ctx context.Context, a arguments) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(a.Address),
		kgo.TransactionalID(a.Topic+"-tx"),
		kgo.ConsumerGroup(a.Group),
		kgo.ConsumeTopics(a.Input),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	if _, err := take(ctx, session.Client(), 7); err != nil {
		return nil, err
	}
	for _, value := range []string{"first", "never", "second"} {
		if err := session.Begin(); err != nil {
			return nil, err
		}
		if err := session.ProduceSync(ctx, &kgo.Record{Topic: a.Topic, Value: []byte(value)}).FirstErr(); err != nil {
			return nil, err
		}
		committed, err := session.End(ctx, kgo.TransactionEndTry(value != "never"))
		if err != nil {
			return nil, err
		}
		if committed != (value != "never") {
			return nil, fmt.Errorf("%s: committed %v", value, committed)
		}
	}
	return nil, nil
}

func version(context.Context, arguments) (any, error) {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
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
