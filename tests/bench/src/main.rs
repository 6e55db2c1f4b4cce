//! `bench`: measures each bar of docs/performance.md beside its floor, and prints the table.
//!
//! Absolute figures of one machine say little, so each bar runs a floor next to ours: the least
//! that has to be done, written as straight as it can be. What counts is the ratio, pair by pair.
//! Nothing is deleted between runs: ext4 makes files slowly for minutes after many were removed.

mod bar;
mod floor;
mod http;
mod pairs;
mod server;
mod stopwatch;
mod table;
mod usage;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use tokio::runtime::Runtime;

use stopwatch::Stopwatch;

/// Measure each bar beside its floor.
#[derive(Debug, Parser)]
struct Args {
    /// These bars only; all when none is named
    bars: Vec<String>,
    /// Only show that the benches run: few and small, no figure means anything
    #[arg(long)]
    quick: bool,
    /// Pairs of floor and ours
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Folder for the data, made in it anew and removed at the end
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
    /// Serve as the floor of uploads from this folder: what the program starts for itself
    #[arg(long, hide = true)]
    serve_floor: Option<PathBuf>,
}

/// How a run goes.
#[derive(Debug)]
struct Plan {
    quick: bool,
    pairs: usize,
    folder: tempfile::TempDir,
    runtime: Runtime,
}

impl Plan {
    /// This many, or this few where only to run is asked.
    fn size(&self, whole: usize, quick: usize) -> usize {
        if self.quick { quick } else { whole }
    }

    /// A folder of its own for one measurement.
    fn fresh(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = tempfile::Builder::new().prefix(name).tempdir_in(&self.folder)?;
        Ok(folder.keep())
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(folder) = args.serve_floor {
        return floor::upload::serve(&folder);
    }
    let unknown = args.bars.iter().find(|name| bar::ALL.iter().all(|bar| bar.name != **name));
    if let Some(unknown) = unknown {
        let names: Vec<_> = bar::ALL.iter().map(|bar| bar.name).collect();
        anyhow::bail!("no bar {unknown}: there are {}", names.join(", "));
    }
    std::fs::create_dir_all(&args.folder)?;
    let plan = Plan {
        quick: args.quick,
        pairs: if args.quick { 1 } else { args.pairs.max(1) },
        folder: tempfile::tempdir_in(args.folder.canonicalize()?)?,
        runtime: tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
    };
    let mut all = Vec::new();
    for bar in bar::ALL {
        if !args.bars.is_empty() && !args.bars.iter().any(|name| name == bar.name) {
            continue;
        }
        let watch = Stopwatch::begin();
        let rows = (bar.measure)(&plan).with_context(|| format!("bar {}", bar.name))?;
        note(&format!("{} took {:.0} s", bar.name, watch.seconds()));
        all.push((bar.name, bar.limit, rows));
    }
    table::print(&all);
    Ok(())
}

#[allow(clippy::print_stderr, reason = "how far it has got, for whoever waits")]
fn note(text: &str) {
    eprintln!("{text}");
}
