//! The tables made again from the log, beside those that are read.

use infra::log::{Find, Read};
use infra::views::Views;
use schemas::event::PoolLocated;
use schemas::name::PoolName;
use schemas::topic::{Offset, Topic};

use crate::follow::{Folded, Followed};
use crate::project::Source;
use crate::run::{Error, prepare, shared_by_all};

/// Bytes of records read ahead.
const AHEAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Folds these pools' topics, and the audit log up to `audited`, from where `views` have got to where they end now. Gives the number
/// of records read.
pub async fn rebuild(
    read: &dyn Read,
    views: &dyn Views,
    pools: &[PoolLocated],
    audited: Option<Offset>,
) -> Result<u64, Error> {
    prepare(views).await?;
    let mut records = 0;
    for located in pools {
        let topics =
            [(&located.batches, Source::Batches), (&located.deliveries, Source::Deliveries)];
        for (name, source) in topics {
            let topic = Topic::named(name);
            let end = read.find(&topic, Find::End).await?.next;
            records += follow(read, views, &topic, (located.name.clone(), source), end).await?;
        }
    }
    let Some(end) = audited else { return Ok(records) };
    let shared = (shared_by_all(), Source::Audit);
    Ok(records + follow(read, views, &Topic::audit(), shared, end).await?)
}

/// Folds one topic up to this offset; gives the number of records read.
async fn follow(
    read: &dyn Read,
    views: &dyn Views,
    topic: &Topic,
    (pool, source): (PoolName, Source),
    end: Offset,
) -> Result<u64, Error> {
    let mut records = 0;
    let (mut followed, from) = Followed::open(read, views, topic, pool, source).await?;
    let mut tail = read.tail(AHEAD_BYTES_MAX).await?;
    tail.watch(topic, Some(from));
    // What was folded is written while the next is read and folded.
    let mut folded = Folded::new();
    while followed.next() < end {
        let read = async {
            let mut chunk = tail.next().await?;
            chunk.records.retain(|record| record.offset < end);
            chunk.end = chunk.end.min(end);
            records += chunk.records.len() as u64;
            let mut folded = Folded::new();
            followed.fold(&chunk, &mut folded)?;
            Ok::<_, Error>(folded)
        };
        let (applied, next) = tokio::join!(folded.apply(views), read);
        applied?;
        folded = next?;
    }
    folded.apply(views).await?;
    Ok(records)
}
