//! Appends to the topics of one lane: one line after the other, with nothing lost between them.

use std::sync::{Arc, Mutex, MutexGuard};

use infra::clock::SystemClock;
use infra::log::{Appended, Draft, Error, Result};
use schemas::topic::Topic;

use super::config::{HEAD_BYTES_MAX, KafkaConfig};
use super::line::{Line, Shut};
use super::record::Mirror;
use super::refusal::refused;
use super::threads::Threads;

/// How many lines an append may find retired before it is refused.
const LINES_TRIED_MAX: usize = 3;

/// The lines of some of the topics.
pub(super) struct Lane {
    config: Arc<KafkaConfig>,
    clock: Arc<SystemClock>,
    threads: Threads,
    lines: Mutex<Lines>,
}

struct Lines {
    open: Option<Arc<Line>>,
    retired: Vec<Arc<Line>>,
}

impl Lane {
    /// A lane with its first line: a new producer needs half a second before its first record.
    pub(super) fn open(
        config: &Arc<KafkaConfig>,
        clock: &Arc<SystemClock>,
        threads: &Threads,
    ) -> Result<Self> {
        let open = Some(Line::open(config, clock, threads)?);
        Ok(Self {
            config: config.clone(),
            clock: clock.clone(),
            threads: threads.clone(),
            lines: Mutex::new(Lines { open, retired: Vec::new() }),
        })
    }

    /// Appends the drafts, of which there is at least one.
    pub(super) async fn append(&self, to: &Topic, drafts: &[Draft]) -> Result<Appended> {
        let mirrors: Vec<Mirror> = drafts.iter().map(Mirror::of).collect();
        for (draft, mirror) in drafts.iter().zip(&mirrors) {
            let (value_bytes, head_bytes) = (draft.value.len(), mirror.head_bytes(draft));
            if value_bytes > self.config.record_bytes_max || head_bytes > HEAD_BYTES_MAX / 2 {
                return Err(Error::TooLarge(value_bytes));
            }
        }
        for _ in 0..LINES_TRIED_MAX {
            let line = self.line_for(to)?;
            line.find(to).await?;
            match line.send(to, drafts, &mirrors) {
                Ok(answer) => {
                    return answer.await.unwrap_or_else(|_| {
                        Err(Error::Unknown(format!("append to {to}: the producer ended")))
                    });
                }
                Err(Shut::Refused(error)) => return Err(error),
                Err(Shut::Retired) => {}
            }
        }
        Err(refused(format!("append to {to}: one producer after the other failed")))
    }

    /// The line that takes appends to this topic, made when there is none.
    fn line_for(&self, topic: &Topic) -> Result<Arc<Line>> {
        let mut lines = self.lines();
        if let Some(line) = lines.open.take_if(|line| !line.open_for_appends()) {
            lines.retired.push(line);
        }
        lines.retired.retain(|line| !line.ended());
        if lines.retired.iter().any(|line| line.holds(topic)) {
            return Err(refused(format!("{topic} waits for the end of an append given up")));
        }
        if let Some(line) = &lines.open {
            return Ok(line.clone());
        }
        let line = Line::open(&self.config, &self.clock, &self.threads)?;
        lines.open = Some(line.clone());
        Ok(line)
    }

    /// Ends all lines soon.
    pub(super) fn stop(&self) {
        let lines = self.lines();
        for line in lines.open.iter().chain(&lines.retired) {
            line.stop();
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("nothing panics while it holds the lines")
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.stop();
    }
}
