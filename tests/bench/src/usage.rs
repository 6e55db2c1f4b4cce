//! What processes and threads have used, as Linux tells it.

use std::fs;

use anyhow::Context as _;

/// Clock ticks a second in `/proc`: fixed on Linux.
const TICKS_PER_S: f64 = 100.0;

/// Seconds of CPU that a process has used, user and system. In steps of 10 ms.
pub(crate) fn cpu_s(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may have blanks.
    let (_, rest) = stat.rsplit_once(')').context("a process's stat")?;
    let ticks =
        rest.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS_PER_S)
}

/// Seconds of CPU that this thread has used.
pub(crate) fn thread_cpu_s() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat.split_whitespace().next().and_then(|text| text.parse::<f64>().ok());
    Ok(nanos.context("a thread's schedstat")? / 1e9)
}

/// KiB of memory that a process has in RAM now, and has had at most.
pub(crate) fn memory_kib(pid: u32) -> anyhow::Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).context("its memory")
    };
    Ok((of("VmRSS:")?, of("VmHWM:")?))
}
