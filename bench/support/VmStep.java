import com.sun.management.OperatingSystemMXBean;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * The VM step of processors/vms.py on Kafka Streams, for records in order: totals of VMs and host, rates and angles.
 * State is a map on the heap, without a store or its changelog, which is the cheapest that Kafka Streams can do.
 *
 * Arguments: bootstrap, group, state directory, input topic, prefix of output topics, directory with NAME.avsc and
 * NAME.id of each output, records to warm up with, records to measure. Prints one JSON object, and ends.
 */
public final class VmStep implements Processor<byte[], byte[], byte[], byte[]> {
    private static final String[] NIC = {"rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets",
        "txerrors", "txdrops"};
    private static final String[] DISK = {"rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors"};
    private static final String[] COPIED = {"memactual", "memrss", "memavailable", "memusable", "memswap_in",
        "memswap_out", "memmajor_fault", "memminor_fault", "memdisk_cache", "timeusr", "timesys", "cpus", "cputime",
        "state"};
    private static final String[] GUEST = {"memswap_in", "memswap_out", "memmajor_fault", "memminor_fault"};
    private static final String[] HEADER = {"host", "category", "observed_at", "epoch", "sequence", "labels"};
    private static final String[] WHO = {"vmid", "name", "uuid"};
    private static final String[] HOST = hostCounters();
    private static final OperatingSystemMXBean SYSTEM =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private static Schema input;
    private static final Map<String, Output> OUTPUTS = new HashMap<>();
    private static long warm;
    private static long total;
    private static long count;
    private static long began;

    private final GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(input);
    private final Map<String, State> states = new HashMap<>();
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private ProcessorContext<byte[], byte[]> context;
    private BinaryDecoder decoder;
    private BinaryEncoder encoder;

    private record Output(String name, int id, Schema schema, GenericDatumWriter<GenericRecord> writer) {}

    private record State(String epoch, Map<String, Baseline> domains) {}

    private record Baseline(double monotonic, Long memory, Long[] host, Map<String, Long[]> devices, Long guestAt,
                            Long[] guest) {}

    @Override
    public void init(ProcessorContext<byte[], byte[]> given) {
        context = given;
    }

    @Override
    public void process(Record<byte[], byte[]> message) {
        try {
            byte[] value = message.value();
            decoder = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, decoder);
            step(reader.read(null, decoder), message);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
        count++;
        if (count == warm) {
            began = SYSTEM.getProcessCpuTime();
        } else if (count == total) {
            System.out.printf("{\"cpu_s\": %.6f, \"records\": %d, \"rss_mib\": %.1f}%n",
                (SYSTEM.getProcessCpuTime() - began) / 1e9, total - warm, peakMib());
            System.out.flush();
            new Thread(() -> System.exit(0)).start(); // in order: what is produced is delivered first
        }
    }

    private void step(GenericRecord record, Record<byte[], byte[]> message) throws IOException {
        String epoch = record.get("epoch").toString();
        String host = record.get("host").toString();
        State before = states.get(host);
        double now = (Double) record.get("monotonic_s");
        Map<String, Baseline> after = new HashMap<>();
        if (before != null && before.epoch().equals(epoch)) {
            before.domains().forEach((key, base) -> {
                if (base.monotonic() >= now - 300) {
                    after.put(key, base);
                }
            });
        }
        Schema entries = OUTPUTS.get("vm-totals").schema().getField("vms").schema().getElementType();
        List<GenericRecord> totals = new ArrayList<>();
        List<GenericRecord> features = new ArrayList<>();
        List<GenericRecord> devices = new ArrayList<>();
        for (Object each : (List<?>) record.get("domains")) {
            GenericRecord domain = (GenericRecord) each;
            GenericRecord entry = total(entries, domain);
            totals.add(entry);
            if ((Boolean) domain.get("stale")) {
                continue;
            }
            String key = domain.get("uuid") + "/" + domain.get("domain_id");
            Baseline base = after.get(key);
            Baseline latest = baseline(domain, entry, now, base);
            after.put(key, latest);
            if (base != null && now > base.monotonic()) {
                features.add(features(base, latest, domain));
                devices(base, latest, domain, devices);
            }
        }
        states.put(host, new State(epoch, after));
        GenericRecord sums = derived("vm-totals", record);
        sums.put("vms", totals);
        hostTotal(sums, totals);
        send("vm-totals", sums, message);
        if (!features.isEmpty()) {
            GenericRecord output = derived("vm-features", record);
            output.put("vms", features);
            send("vm-features", output, message);
        }
        if (!devices.isEmpty()) {
            GenericRecord output = derived("device-rates", record);
            output.put("devices", devices);
            send("device-rates", output, message);
        }
    }

