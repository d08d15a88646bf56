//! Stats as the caller gets them, as a struct or as text: the counters, and the sizes of this
//! moment.

use super::core::Core;
use super::figures::{MemoryStats, OperationStats, RemoteStats, Snapshot, TierStats};
use std::fmt::Write;

/// A format for stats as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatsFormat {
    /// One JSON object, grouped `hot`, `cold`, `memory`, `combined`, `remote`, `operations`.
    Json,
    /// The Prometheus exposition format, version 0.0.4.
    Prometheus,
}

impl Core {
    /// All figures at this moment.
    pub fn stats(&self) -> Snapshot {
        let mut stats = self.reporting().counters().snapshot();
        stats.hot.entries = self.tiers().hot().entry_count();
        stats.hot.bytes = self.tiers().hot().used_bytes();
        stats.hot.capacity = self.tiers().hot().capacity();
        stats.events_dropped = self.reporting().events().dropped();
        let mut memory = MemoryStats {
            hot: self.tiers().hot().used_bytes(),
            buffers: self.reporting().events().memory_bytes() as u64
                + self.tiers().hot().policy_bytes(),
            held: self.reporting().ledger().bytes(),
            ..MemoryStats::default()
        };
        if let Some(cold) = self.tiers().cold() {
            let gauges = cold.gauges();
            stats.cold.entries = gauges.entries;
            stats.cold.bytes_live = gauges.bytes_live;
            stats.cold.bytes_disk = gauges.bytes_disk;
            stats.cold.segments = gauges.segments;
            stats.cold.unfrozen_bytes = gauges.unfrozen_bytes;
            stats.cold.read_only = u64::from(self.health().is_read_only(self.tiers()));
            stats.cold.bytes_written += gauges.bytes_written;
            stats.cold.compactions += gauges.compactions;
            stats.cold.corrupt_records += gauges.corrupt_records;
            stats.cold.rebuilt_files += gauges.rebuilt_files;
            stats.cold.recovered_bytes += gauges.recovered_bytes;
            stats.remote = gauges.remote;
            memory.keydir = gauges.keydir_bytes;
            memory.buffers += gauges.buffer_bytes;
        }
        memory.total = memory.hot + memory.keydir + memory.buffers + memory.held;
        stats.memory = memory;
        stats
    }

    /// All figures at this moment, as text.
    pub fn stats_text(&self, format: StatsFormat) -> String {
        let groups = groups(&self.stats());
        match format {
            StatsFormat::Json => json(self.storage_id(), &groups),
            StatsFormat::Prometheus => prometheus(self.storage_id(), &groups),
        }
    }
}

enum Figure {
    Count(u64),
    Ratio(f64),
}

type Group = (&'static str, Vec<(&'static str, Figure)>);

fn groups(stats: &Snapshot) -> Vec<Group> {
    use Figure::{Count, Ratio};
    let Snapshot { hot, cold, memory, remote, .. } = stats;
    let mut hot_group = tier(&hot.traffic);
    hot_group.extend([
        ("entries", Count(hot.entries)),
        ("bytes", Count(hot.bytes)),
        ("capacity", Count(hot.capacity)),
        ("evictions", Count(hot.evictions)),
        ("expirations", Count(hot.expirations)),
        ("promotions", Count(hot.promotions)),
        ("demotions", Count(hot.demotions)),
    ]);
    let mut cold_group = tier(&cold.traffic);
    cold_group.extend([
        ("entries", Count(cold.entries)),
        ("bytes_live", Count(cold.bytes_live)),
        ("bytes_disk", Count(cold.bytes_disk)),
        ("segments", Count(cold.segments)),
        ("unfrozen_bytes", Count(cold.unfrozen_bytes)),
        ("bytes_read", Count(cold.bytes_read)),
        ("bytes_written", Count(cold.bytes_written)),
        ("compactions", Count(cold.compactions)),
        ("evictions", Count(cold.evictions)),
        ("expirations", Count(cold.expirations)),
        ("corrupt_records", Count(cold.corrupt_records)),
        ("rebuilt_files", Count(cold.rebuilt_files)),
        ("recovered_bytes", Count(cold.recovered_bytes)),
        ("read_only", Count(cold.read_only)),
    ]);
    let memory_group = vec![
        ("hot", Count(memory.hot)),
        ("keydir", Count(memory.keydir)),
        ("buffers", Count(memory.buffers)),
        ("held", Count(memory.held)),
        ("total", Count(memory.total)),
    ];
    let combined = vec![
        ("total_operations", Count(stats.total_operations)),
        ("total_errors", Count(stats.total_errors)),
        ("lenient_failures", Count(stats.lenient_failures)),
        ("events_dropped", Count(stats.events_dropped)),
        ("hits", Count(stats.hits)),
        ("misses", Count(stats.misses)),
        ("hit_ratio", Ratio(stats.hit_ratio)),
        ("mean_ns", Ratio(stats.mean_ns)),
        ("p50_ns", Count(stats.p50_ns)),
        ("p99_ns", Count(stats.p99_ns)),
        ("p999_ns", Count(stats.p999_ns)),
    ];
    vec![
        ("hot", hot_group),
        ("cold", cold_group),
        ("memory", memory_group),
        ("combined", combined),
        ("remote", engine(remote)),
        ("store", operation(&stats.store)),
        ("retrieve", operation(&stats.retrieve)),
        ("delete", operation(&stats.delete)),
        ("clear", operation(&stats.clear)),
    ]
}

