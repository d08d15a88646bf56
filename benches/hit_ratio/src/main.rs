//! Replays traces through hotcold and other caches, and compares their hit ratios with each other and
//! with Belady's optimum, which knows the future.

mod caches;
mod picture;
mod trace;

use caches::{CACHES, Capacity};
use std::path::PathBuf;
use std::process::ExitCode;
use trace::Trace;

const USAGE: &str = "\
usage: hit_ratio [--sizes P,P,...] [--bytes] [--only NAME,...] [--csv] [--svg DIR] [--phases] PATH...

PATH     a trace, or a folder of them: a line `key` or `key,size` for each request, packed by gzip or not
--sizes  capacities in percent of what the trace has; 0.1,1,10,25 without
--bytes  capacities in bytes, not in entries: only traces that have sizes
--only   these caches alone: opt, lru, hotcold, hotcold-lru, moka, quick_cache, foyer-lfu, foyer-s3fifo
--csv    a line for each cell
--svg    writes a picture for each trace
--phases all traces one after the other through one cache";

/// Capacities of fewer entries than this say nothing.
const ENTRIES_MIN: u64 = 16;

struct Arguments {
    paths: Vec<PathBuf>,
    sizes: Vec<f64>,
    by_bytes: bool,
    only: Option<Vec<String>>,
    csv: bool,
    svg: Option<PathBuf>,
    phases: bool,
}

/// The hit ratios of one trace at one size, in percent, in the order of the names.
pub struct Row {
    pub trace: String,
    pub percent: f64,
    pub entries: u64,
    pub ratios: Vec<f64>,
}

fn main() -> ExitCode {
    match parse().and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hit_ratio: {message}");
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        paths: Vec::new(),
        sizes: vec![0.1, 1.0, 10.0, 25.0],
        by_bytes: false,
        only: None,
        csv: false,
        svg: None,
        phases: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| USAGE.to_owned());
        match argument.as_str() {
            "--sizes" => {
                let sizes = value()?.split(',').map(str::parse).collect::<Result<_, _>>();
                parsed.sizes = sizes.map_err(|_| "--sizes takes numbers".to_owned())?;
            }
            "--bytes" => parsed.by_bytes = true,
            "--only" => parsed.only = Some(value()?.split(',').map(str::to_owned).collect()),
            "--csv" => parsed.csv = true,
            "--svg" => parsed.svg = Some(value()?.into()),
            "--phases" => parsed.phases = true,
            option if option.starts_with("--") => return Err(USAGE.to_owned()),
            path => parsed.paths.extend(trace::find(&PathBuf::from(path))?),
        }
    }
    if parsed.paths.is_empty() { Err(USAGE.to_owned()) } else { Ok(parsed) }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let is_wanted = |name: &str| {
        arguments.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == name))
    };
    let mut names = vec!["opt"];
    names.extend(CACHES.iter().map(|(name, _)| *name));
    names.retain(|name| is_wanted(name));
    let mut traces = Vec::new();
    for path in &arguments.paths {
        traces.push(Trace::read(path)?);
    }
    if arguments.phases {
        traces = vec![Trace::joined(traces)];
    }
    let mut rows = Vec::new();
    for trace in traces.iter().filter(|trace| !arguments.by_bytes || trace.has_sizes()) {
        let from = rows.len();
        for percent in &arguments.sizes {
            rows.extend(measure(trace, *percent, arguments.by_bytes, &names));
        }
        if let Some(folder) = &arguments.svg {
            let path = folder.join(format!("{}.svg", trace.name));
            let drawn = picture::draw(&rows[from..], &names);
            std::fs::write(&path, drawn).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    if arguments.csv {
        print_csv(&rows, &names)
    } else {
        print_table(&rows, &names)
    }
    Ok(())
}

fn measure(trace: &Trace, percent: f64, by_bytes: bool, names: &[&str]) -> Option<Row> {
    let part = |whole: u64| (whole as f64 * percent / 100.0) as u64;
    let entries = part(trace.distinct_keys);
    let weight = if by_bytes { part(trace.distinct_bytes) } else { entries };
    let capacity = Capacity { weight, entries, by_bytes };
    if entries < ENTRIES_MIN {
        return None;
    }
    let ratio = |name: &&str| {
        let hits = match CACHES.iter().find(|(other, _)| other == name) {
            None => trace.belady(by_bytes, weight),
            Some((_, make)) => {
                let mut cache = make(capacity);
                let hits = trace.weights(by_bytes).filter(|(key, w)| cache.request(*key, *w));
                hits.count() as u64
            }
        };
        hits as f64 * 100.0 / trace.requests.len() as f64
    };
    let ratios = names.iter().map(ratio).collect();
    Some(Row { trace: trace.name.clone(), percent, entries, ratios })
}

fn print_csv(rows: &[Row], names: &[&str]) {
    println!("trace,percent,entries,{}", names.join(","));
    for row in rows {
        let ratios: Vec<_> = row.ratios.iter().map(|ratio| format!("{ratio:.4}")).collect();
        println!("{},{},{},{}", row.trace, row.percent, row.entries, ratios.join(","));
    }
}

fn print_table(rows: &[Row], names: &[&str]) {
    println!("Hit ratio in percent.\n\n| trace | size | entries | {} |", names.join(" | "));
    println!("|---|--:|--:|{}", "--:|".repeat(names.len()));
    for row in rows {
        let ratios: Vec<_> = row.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        println!("| {} | {}% | {} | {} |", row.trace, row.percent, row.entries, ratios.join(" | "));
    }
    let at = |wanted: &str| names.iter().position(|name| *name == wanted);
    if let (Some(opt), Some(lru)) = (at("opt"), at("lru")) {
        print_gaps(rows, names, opt, lru);
    }
}

/// How much of what the optimum has more than LRU each cache has, by size.
fn print_gaps(rows: &[Row], names: &[&str], opt: usize, lru: usize) {
    let mut sizes: Vec<f64> = rows.iter().map(|row| row.percent).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let heads: Vec<_> = sizes.iter().map(|size| format!("{size}%")).collect();
    println!("\nOf the gap between LRU and the optimum, closed, in percent; and the worst cell.\n");
    println!("| cache | {} | all | worst beside LRU | cells 0.5 below |", heads.join(" | "));
    println!("|---|{}", "--:|".repeat(sizes.len() + 3));
    for (at, name) in names.iter().enumerate().filter(|(at, _)| *at != lru) {
        let closed = |rows: &mut dyn Iterator<Item = &Row>| {
            let (mut gained, mut gap) = (0.0, 0.0);
            for row in rows {
                gained += row.ratios[at] - row.ratios[lru];
                gap += row.ratios[opt] - row.ratios[lru];
            }
            format!("{:.1}", if gap > 0.0 { 100.0 * gained / gap } else { 0.0 })
        };
        let by_size = |size: &f64| closed(&mut rows.iter().filter(|row| row.percent == *size));
        let cells: Vec<_> = sizes.iter().map(by_size).collect();
        let beside = |row: &Row| row.ratios[at] - row.ratios[lru];
        let worst = rows.iter().map(beside).fold(f64::INFINITY, f64::min);
        let below = rows.iter().filter(|row| beside(row) < -0.5).count();
        let all = closed(&mut rows.iter());
        println!("| {name} | {} | {all} | {worst:+.2} | {below} |", cells.join(" | "));
    }
}