    private static GenericRecord total(Schema schema, GenericRecord domain) {
        GenericRecord entry = new GenericData.Record(schema);
        for (String each : WHO) {
            entry.put(each, domain.get(each));
        }
        boolean partial = sum(entry, "net_", NIC, (List<?>) domain.get("nics"));
        partial |= sum(entry, "disk_", DISK, (List<?>) domain.get("disks"));
        for (String each : COPIED) {
            entry.put(each, domain.get(each));
        }
        entry.put("partial", partial);
        return entry;
    }

    private static boolean sum(GenericRecord entry, String prefix, String[] names, List<?> parts) {
        boolean partial = false;
        for (String each : names) {
            partial |= sum(entry, prefix + each, each, parts);
        }
        return partial;
    }

    /** Puts the sum of the known parts; null if there are parts and none is known. True: some were unknown. */
    private static boolean sum(GenericRecord entry, String field, String of, List<?> parts) {
        long summed = 0;
        int known = 0;
        for (Object part : parts) {
            Object value = ((GenericRecord) part).get(of);
            if (value != null) {
                summed = Math.addExact(summed, (Long) value);
                known++;
            }
        }
        boolean none = known == 0 && !parts.isEmpty();
        entry.put(field, none ? null : summed);
        return !none && known < parts.size();
    }

    private static void hostTotal(GenericRecord sums, List<GenericRecord> entries) {
        boolean partial = entries.stream().anyMatch(each -> (Boolean) each.get("partial"));
        for (String each : NIC) {
            partial |= sum(sums, "net_" + each, "net_" + each, entries);
        }
        for (String each : DISK) {
            partial |= sum(sums, "disk_" + each, "disk_" + each, entries);
        }
        for (int at = 0; at < COPIED.length - 1; at++) {
            partial |= sum(sums, COPIED[at], COPIED[at], entries);
        }
        sums.put("vm_count", (long) entries.size());
        sums.put("partial", partial);
    }

    private static Baseline baseline(GenericRecord domain, GenericRecord entry, double now, Baseline base) {
        Long told = (Long) domain.get("memlast_update");
        Long[] guest = told != null && base != null && told.equals(base.guestAt()) ? base.guest() : read(domain, GUEST);
        Map<String, Long[]> devices = new HashMap<>();
        for (Object nic : (List<?>) domain.get("nics")) {
            devices.put("nic/" + ((GenericRecord) nic).get("device"), read((GenericRecord) nic, NIC));
        }
        for (Object disk : (List<?>) domain.get("disks")) {
            devices.put("disk/" + ((GenericRecord) disk).get("device"), read((GenericRecord) disk, DISK));
        }
        return new Baseline(now, (Long) domain.get("memory_used_kb"), read(entry, HOST), devices, told, guest);
    }

    private static Long[] read(GenericRecord record, String[] names) {
        Long[] found = new Long[names.length];
        for (int at = 0; at < names.length; at++) {
            found[at] = (Long) record.get(names[at]);
        }
        return found;
    }

    private static GenericRecord features(Baseline base, Baseline now, GenericRecord domain) {
        Schema schema = OUTPUTS.get("vm-features").schema().getField("vms").schema().getElementType();
        GenericRecord found = who(schema, domain, now.monotonic() - base.monotonic());
        double elapsed = now.monotonic() - base.monotonic();
        if (base.memory() != null && now.memory() != null) {
            double change = (now.memory() - base.memory()) / elapsed;
            found.put("memory_rate_kb_per_sec", change);
            found.put("memory_angle_deg", angle(change));
        }
        rates(found, HOST, base.host(), now.host(), elapsed);
        double told = elapsed;
        if (base.guestAt() == null || now.guestAt() == null) {
            told = now.guestAt() == null ? elapsed : 0;
        } else {
            told = now.guestAt() - base.guestAt();
        }
        rates(found, GUEST, base.guest(), now.guest(), told);
        return found;
    }

