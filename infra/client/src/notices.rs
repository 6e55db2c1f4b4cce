//! The stream of a pool's notices: comes back after every cut, where it was.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use reqwest::header::{ACCEPT, HeaderName};
use schemas::api::{Notice, Noticed, NoticesPage};
use schemas::name::PoolName;
use schemas::route;
use schemas::topic::Offset;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::retry::Patience;
use crate::sse::Parser;

/// A stream of notices. It ends after the caller's removal from the pool, or after an error that
/// no waiting heals; everything else it sits out.
pub type Notices = BoxStream<'static, Result<Heard>>;

/// What a stream of notices gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The stream has begun, or has come back. What happened before it first began is in the
    /// lists: whoever reads them now misses nothing.
    Connected,
    /// A notice.
    Notice {
        /// Its place: give it to [`Client::notices`] to go on after it.
        id: Option<String>,
        /// What happened.
        notice: Notice,
    },
}

struct Listening {
    client: Client,
    pool: PoolName,
    state: State,
    parser: Parser,
    waiting: VecDeque<Heard>,
    /// Cuts since anything was last heard.
    cuts: u32,
    over: bool,
}

enum State {
    Apart { wait: Duration },
    Connected(BoxStream<'static, reqwest::Result<Bytes>>),
}

impl Client {
    /// What happens in the pool, as it happens: after the notice of this id, or from now on.
    ///
    /// Notices of kinds that this client does not know are passed over.
    pub fn notices(&self, pool: &PoolName, after: Option<String>) -> Notices {
        let listening = Listening {
            client: self.clone(),
            pool: pool.clone(),
            state: State::Apart { wait: Duration::ZERO },
            parser: Parser::after(after),
            waiting: VecDeque::new(),
            cuts: 0,
            over: false,
        };
        stream::unfold(listening, Listening::next).boxed()
    }
}

impl Client {
    /// The notices after the one of this id, or none yet; waits up to `wait` for one.
    pub async fn notices_page(
        &self,
        pool: &PoolName,
        after: Option<Offset>,
        wait: Duration,
    ) -> Result<NoticesPage> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let call = self.pool_call(route::READ_NOTICES, pool, &[]).waits(wait);
        call.query("after", after).query("wait_ms", Some(wait_ms)).answer().await
    }
}

impl Listening {
    async fn next(mut self) -> Option<(Result<Heard>, Self)> {
        loop {
            if let Some(heard) = self.waiting.pop_front() {
                let last = |notice: &Notice| {
                    matches!(notice, Notice::Removed { .. } | Notice::Suspended { .. })
                };
                self.over |= matches!(&heard, Heard::Notice { notice, .. } if last(notice));
                return Some((Ok(heard), self));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.over = true;
                return Some((Err(error), self));
            }
        }
    }

    /// One step: connects, or hears something, or comes apart.
    async fn advance(&mut self) -> Result<()> {
        let silence_max = self.client.bounds().silence_max;
        let heard = match &mut self.state {
            State::Apart { wait } => {
                tokio::time::sleep(*wait).await;
                return self.connect().await;
            }
            State::Connected(chunks) => tokio::time::timeout(silence_max, chunks.next()).await,
        };
        if let Ok(Some(Ok(bytes))) = heard {
            self.cuts = 0;
            self.hear(&bytes)
        } else {
            self.part(None);
            Ok(())
        }
    }

    async fn connect(&mut self) -> Result<()> {
        const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
        let mut call = self.client.pool_call(route::NOTICES, &self.pool, &[]);
        call = call.header(ACCEPT, "text/event-stream");
        if let Some(id) = self.parser.id() {
            call = call.header(LAST_EVENT_ID, id);
        }
        match call.once().await {
            Ok(response) => {
                self.parser.begin_again();
                self.state = State::Connected(response.bytes_stream().boxed());
                self.waiting.push_back(Heard::Connected);
                Ok(())
            }
            Err(error) if error.retryable() => {
                self.part(error.retry_after());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<()> {
        let events = self.parser.push(bytes);
        for event in events.map_err(|error| Error::Unreadable(error.to_string()))? {
            if let Ok(Noticed { position, notice, .. }) = serde_json::from_str(&event.data) {
                // What is heard can be read, whichever instance answers.
                self.client.note_position(&position);
                self.waiting.push_back(Heard::Notice { id: event.id, notice });
            }
        }
        Ok(())
    }

    /// Waits before it comes back: longer each time, and never the same time as all others.
    fn part(&mut self, asked: Option<Duration>) {
        self.cuts = self.cuts.saturating_add(1);
        let bounds = self.client.bounds();
        let wait_min = self.parser.retry().unwrap_or(bounds.wait_min);
        let bounds = Patience { wait_min, ..bounds };
        let asked = asked.map(|asked| asked.min(bounds.wait_max));
        let wait = bounds.wait(self.cuts, asked).unwrap_or(bounds.wait_max);
        self.state = State::Apart { wait };
    }
}
