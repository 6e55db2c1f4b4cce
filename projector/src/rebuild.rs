//! The tables made again from the log, beside those that are read.

use infra::log::{self, Find, Read};
use infra::views::Views;
use schemas::event::PoolLocated;
use schemas::name::PoolName;
use schemas::topic::Topic;

use crate::follow::{Folded, Followed};
use crate::project::Source;
use crate::run::{Error, prepare, shared_by_all};

/// Bytes of records read ahead.
const AHEAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Folds these pools' topics and the audit log, from where `views` have got to where they end now. Gives the number
/// of records read.
pub async fn rebuild(
    read: &dyn Read,
    views: &dyn Views,
    pools: &[PoolLocated],
) -> Result<u64, Error> {
    prepare(views).await?;
    let mut records = 0;
    for located in pools {
        let topics =
            [(&located.batches, Source::Batches), (&located.deliveries, Source::Deliveries)];
        for (name, source) in topics {
            let topic = Topic::named(name);
            records += follow(read, views, &topic, (located.name.clone(), source)).await?;
        }
    }
    // A log from before there was an audit log has none.
    match follow(read, views, &Topic::audit(), (shared_by_all(), Source::Audit)).await {
        Err(Error::Log(log::Error::NoTopic(_))) => Ok(records),
        followed => Ok(records + followed?),
    }
}

/// Folds one topic to its end; gives the number of records read.
async fn follow(
    read: &dyn Read,
    views: &dyn Views,
    topic: &Topic,
    (pool, source): (PoolName, Source),
) -> Result<u64, Error> {
    let mut records = 0;
    let end = read.find(topic, Find::End).await?;
    let (mut followed, from) = Followed::open(read, views, topic, pool, source).await?;
    let mut tail = read.tail(AHEAD_BYTES_MAX).await?;
    tail.watch(topic, Some(from));
    // What was folded is written while the next is read and folded.
    let mut folded = Folded::new();
    while followed.next() < end.next {
        let read = async {
            let chunk = tail.next().await?;
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