fn engine(remote: &RemoteStats) -> Vec<(&'static str, Figure)> {
    vec![
        ("requests", Figure::Count(remote.requests)),
        ("errors", Figure::Count(remote.errors)),
        ("timeouts", Figure::Count(remote.timeouts)),
        ("retries", Figure::Count(remote.retries)),
        ("bytes_in", Figure::Count(remote.bytes_in)),
        ("bytes_out", Figure::Count(remote.bytes_out)),
        ("invalidations", Figure::Count(remote.invalidations)),
        ("revalidations", Figure::Count(remote.revalidations)),
        ("unavailable_ms", Figure::Count(remote.unavailable_ms)),
    ]
}

fn tier(traffic: &TierStats) -> Vec<(&'static str, Figure)> {
    vec![
        ("operations", Figure::Count(traffic.operations)),
        ("errors", Figure::Count(traffic.errors)),
        ("hits", Figure::Count(traffic.hits)),
        ("misses", Figure::Count(traffic.misses)),
        ("hit_ratio", Figure::Ratio(traffic.hit_ratio)),
        ("mean_ns", Figure::Ratio(traffic.mean_ns)),
        ("p99_ns", Figure::Count(traffic.p99_ns)),
    ]
}

fn operation(stats: &OperationStats) -> Vec<(&'static str, Figure)> {
    vec![
        ("operations", Figure::Count(stats.operations)),
        ("errors", Figure::Count(stats.errors)),
        ("mean_ns", Figure::Ratio(stats.mean_ns)),
        ("p99_ns", Figure::Count(stats.p99_ns)),
    ]
}

fn json(storage_id: &str, groups: &[Group]) -> String {
    let object = |(name, figures): &Group| {
        let figures: Vec<_> =
            figures.iter().map(|(name, figure)| format!("\"{name}\":{figure}")).collect();
        format!("\"{name}\":{{{}}}", figures.join(","))
    };
    let tiers: Vec<_> = groups.iter().take(5).map(object).collect();
    let operations: Vec<_> = groups.iter().skip(5).map(object).collect();
    format!(
        "{{\"storage_id\":{},{},\"operations\":{{{}}}}}\n",
        quoted(storage_id),
        tiers.join(","),
        operations.join(",")
    )
}

fn prometheus(storage_id: &str, groups: &[Group]) -> String {
    let mut text = String::new();
    for (group, figures) in groups {
        for (name, figure) in figures {
            let prefix = if *group == "combined" { String::new() } else { format!("{group}_") };
            let is_gauge = GAUGES.contains(name) || *group == "memory";
            let (kind, suffix) = if is_gauge { ("gauge", "") } else { ("counter", "_total") };
            let name = format!("{prefix}{}", name.trim_start_matches("total_"));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE hotcold_{name}{suffix} {kind}");
            let label = quoted(storage_id);
            let _ = writeln!(text, "hotcold_{name}{suffix}{{storage_id={label}}} {figure}");
        }
    }
    text
}

/// Figures that can fall; all others only grow.
const GAUGES: [&str; 12] = [
    "hit_ratio",
    "mean_ns",
    "p50_ns",
    "p99_ns",
    "p999_ns",
    "entries",
    "bytes",
    "capacity",
    "bytes_live",
    "bytes_disk",
    "segments",
    "unfrozen_bytes",
];

/// A string between quotes, escaped so that both JSON and Prometheus read it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(n) => write!(f, "{n}"),
            Self::Ratio(r) => write!(f, "{r}"),
        }
    }
}