    private static void devices(Baseline base, Baseline now, GenericRecord domain, List<GenericRecord> into) {
        Schema schema = OUTPUTS.get("device-rates").schema().getField("devices").schema().getElementType();
        double elapsed = now.monotonic() - base.monotonic();
        now.devices().forEach((key, counters) -> {
            Long[] was = base.devices().get(key);
            if (was != null) {
                GenericRecord found = who(schema, domain, elapsed);
                boolean nic = key.startsWith("nic/");
                found.put("devtype", nic ? "nic" : "disk");
                found.put("device", key.substring(nic ? 4 : 5));
                rates(found, nic ? NIC : DISK, was, counters, elapsed);
                into.add(found);
            }
        });
    }

    private static GenericRecord who(Schema schema, GenericRecord domain, double elapsed) {
        GenericRecord found = new GenericData.Record(schema);
        for (String each : WHO) {
            found.put(each, domain.get(each));
        }
        found.put("interval_s", elapsed);
        return found;
    }

    private static void rates(GenericRecord into, String[] names, Long[] was, Long[] is, double elapsed) {
        for (int at = 0; at < names.length; at++) {
            if (elapsed > 0 && was[at] != null && is[at] != null && is[at] >= was[at]) {
                double rate = (is[at] - was[at]) / elapsed;
                into.put(names[at] + "_rate", rate);
                into.put(names[at] + "_angle", angle(rate));
            }
        }
    }

    private static double angle(double rate) {
        return Math.atan(rate) * (180 / Math.PI);
    }

    private static GenericRecord derived(String name, GenericRecord raw) {
        GenericRecord output = new GenericData.Record(OUTPUTS.get(name).schema());
        for (String each : HEADER) {
            output.put(each, raw.get(each));
        }
        return output;
    }

    private void send(String name, GenericRecord record, Record<byte[], byte[]> message) throws IOException {
        Output output = OUTPUTS.get(name);
        bytes.reset();
        bytes.write(0);
        bytes.write(ByteBuffer.allocate(4).putInt(output.id()).array());
        encoder = EncoderFactory.get().binaryEncoder(bytes, encoder);
        output.writer().write(record, encoder);
        encoder.flush();
        context.forward(message.withValue(bytes.toByteArray()), name);
    }

    private static String[] hostCounters() {
        List<String> names = new ArrayList<>();
        for (String each : NIC) {
            names.add("net_" + each);
        }
        for (String each : DISK) {
            names.add("disk_" + each);
        }
        names.addAll(List.of("timeusr", "timesys", "cputime"));
        return names.toArray(String[]::new);
    }

    private static double peakMib() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024.0;
                }
            }
        } catch (IOException error) {
            return Double.NaN;
        }
        return Double.NaN;
    }

    public static void main(String[] given) throws IOException {
        Path schemas = Path.of(given[5]);
        input = new Schema.Parser().parse(Files.readString(schemas.resolve("raw-libvirt.avsc")));
        for (String name : List.of("vm-totals", "vm-features", "device-rates")) {
            Schema schema = new Schema.Parser().parse(Files.readString(schemas.resolve(name + ".avsc")));
            int id = Integer.parseInt(Files.readString(schemas.resolve(name + ".id")).trim());
            OUTPUTS.put(name, new Output(name, id, schema, new GenericDatumWriter<>(schema)));
        }
        warm = Long.parseLong(given[6]);
        total = warm + Long.parseLong(given[7]);
        Properties settings = new Properties();
        settings.put("bootstrap.servers", given[0]);
        settings.put("application.id", given[1]);
        settings.put("state.dir", given[2]);
        settings.put("commit.interval.ms", "500");
        settings.put("auto.offset.reset", "earliest");
        settings.put("producer.compression.type", "zstd");
        settings.put("producer.linger.ms", "5");
        settings.put("default.key.serde", Serdes.ByteArraySerde.class.getName());
        settings.put("default.value.serde", Serdes.ByteArraySerde.class.getName());
        Topology topology = new Topology().addSource("raw", given[3]).addProcessor("step", VmStep::new, "raw");
        for (String name : OUTPUTS.keySet()) {
            topology.addSink(name, given[4] + name, "step");
        }
        KafkaStreams streams = new KafkaStreams(topology, settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
